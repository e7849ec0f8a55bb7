//! What single values do not tell: whether the keys of a file fit each other.

use std::collections::BTreeSet;

use serde_json::json;

use super::ServerConfig;
use super::feed::{FeedKind, FeedSection};
use super::sections::Profile;
use crate::exit::Outcome;
use crate::toml_file::{Step, TomlFile};

/// Checks a configuration for itself, without its scripts and its data.
pub(super) fn check(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    check_strategies(config, source)?;
    check_feed(config, source)?;
    check_cores(config, source)
}

fn check_strategies(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    if config.strategies.is_empty() {
        let message = "there is none; add [[strategy]] with script = \"my_strategy.luau\"";
        return Err(source.wrong(&[Step::Key("strategy")], message));
    }
    let mut names = BTreeSet::new();
    for (n, strategy) in config.strategies.iter().enumerate() {
        let Some(name) = &strategy.name else { continue };
        if !names.insert(name) {
            let way = [Step::Key("strategy"), Step::Item(n), Step::Key("name")];
            let message = format!("\"{name}\" is another strategy's name; names must differ");
            return Err(source.wrong(&way, &message));
        }
    }
    Ok(())
}

fn check_feed(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let feed = &config.feed;
    let at = |key| [Step::Key("feed"), Step::Key(key)];
    let (kind, other, foreign) = match feed.kind {
        FeedKind::Seeded => ("seeded", "tape", &FeedSection::OF_TAPES[..]),
        FeedKind::Tape => ("tape", "seeded", &FeedSection::OF_SEEDED[..]),
    };
    // The defaults are no contradiction: the file that `tercel config init` writes has all of them.
    let (ours, defaults) = (json!(feed), json!(FeedSection::default()));
    if let Some(key) = foreign.iter().find(|key| ours[**key] != defaults[**key]) {
        let message = format!(
            "means nothing to a feed of kind \"{kind}\"; remove it, or set kind = \"{other}\""
        );
        return Err(source.wrong(&at(key), &message));
    }
    if feed.kind == FeedKind::Tape && feed.paths.is_empty() {
        let message = "a feed of kind \"tape\" needs files, such as paths = [\"btc.tape\"]";
        return Err(source.wrong(&at("paths"), message));
    }
    if let (Some(from), Some(to)) = (feed.from, feed.to)
        && from >= to
    {
        return Err(source.wrong(&at("to"), "must be later than feed.from"));
    }
    if !feed.mark_interval_ms.is_multiple_of(50) {
        return Err(source.wrong(&at("mark_interval_ms"), "must be a multiple of 50"));
    }
    Ok(())
}

fn check_cores(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let run = &config.run;
    let at = |key| [Step::Key("run"), Step::Key(key)];
    match run.profile {
        Profile::Shared => {
            for (key, core) in [("engine_core", run.engine_core), ("feed_core", run.feed_core)] {
                if core.is_some() {
                    let message = "profile \"shared\" pins no thread; remove it, or set profile = \
                                   \"pinned\"";
                    return Err(source.wrong(&at(key), message));
                }
            }
        }
        Profile::Pinned => {
            if run.engine_core.is_some() && run.engine_core == run.feed_core {
                let message = "is the engine's core; two threads that spin need two cores";
                return Err(source.wrong(&at("feed_core"), message));
            }
        }
        Profile::Inline => {
            if run.feed_core.is_some() {
                let message = "profile \"inline\" has no feed thread; remove it";
                return Err(source.wrong(&at("feed_core"), message));
            }
        }
    }
    Ok(())
}
