use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tercel_runtime::IdleStrategy;

use super::values::Pace;
use super::*;
use crate::commands::config::TEMPLATE;
use crate::commands::new::LUA;

fn read(text: &str) -> Outcome<ServerFile> {
    ServerFile::of(TomlFile::of_text("conf/t.toml", text))
}

fn refusal(text: &str) -> String {
    read(text).map(|file| file.config).unwrap_err().to_string()
}

const ONE: &str = "[[strategy]]\nscript = \"a.luau\"\n";

#[test]
fn a_strategy_is_enough() {
    let file = read(ONE).unwrap();
    assert_eq!(file.config.strategies[0].script, Path::new("conf/a.luau"));
    assert_eq!(file.config.control_socket(), Path::new("conf/tercel-data/control.sock"));
    assert_eq!(file.config.run.idle_strategy(), IdleStrategy::default());
    let pinned = read(&format!("[run]\nprofile = \"pinned\"\n{ONE}")).unwrap();
    assert_eq!(pinned.config.run.idle_strategy(), IdleStrategy::BusySpin);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_remedy() {
    for (text, wanted) in [
        (String::new(), "t.toml:1: strategy: there is none; add [[strategy]]"),
        ("[[strategy]]\nname = \"a\"\n".to_owned(), "needs the key `script`"),
        (
            format!("{ONE}scirpt = \"b\"\n"),
            "t.toml:3: unknown key `scirpt` in [strategy[1]]; did you mean `script`?",
        ),
        (format!("[jurnal]\n{ONE}"), "t.toml:1: unknown key `jurnal`; did you mean `journal`?"),
        (
            format!("{ONE}name = \"a b\"\n"),
            "t.toml:3: strategy[1].name = \"a b\": expected 1 to 64 letters",
        ),
        (
            format!("{ONE}name = \"a\"\n{ONE}name = \"a\"\n"),
            "t.toml:6: strategy[2].name: \"a\" is another",
        ),
        (
            format!("[run]\nmode = \"live\"\n{ONE}"),
            "t.toml:2: run.mode: orders at a venue need its own market",
        ),
        (
            format!("[run]\nring_capacity = 3\n{ONE}"),
            "t.toml:2: run.ring_capacity = 3: invalid value: integer `3`, expected a whole number from 64 to 16777216",
        ),
        (
            format!("[exchange]\non_lost_order = \"ignore\"\n{ONE}"),
            "t.toml:2: exchange.on_lost_order cannot be \"ignore\" (known: halt, tell)",
        ),
        (
            format!("[run]\nengine_core = 1\n{ONE}"),
            "t.toml:2: run.engine_core: profile \"shared\" pins no thread",
        ),
        (
            format!("[run]\nprofile = \"pinned\"\nengine_core = 1\nfeed_core = 1\n{ONE}"),
            "t.toml:4: run.feed_core: core 1 is another thread's",
        ),
        (
            format!("[run]\nprofile = \"inline\"\nfeed_core = 1\n{ONE}"),
            "t.toml:3: run.feed_core: profile \"inline\"",
        ),
        (
            format!("[run]\nengines = 0\n{ONE}"),
            "t.toml:2: run.engines = 0: invalid value: integer `0`, expected a whole number from 1 to 64",
        ),
        (
            format!("[run]\ndeal = \"account\"\n{ONE}"),
            "t.toml:2: run.deal cannot be \"account\"; did you mean `accounts`?",
        ),
        (
            format!(
                "[run]\nmode = \"testnet\"\nengines = 2\ndeal = \"instruments\"\n[feed]\nkind = \"exchange\"\n[exchange]\nenvironment = \"testnet\"\nsymbols = [\"X\"]\n{ONE}"
            ),
            "t.toml:4: run.deal: \"instruments\" is for mode \"paper\"",
        ),
        (
            format!("[run]\nprofile = \"pinned\"\nengines = 2\nengine_core = 1\n{ONE}"),
            "t.toml:4: run.engine_core: is for one engine, and there are 2: list engine_cores",
        ),
        (
            format!("[run]\nprofile = \"pinned\"\nengines = 2\nengine_cores = [1]\n{ONE}"),
            "t.toml:4: run.engine_cores: lists 1 cores for 2 engines",
        ),
        (
            format!(
                "[run]\nprofile = \"pinned\"\nengines = 2\nengine_cores = [1, 2]\nfeed_cores = [2, 3]\n{ONE}"
            ),
            "t.toml:5: run.feed_cores: core 2 is another thread's",
        ),
        (
            format!("[run]\nengines = 2\nengine_cores = [1, 2]\n{ONE}"),
            "t.toml:3: run.engine_cores: profile \"shared\" pins no thread",
        ),
        (
            format!("[feed]\nsymbols = [\"A\", \"A\"]\n{ONE}"),
            "t.toml:2: feed.symbols: names one of them twice",
        ),
        (
            format!("[feed]\nsymbol = \"A\"\nsymbols = [\"A\"]\n{ONE}"),
            "t.toml:3: feed.symbols: says what symbol says",
        ),
        (
            format!("[feed]\npaths = [\"x\"]\n{ONE}"),
            "t.toml:2: feed.paths: means nothing to a feed of kind \"seeded\"",
        ),
        (
            format!("[feed]\nkind = \"tape\"\n{ONE}"),
            "t.toml:1: feed.paths: a feed of kind \"tape\" needs files",
        ),
        (format!("[feed]\nkind = \"tape\"\nseed = 1\n{ONE}"), "t.toml:3: feed.seed: means nothing"),
        (
            format!(
                "[feed]\nkind = \"tape\"\npaths = [\"x\"]\nfrom = \"2024-01-02\"\nto = \"2024-01-01\"\n{ONE}"
            ),
            "t.toml:5: feed.to: must be later",
        ),
        (
            format!("[feed]\nfrom = \"soon\"\n{ONE}"),
            "t.toml:2: feed.from = \"soon\": `soon` is neither a date",
        ),
        (
            format!("[feed]\npace = 0\n{ONE}"),
            "t.toml:2: feed.pace = 0: invalid value: integer `0`, expected \"real\", \"max\", or times",
        ),
        (
            format!("[feed]\npace = \"fast\"\n{ONE}"),
            "t.toml:2: feed.pace = \"fast\": invalid value",
        ),
        (
            format!("[feed]\nmark_interval_ms = 70\n{ONE}"),
            "t.toml:2: feed.mark_interval_ms: must be a multiple of 50",
        ),
        (
            format!("[metrics]\nlisten = \"0.0.0.0:9464\"\n{ONE}"),
            "t.toml:2: metrics.listen = \"0.0.0.0:9464\": metrics are served without a password",
        ),
        (
            format!("[metrics]\nlisten = \"yes\"\n{ONE}"),
            "expected \"off\" or an address and a port",
        ),
        (
            format!("[log]\nlevel = \"inf\"\n{ONE}"),
            "t.toml:2: log.level cannot be \"inf\"; did you mean `info`?",
        ),
        (format!("[account]\nquote = 1.5\n{ONE}"), "in quotes"),
        (
            format!("[account]\nquote = \"5\"\n[[accounts]]\nname = \"a\"\n{ONE}"),
            "t.toml:1: account: there are [[accounts]] as well; move what is here into one of them",
        ),
        (
            format!("[[accounts]]\nname = \"a\"\n[limits.account]\nopen_orders = 1\n{ONE}"),
            "t.toml:3: limits.account: there are [[accounts]] as well",
        ),
        (
            format!("[[accounts]]\nname = \"a\"\n[[accounts]]\nname = \"a\"\n{ONE}"),
            "t.toml:4: accounts[2].name: \"a\" is another account's name",
        ),
        (
            format!("[[accounts]]\nname = \"a\"\nleverage = 0\n{ONE}"),
            "t.toml:3: accounts[1].leverage = 0: invalid value",
        ),
        (format!("[[accounts]]\nquote = \"1\"\n{ONE}"), "[accounts[1]] needs the key `name`"),
        (
            format!("[[accounts]]\nname = \"a\"\n[[accounts]]\nname = \"b\"\n{ONE}"),
            "t.toml:5: strategy[1].account: there are several accounts, so it must say which one it \
             trades: account = \"a\"",
        ),
        (
            format!("[[accounts]]\nname = \"alpha\"\n{ONE}account = \"alhpa\"\n"),
            "t.toml:5: strategy[1].account: there is no account \"alhpa\"; did you mean `alpha`?",
        ),
        (
            format!("{ONE}account = \"other\"\n"),
            "t.toml:3: strategy[1].account: there is no account \"other\"",
        ),
        (
            format!(
                "[run]\nmode = \"testnet\"\n[[accounts]]\nname = \"a\"\n[[accounts]]\nname = \"b\"\n{ONE}account = \"a\"\n"
            ),
            "t.toml:6: accounts[2].name: the key of \"a\" is there already",
        ),
        (
            format!(
                "[run]\nmode = \"testnet\"\n[[accounts]]\nname = \"a\"\n[[accounts]]\nname = \"b\"\ncredentials_name = \"B\"\n{ONE}account = \"a\"\n"
            ),
            "t.toml:6: accounts[2].name: no strategy trades it",
        ),
        (
            format!(
                "[run]\nmode = \"testnet\"\n[[accounts]]\nname = \"a\"\ncredentials = \"file\"\n{ONE}"
            ),
            "t.toml:3: accounts[1].credentials_file: credentials = \"file\" needs it",
        ),
        (
            format!("[[accounts]]\nname = \"a\"\ncredentials_file = \"a.key\"\n{ONE}"),
            "t.toml:3: accounts[1].credentials_file: only credentials = \"file\" has one",
        ),
        (
            format!("[limits.strategy]\npositon = \"1\"\n{ONE}"),
            "t.toml:2: unknown key `positon` in [limits.strategy]; did you mean `position`?",
        ),
    ] {
        let error = refusal(&text);
        assert!(error.starts_with("conf/t.toml:") && error.contains(wanted), "{error}\n{wanted}");
    }
}

/// With mode "testnet" and environment "custom", the addresses of real money passed, and so did plain HTTP
/// to a strange machine: orders for money that was never meant, and the key in the clear.
#[test]
fn custom_addresses_are_neither_real_money_by_mistake_nor_in_the_clear() {
    let with = |mode: &str, rest: &str, streams: &str, private: &str| {
        read(&format!(
            "[run]\nmode = \"{mode}\"\n[feed]\nkind = \"exchange\"\n[exchange]\nenvironment = \"custom\"\n\
             rest = \"{rest}\"\nstreams = \"{streams}\"\nprivate = \"{private}\"\nsymbols = [\"X\"]\n{ONE}"
        ))
    };
    let (rest, ws) = ("http://127.0.0.1:9000", "ws://127.0.0.1:9000");
    let real = "wss://stream.binance.com:9443";
    for (mode, rest, streams, private) in [
        ("testnet", rest, ws, ws),
        ("paper", "https://api.binance.com", real, real),
        ("live", "https://api.binance.com", real, "wss://ws-api.binance.com:443/ws-api/v3"),
        ("testnet", "https://testnet.binance.vision", ws, ws),
        ("testnet", "https://demo-api.binance.com", "wss://demo-stream.binance.com:9443", ws),
    ] {
        assert!(with(mode, rest, streams, private).is_ok(), "{mode} {rest} {streams} {private}");
    }
    for (mode, rest, streams, private, wanted) in [
        (
            "testnet",
            "https://api.binance.com",
            ws,
            ws,
            "t.toml:7: exchange.rest: api.binance.com is real",
        ),
        (
            "testnet",
            "https://API1.binance.com./",
            ws,
            ws,
            "t.toml:7: exchange.rest: API1.binance.com. is real",
        ),
        ("testnet", rest, real, ws, "t.toml:8: exchange.streams: stream.binance.com is real money"),
        (
            "testnet",
            rest,
            ws,
            "wss://ws-fapi.binance.com/ws-fapi/v1",
            "t.toml:9: exchange.private: ws-fapi",
        ),
        ("live", "http://example.com", ws, ws, "would carry the key in the clear"),
        ("paper", rest, "ws://10.0.0.1:9000", ws, "so make it wss://10.0.0.1:9000"),
        ("testnet", "127.0.0.1:9000", ws, ws, "is no address such as http://127.0.0.1:9000"),
        ("testnet", ws, ws, ws, "t.toml:7: exchange.rest: \"ws://127.0.0.1:9000\" is no address"),
        ("testnet", "https://x@api.binance.com", ws, ws, "is no address"),
    ] {
        let refused = with(mode, rest, streams, private).map(|file| file.config).unwrap_err();
        assert!(refused.to_string().contains(wanted), "{refused}\n{wanted}");
    }
}

#[test]
fn accounts_have_names_and_limits_of_their_own() {
    let text = format!(
        "[[accounts]]\nname = \"a\"\nquote = \"5\"\n[[accounts]]\nname = \"b\"\nlimits = {{ \
         open_orders = 3 }}\n{ONE}account = \"b\"\n"
    );
    let file = read(&text).unwrap();
    let accounts = file.bind_accounts(&file.open_feed().unwrap().instruments, false).unwrap();
    let seen: Vec<_> = accounts
        .iter()
        .map(|own| (own.name.as_str(), own.balances[0].1.to_string(), own.limits.open_orders))
        .collect();
    assert_eq!(seen, [("a", "5".to_owned(), None), ("b", "100000".to_owned(), Some(3))]);
    let config = &file.config;
    assert_eq!(config.account_of(&config.strategies[0]), tercel_core::AccountId(1));
    let wrong = text.replace("open_orders = 3", "position = \"0.00001\"");
    let file = read(&wrong).unwrap();
    let refused = file.bind_accounts(&file.open_feed().unwrap().instruments, false).unwrap_err();
    assert!(refused.to_string().contains("t.toml:6: accounts[2].limits:"), "{refused}");
    let alone = read(ONE).unwrap().config.all_accounts();
    assert_eq!((alone.len(), alone[0].name.as_str()), (1, "main"));
}

#[test]
fn paces_are_times_of_real_time() {
    for (text, pace) in [
        ("\"real\"", Pace::REAL),
        ("\"max\"", Pace::Max),
        ("2", Pace::PerMille(2_000)),
        ("0.25", Pace::PerMille(250)),
    ] {
        let file = read(&format!("[feed]\npace = {text}\n{ONE}")).unwrap();
        assert_eq!(file.config.feed.pace, pace);
    }
}

#[test]
fn sections_become_what_others_take() {
    let text = format!("[journal]\nmode = \"durable\"\nring_mb = 2\nlinger_ms = 5\n{ONE}");
    let options = read(&text).unwrap().config.journal.options();
    assert_eq!(options.mode, tercel_store::journal::JournalMode::Durable);
    assert_eq!((options.ring_bytes, options.linger), (2 << 20, Duration::from_millis(5)));
    let shown = serde_json::to_value(ServerConfig::default()).unwrap();
    assert_eq!(shown["metrics"]["listen"], "127.0.0.1:9464");
}

/// Collects `section.key` and value of everything in a JSON object.
fn flatten(value: &Value, name: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !name.ends_with("params") => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(value, &name, into);
            }
        }
        Value::Array(items) if !items.is_empty() && ["strategy", "accounts"].contains(&name) => {
            items.iter().for_each(|item| flatten(item, name, into));
        }
        other => {
            into.insert(name.to_owned(), other.clone());
        }
    }
}

