//! What single values do not tell: whether the keys of a file fit each other.

use std::collections::BTreeSet;

use serde_json::json;
use tercel_adapters::ClientIds;
use tercel_core::AccountId;

use super::ServerConfig;
use super::addresses;
use super::exchange::{CredentialsFrom, EnvironmentName, ForeignOrders};
use super::feed::{FeedKind, FeedSection};
use super::sections::{Deal, Mode, Profile};
use super::values::Pace;
use crate::exit::Outcome;
use crate::toml_file::{Step, TomlFile, suggestion};

/// Checks a configuration for itself, without its scripts and its data.
pub(super) fn check(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    check_strategies(config, source)?;
    check_accounts(config, source)?;
    check_feed(config, source)?;
    check_exchange(config, source)?;
    check_engines(config, source)?;
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

fn check_accounts(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let (own, defaults) = (json!(config), json!(ServerConfig::default()));
    if !config.accounts.is_empty() {
        // The defaults are no contradiction: the file that `tercel config init` writes has all of them.
        for (way, ours, default) in [
            (&[Step::Key("account")][..], &own["account"], &defaults["account"]),
            (
                &[Step::Key("limits"), Step::Key("account")],
                &own["limits"]["account"],
                &defaults["limits"]["account"],
            ),
        ] {
            if ours != default {
                let message = "there are [[accounts]] as well; move what is here into one of them, \
                               its limits as limits = { ... }";
                return Err(source.wrong(way, message));
            }
        }
    }
    let mut names = BTreeSet::new();
    for (n, account) in config.accounts.iter().enumerate() {
        if !names.insert(&account.name) {
            let way = [Step::Key("accounts"), Step::Item(n), Step::Key("name")];
            let message =
                format!("\"{}\" is another account's name; names must differ", account.name);
            return Err(source.wrong(&way, &message));
        }
    }
    let accounts = config.all_accounts();
    let known: Vec<_> = accounts.iter().map(|account| account.name.as_str()).collect();
    for (n, strategy) in config.strategies.iter().enumerate() {
        let way = [Step::Key("strategy"), Step::Item(n), Step::Key("account")];
        match &strategy.account {
            Some(name) if !known.contains(&name.as_str()) => {
                let message = format!("there is no account \"{name}\"{}", suggestion(name, &known));
                return Err(source.wrong(&way, &message));
            }
            None if known.len() > 1 => {
                let message = format!(
                    "there are several accounts, so it must say which one it trades: account = \
                     \"{}\"",
                    known[0]
                );
                return Err(source.wrong(&way, &message));
            }
            _ => {}
        }
    }
    check_keys(config, source)
}

/// Checks where the keys of several accounts are: each has one of its own.
fn check_keys(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let places: Vec<_> =
        config.accounts.iter().map(|account| account.key_place(&config.exchange)).collect();
    for (n, (account, place)) in config.accounts.iter().zip(&places).enumerate() {
        let wrong = |key, message: &str| {
            source.wrong(&[Step::Key("accounts"), Step::Item(n), Step::Key(key)], message)
        };
        let in_file = place.from == CredentialsFrom::File;
        if account.credentials_file.is_some() && !in_file {
            let message = "only credentials = \"file\" has one; remove it, or set that as well";
            return Err(wrong("credentials_file", message));
        }
        if config.run.mode == Mode::Paper {
            continue;
        }
        if in_file && place.file.is_none() {
            return Err(wrong("credentials_file", "credentials = \"file\" needs it"));
        }
        if let Some(other) = places[..n].iter().position(|other| other.is_same(place)) {
            let message = format!(
                "the key of \"{}\" is there already, and each account at a venue has one of its own: \
                 give this one credentials_name = \"...\", or credentials = \"file\" and a \
                 credentials_file",
                config.accounts[other].name
            );
            return Err(wrong("name", &message));
        }
        let id = AccountId(u16::try_from(n).unwrap_or(u16::MAX));
        if !config.strategies.iter().any(|strategy| config.account_of(strategy) == id) {
            let message = "no strategy trades it; remove it, or give a strategy account = \"...\"";
            return Err(wrong("name", message));
        }
    }
    Ok(())
}

fn check_feed(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let feed = &config.feed;
    let at = |key| [Step::Key("feed"), Step::Key(key)];
    // The defaults are no contradiction: the file that `tercel config init` writes has all of them.
    let (ours, defaults) = (json!(feed), json!(FeedSection::default()));
    for (kind, name, keys) in [
        (FeedKind::Tape, "tape", &FeedSection::OF_TAPES[..]),
        (FeedKind::Seeded, "seeded", &FeedSection::OF_SEEDED[..]),
    ] {
        let foreign = keys.iter().find(|key| ours[**key] != defaults[**key]);
        if let (Some(key), true) = (foreign, feed.kind != kind) {
            let message = format!(
                "means nothing to a feed of kind {}; remove it, or set kind = \"{name}\"",
                json!(feed.kind)
            );
            return Err(source.wrong(&at(key), &message));
        }
    }
    if feed.kind == FeedKind::Exchange && (feed.pace != Pace::REAL || feed.symbol.is_some()) {
        let key = if feed.symbol.is_some() { "symbol" } else { "pace" };
        let message = "means nothing to a feed of kind \"exchange\"; remove it ([exchange] names \
                       the symbols, and time passes by itself)";
        return Err(source.wrong(&at(key), message));
    }
    let distinct: BTreeSet<_> = feed.symbols.iter().collect();
    if distinct.len() != feed.symbols.len() {
        return Err(source.wrong(&at("symbols"), "names one of them twice"));
    }
    if feed.symbol.is_some() && !feed.symbols.is_empty() {
        let message = "says what symbol says; remove one";
        return Err(source.wrong(&at("symbols"), message));
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

fn check_exchange(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let (own, mode) = (&config.exchange, config.run.mode);
    let at = |key| [Step::Key("exchange"), Step::Key(key)];
    if config.feed.kind != FeedKind::Exchange {
        if mode != Mode::Paper {
            let message = "orders at a venue need its own market: set feed.kind = \"exchange\"";
            return Err(source.wrong(&[Step::Key("run"), Step::Key("mode")], message));
        }
        return Ok(());
    }
    if own.symbols.is_empty() {
        let message = "a feed of kind \"exchange\" needs them, such as symbols = [\"BTCUSDT\"]";
        return Err(source.wrong(&at("symbols"), message));
    }
    if own.topics.is_empty() {
        return Err(source.wrong(&at("topics"), "name at least one, such as [\"book\"]"));
    }
    let is_custom = own.environment == EnvironmentName::Custom;
    let addresses = [("rest", &own.rest), ("streams", &own.streams), ("private", &own.private)];
    for (key, address) in addresses {
        if is_custom && address.is_none() {
            let message = "environment \"custom\" needs the address, such as those that `tercel \
                           exchange` prints";
            return Err(source.wrong(&at(key), message));
        }
        if !is_custom && address.is_some() {
            let message = "only environment \"custom\" has addresses of its own; remove it";
            return Err(source.wrong(&at(key), message));
        }
    }
    addresses::check(own, mode, source)?;
    match (mode, own.environment) {
        (Mode::Live, EnvironmentName::Testnet | EnvironmentName::Demo) => {
            let message = "is no place for mode \"live\"; set run.mode = \"testnet\"";
            return Err(source.wrong(&at("environment"), message));
        }
        (Mode::Testnet, EnvironmentName::Production) => {
            let message = "is real money; set run.mode = \"live\", or another environment";
            return Err(source.wrong(&at("environment"), message));
        }
        _ => {}
    }
    let wants_file = own.credentials == CredentialsFrom::File;
    // Several accounts say themselves where their files are.
    let is_left_to_accounts = own.credentials_file.is_none() && !config.accounts.is_empty();
    if wants_file != own.credentials_file.is_some() && !is_left_to_accounts {
        let message = if wants_file {
            "credentials = \"file\" needs it"
        } else {
            "only credentials = \"file\" has one; remove it"
        };
        return Err(source.wrong(&at("credentials_file"), message));
    }
    if own.foreign_owner.is_some() && own.foreign_orders != ForeignOrders::Adopt {
        let message = "only foreign_orders = \"adopt\" has an owner; remove it";
        return Err(source.wrong(&at("foreign_owner"), message));
    }
    if let Err(error) = ClientIds::new(&own.order_prefix) {
        return Err(source.wrong(&at("order_prefix"), &error.to_string()));
    }
    Ok(())
}

fn check_engines(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let run = &config.run;
    let at = |key| [Step::Key("run"), Step::Key(key)];
    if run.engines > 1 && run.mode != Mode::Paper && run.deal != Deal::Accounts {
        let message = "\"instruments\" is for mode \"paper\": an account at a venue is one engine's, \
                       or each would take the other's orders for strange ones; set deal = \"accounts\"";
        return Err(source.wrong(&at("deal"), message));
    }
    for (one, several, is_one_set, cores) in [
        ("engine_core", "engine_cores", run.engine_core.is_some(), &run.engine_cores),
        ("feed_core", "feed_cores", run.feed_core.is_some(), &run.feed_cores),
    ] {
        if run.engines > 1 && is_one_set {
            let message =
                format!("is for one engine, and there are {}: list {several}", run.engines);
            return Err(source.wrong(&at(one), &message));
        }
        if is_one_set && !cores.is_empty() {
            return Err(source.wrong(&at(several), &format!("says what {one} says; remove one")));
        }
        if !cores.is_empty() && cores.len() != run.engines {
            let message = format!(
                "lists {} cores for {} engines; list one for each, in the order of the engines",
                cores.len(),
                run.engines
            );
            return Err(source.wrong(&at(several), &message));
        }
    }
    Ok(())
}

fn check_cores(config: &ServerConfig, source: &TomlFile) -> Outcome<()> {
    let run = &config.run;
    let at = |key| [Step::Key("run"), Step::Key(key)];
    let engine_keys = [
        ("engine_core", run.engine_core.is_some()),
        ("engine_cores", !run.engine_cores.is_empty()),
    ];
    let feed_keys =
        [("feed_core", run.feed_core.is_some()), ("feed_cores", !run.feed_cores.is_empty())];
    let set = |keys: &[(&'static str, bool)]| keys.iter().find(|key| key.1).map(|key| key.0);
    match run.profile {
        Profile::Shared => {
            if let Some(key) = set(&engine_keys).or_else(|| set(&feed_keys)) {
                let message = "profile \"shared\" pins no thread; remove it, or set profile = \
                               \"pinned\"";
                return Err(source.wrong(&at(key), message));
            }
        }
        Profile::Inline => {
            if let Some(key) = set(&feed_keys) {
                let message = "profile \"inline\" has no feed thread; remove it";
                return Err(source.wrong(&at(key), message));
            }
        }
        Profile::Pinned => {}
    }
    let engines: Vec<_> = (0..run.engines).map(|index| run.of_engine(index)).collect();
    let mut taken = BTreeSet::new();
    for (keys, cores) in [
        (&engine_keys, engines.iter().map(|own| own.engine_core).collect::<Vec<_>>()),
        (&feed_keys, engines.iter().map(|own| own.feed_core).collect()),
    ] {
        if let (Some(core), Some(key)) =
            (cores.iter().flatten().find(|core| !taken.insert(**core)), set(keys))
        {
            let message =
                format!("core {core} is another thread's; two threads that spin need two cores");
            return Err(source.wrong(&at(key), &message));
        }
    }
    Ok(())
}