fn keys(config: &ServerConfig) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    flatten(&serde_json::to_value(config).unwrap(), "", &mut keys);
    keys
}

/// Keys of limits are documented once, under `[limits.strategy]`.
fn is_documented_elsewhere(key: &str) -> bool {
    ["limits.account.", "limits.engine.", "strategy.limits.", "accounts.limits."]
        .iter()
        .any(|p| key.starts_with(p))
}

#[test]
fn the_template_is_the_defaults() {
    let from_template: ServerConfig = TomlFile::of_text("t", TEMPLATE).parse().unwrap();
    let expected = ServerConfig {
        strategies: vec![StrategySection {
            name: None,
            account: None,
            script: PathBuf::from("my_strategy.luau"),
            symbols: Vec::new(),
            params: BTreeMap::new(),
            limits: crate::config::Limits::default(),
            seed: None,
        }],
        ..ServerConfig::default()
    };
    assert_eq!(keys(&from_template), keys(&expected));
}

#[test]
fn the_template_documents_every_key() {
    let accounts = "[[accounts]]\nname = \"a\"\n";
    let mut schema = keys(&TomlFile::of_text("t", &format!("{accounts}{ONE}")).parse().unwrap());
    schema.retain(|key, _| !is_documented_elsewhere(key));
    let mut section = String::new();
    let mut seen = BTreeMap::new();
    let mut is_explained = false;
    for line in TEMPLATE.lines() {
        if line.starts_with('[') || line.starts_with("#[[") {
            section = line.trim_matches(['#', '[', ']']).to_owned();
        }
        let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line);
        let is_comment = line.starts_with("# ");
        match setting.split_once(" = ") {
            Some((key, value)) if !is_comment => {
                assert!(is_explained, "{section}.{key} has no comment before it");
                let is_example = line.starts_with('#');
                seen.insert(format!("{section}.{key}"), (is_example, value.to_owned()));
            }
            _ => is_explained = is_comment || (is_explained && !line.is_empty()),
        }
    }
    let documented: Vec<_> = seen.keys().collect();
    let mut known: Vec<_> =
        schema.keys().filter(|key| !key.starts_with("strategy.limits")).collect();
    let own_limits = ["strategy.limits".to_owned(), "accounts.limits".to_owned()];
    known.extend(&own_limits);
    known.sort();
    assert_eq!(documented, known);
    for (key, (is_example, _)) in &seen {
        let default = schema.get(key).unwrap_or(&Value::Null);
        let is_absent = key.starts_with("accounts.")
            || default.is_null()
            || (*default == serde_json::json!([]) && key != "venue.fee_tiers")
            || *default == serde_json::json!({});
        assert_eq!(*is_example, is_absent, "{key} is shown as an example exactly if it is absent");
    }
}

/// The template's lines of `[[accounts]]`, from which all examples are taken together.
fn example_of_accounts() -> &'static str {
    let begin = TEMPLATE.find("#[[accounts]]").unwrap();
    TEMPLATE[begin..].split("\n\n").next().unwrap()
}

#[test]
fn every_example_of_the_template_is_valid() {
    let accounts = example_of_accounts();
    let is_example = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let alone = TEMPLATE.replace(accounts, "");
    let uncommented = |text: &str| {
        let lines = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
        lines.filter(|line| !line.starts_with(' ')).collect::<Vec<_>>().join("\n")
    };
    for example in alone.lines().filter(is_example).chain([accounts]) {
        let text = TEMPLATE.replace(example, &uncommented(example));
        let result = TomlFile::of_text("t", &text).parse::<ServerConfig>();
        assert!(result.is_ok(), "{example}: {}", result.unwrap_err());
    }
}

/// A folder with a configuration, the template's script in it, and what `bind` says.
fn bound(extra: &str) -> Result<Vec<(String, Vec<String>, String)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let script = LUA.replace("my_strategy", "mine");
    std::fs::write(folder.path().join("a.luau"), script).unwrap();
    std::fs::write(folder.path().join("broken.luau"), "strategy {\n").unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, format!("[[strategy]]\n{extra}\n")).unwrap();
    let file = ServerFile::read(&path).unwrap();
    let feed = file.open_feed().unwrap();
    let bound = file
        .bind(&feed.instruments)
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "here"))?;
    Ok(bound
        .into_iter()
        .map(|strategy| {
            let symbols = strategy.instruments.iter().map(|i| i.spec.symbol.clone()).collect();
            (strategy.name, symbols, format!("{:?}", strategy.params))
        })
        .collect())
}

#[test]
fn strategies_are_bound_to_scripts_parameters_and_symbols() {
    let plain = bound("script = \"a.luau\"").unwrap();
    assert_eq!((plain[0].0.as_str(), plain[0].1.as_slice()), ("mine", &["BTCUSDT".to_owned()][..]));
    let two = "script = \"a.luau\"\nname = \"x\"\nsymbols = [\"BTCUSDT\"]\n[[strategy]]\nscript = \"a.luau\"";
    assert_eq!(bound(two).unwrap().len(), 2);
    for (text, wanted) in [
        (
            "script = \"none.luau\"",
            "here/t.toml:2: strategy[1].script: here/none.luau cannot be read",
        ),
        ("script = \"a.py\"", "must end in .luau"),
        ("script = \"broken.luau\"", "broken.luau:"),
        (
            "script = \"a.luau\"\nsymbols = [\"BTCUSD\"]",
            "here/t.toml:3: strategy[1].symbols: the feed has no BTCUSD; did you mean `BTCUSDT`?",
        ),
        (
            "script = \"a.luau\"\n[strategy.params]\nnone = 1",
            "here/t.toml:4: strategy[1].params.none: a.luau has no such parameter",
        ),
        (
            "script = \"a.luau\"\nparams = { period = \"8\" }",
            "strategy[1].params.period: \"8\" is not a whole number from 2 to 500",
        ),
        (
            "script = \"a.luau\"\nparams = { period = 1 }",
            "strategy[1].params.period: 1 is not a whole number from 2 to 500",
        ),
        (
            "script = \"a.luau\"\n[[strategy]]\nscript = \"a.luau\"",
            "here/t.toml:4: strategy[2].script: \"mine\" is another strategy's name already",
        ),
        (
            "script = \"a.luau\"\nlimits = { position = \"0.00001\" }",
            "here/t.toml:3: strategy[1].limits:",
        ),
    ] {
        let error = bound(text).unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
}
