//! Which metrics a server has, and where in its status they come from.

use super::page::{Kind, Page};
use crate::control_api::{EngineStatus, Status, TradingStateName};

/// Returns the page of a server's status.
pub(crate) fn page_of(status: &Status) -> String {
    let mut page = Page::default();
    server(&mut page, status);
    trading(&mut page, status);
    strategies(&mut page, status);
    plumbing(&mut page, status);
    page.finish()
}

fn server(page: &mut Page, status: &Status) {
    page.family("build_info", Kind::Gauge, "Version and mode of the server; always 1.")
        .sample(&[("version", &status.version), ("mode", &status.mode)], 1);
    each_engine(page, status, "run", Kind::Gauge, "Number of the run.", |own| own.run.into());
    page.single("uptime_seconds", Kind::Gauge, "Time since the start.", status.uptime_s);
    let help = "Events that the engine handled.";
    each_engine(page, status, "events_total", Kind::Counter, help, |own| own.seq);
    let mut halted =
        page.family("halted", Kind::Gauge, "Whether a scope is halted: it sends no orders.");
    let is_halted = |state| u8::from(state == TradingStateName::Halted);
    halted.sample(&[("scope", "engine")], is_halted(status.state));
    for account in &status.accounts {
        let scope = format!("account:{}", account.name);
        halted.sample(&[("scope", &scope)], is_halted(account.state));
    }
    for strategy in &status.strategies {
        let scope = format!("strategy:{}", strategy.name);
        halted.sample(&[("scope", &scope)], is_halted(strategy.state));
    }
}

fn trading(page: &mut Page, status: &Status) {
    let mut equity = page.family("equity", Kind::Gauge, "Equity of an account in quote.");
    for account in &status.accounts {
        equity.decimal(&[("account", &account.name)], &account.equity);
    }
    let mut balance = page.family("balance", Kind::Gauge, "What an account holds of an asset.");
    for account in &status.accounts {
        for held in &account.balances {
            balance.decimal(&[("account", &account.name), ("asset", &held.asset)], &held.total);
        }
    }
    let mut position =
        page.family("position", Kind::Gauge, "A strategy's position; positive is long.");
    for held in &status.positions {
        let labels = [("strategy", held.strategy.as_str()), ("instrument", &held.symbol)];
        position.decimal(&labels, &held.quantity);
    }
    page.single("open_orders", Kind::Gauge, "Orders that work.", status.n_open_orders);
    let mut used = page.family("limit_used", Kind::Gauge, "How much of a limit is used.");
    for limit in &status.limits {
        let labels = [("scope", limit.scope.as_str()), ("limit", &limit.limit)];
        used.decimal(&with_engine(&labels, engine_label(limit.engine).as_deref()), &limit.used);
    }
    let mut max = page.family("limit_max", Kind::Gauge, "The limit.");
    for limit in &status.limits {
        let labels = [("scope", limit.scope.as_str()), ("limit", &limit.limit)];
        max.decimal(&with_engine(&labels, engine_label(limit.engine).as_deref()), &limit.max);
    }
    let mut live = page.family("book_live", Kind::Gauge, "Whether an instrument's book is whole.");
    for instrument in &status.instruments {
        live.sample(&[("instrument", &instrument.symbol)], u8::from(instrument.is_live));
    }
}

fn strategies(page: &mut Page, status: &Status) {
    let all = &status.strategies;
    let mut running =
        page.family("strategy_running", Kind::Gauge, "Whether a strategy is called for events.");
    for strategy in all {
        running.sample(&[("strategy", &strategy.name)], u8::from(strategy.is_running));
    }
    let mut faulted = page.family("strategy_faulted", Kind::Gauge, "Whether a strategy failed.");
    for strategy in all {
        faulted.sample(&[("strategy", &strategy.name)], u8::from(strategy.fault.is_some()));
    }
    let mut generation =
        page.family("strategy_generation", Kind::Gauge, "Versions of a script that were loaded.");
    for strategy in all {
        generation.sample(&[("strategy", &strategy.name)], strategy.generation);
    }
    let mut pnl =
        page.family("strategy_pnl", Kind::Gauge, "Profit since the start of the run, in quote.");
    for strategy in all {
        pnl.decimal(&[("strategy", &strategy.name)], &strategy.pnl);
    }
    let mut hooks = page.family(
        "hook_latency_seconds",
        Kind::Summary,
        "How long calls into a strategy took, of those that were timed, since the start.",
    );
    for hook in &status.hooks {
        let (strategy, name) = (("strategy", hook.strategy.as_str()), ("hook", hook.hook.as_str()));
        for (quantile, ns) in [("0.5", hook.p50_ns), ("0.99", hook.p99_ns), ("0.999", hook.p999_ns)]
        {
            hooks.sample(&[strategy, name, ("quantile", quantile)], seconds(ns));
        }
        hooks.suffixed("_sum", &[strategy, name], seconds(hook.sum_ns));
        hooks.suffixed("_count", &[strategy, name], hook.count);
    }
}

fn plumbing(page: &mut Page, status: &Status) {
    let mut up =
        page.family("link_up", Kind::Gauge, "Whether a market's or an account's connection is up.");
    for link in &status.links {
        let engine = engine_label(link.engine);
        let labels = with_engine(&[("link", &link.name)], engine.as_deref());
        up.sample(&labels, u8::from(link.is_up));
    }
    let mut events = page.family("link_events_total", Kind::Counter, "Events from a source.");
    for link in &status.links {
        let Some(n_events) = link.n_events else { continue };
        let engine = engine_label(link.engine);
        let labels = with_engine(&[("link", &link.name)], engine.as_deref());
        events.sample(&labels, n_events);
    }
    let rings =
        |page: &mut Page, name, kind, help, value: fn(&crate::control_api::RingStatus) -> u64| {
            let mut family = page.family(name, kind, help);
            for ring in &status.rings {
                let engine = engine_label(ring.engine);
                let labels = with_engine(&[("ring", &ring.name)], engine.as_deref());
                family.sample(&labels, value(ring));
            }
        };
    rings(page, "ring_capacity", Kind::Gauge, "Values that a ring holds.", |ring| ring.capacity);
    rings(page, "ring_depth_max", Kind::Gauge, "The most that ever waited in a ring.", |ring| {
        ring.depth_max
    });
    rings(page, "ring_full_total", Kind::Counter, "How often a ring was full.", |ring| ring.n_full);
    rings(page, "ring_dropped_total", Kind::Counter, "Values dropped at a full ring.", |ring| {
        ring.n_dropped
    });
    let mut each = |name, kind, help, value: fn(&EngineStatus) -> u64| {
        each_engine(page, status, name, kind, help, value);
    };
    each("journal_records_total", Kind::Counter, "Records handed over.", |own| {
        own.journal.n_records
    });
    each("journal_lag_records", Kind::Gauge, "Records not yet safe on the disk.", |own| {
        own.journal.n_records.saturating_sub(own.journal.n_durable)
    });
    each("journal_failed", Kind::Gauge, "Whether nothing is recorded any more.", |own| {
        own.journal.failure.is_some().into()
    });
    each("tape_events_total", Kind::Counter, "Market events recorded.", |own| own.tape.n_events);
    each("tape_dropped_total", Kind::Counter, "Market events not recorded.", |own| {
        own.tape.n_dropped
    });
    let log = &status.log;
    page.single("log_dropped_total", Kind::Counter, "Lines of the log dropped.", log.n_dropped);
    page.single(
        "log_failed_total",
        Kind::Counter,
        "Lines that could not be written.",
        log.n_failed,
    );
}

/// Writes a family with a sample of each engine: with a label `engine` where there are several, counted
/// from 1, so that a sum over it is that of the server.
fn each_engine(
    page: &mut Page,
    status: &Status,
    name: &'static str,
    kind: Kind,
    help: &str,
    value: fn(&EngineStatus) -> u64,
) {
    let has_several = status.engines.len() > 1;
    let mut family = page.family(name, kind, help);
    for (own, number) in status.engines.iter().zip(1..) {
        let engine = engine_label(has_several.then_some(number));
        family.sample(&with_engine(&[], engine.as_deref()), value(own));
    }
}

fn engine_label(engine: Option<u32>) -> Option<String> {
    engine.map(|number| number.to_string())
}

fn with_engine<'a>(
    labels: &[(&'static str, &'a str)],
    engine: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    labels.iter().copied().chain(engine.map(|engine| ("engine", engine))).collect()
}

/// Returns nanoseconds as seconds, exactly.
fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::control_api::sample;

    #[test]
    fn a_page_says_what_the_status_says() {
        let mut status = sample::busy();
        status.links.push(sample::account_link());
        let page = page_of(&status);
        for line in [
            "tercel_build_info{version=\"0.1.0\",mode=\"paper\"} 1",
            "tercel_halted{scope=\"engine\"} 0",
            "tercel_halted{scope=\"strategy:cross\"} 1",
            "tercel_equity{account=\"main\"} 100231.48",
            "tercel_position{strategy=\"maker\",instrument=\"BTCUSDT\"} -0.120",
            "tercel_limit_used{scope=\"strategy:maker\",limit=\"open_orders\"} 2",
            "tercel_strategy_faulted{strategy=\"cross\"} 1",
            "tercel_hook_latency_seconds{strategy=\"maker\",hook=\"on_book\",quantile=\"0.99\"} 0.000000431",
            "tercel_hook_latency_seconds_count{strategy=\"maker\",hook=\"on_book\"} 18012",
            "tercel_ring_depth_max{ring=\"market\"} 311",
            "tercel_journal_lag_records 7",
            "tercel_tape_dropped_total 12",
            "tercel_link_up{link=\"seeded\"} 1",
            "tercel_link_up{link=\"account main\"} 0",
            "tercel_link_events_total{link=\"seeded\"} 1199201",
        ] {
            assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        }
        assert!(!page.contains("tercel_link_events_total{link=\"account"), "not counted: {page}");
    }

    #[test]
    fn engines_have_labels_where_there_are_several() {
        let page = page_of(&sample::two_engines());
        for line in [
            "tercel_run{engine=\"1\"} 7",
            "tercel_run{engine=\"2\"} 8",
            "tercel_events_total{engine=\"2\"} 100",
            "tercel_journal_lag_records{engine=\"2\"} 2",
            "tercel_ring_depth_max{ring=\"market\",engine=\"2\"} 311",
            "tercel_link_up{link=\"seeded\",engine=\"1\"} 1",
            "tercel_limit_used{scope=\"engine\",limit=\"open_orders\",engine=\"2\"} 2",
            "tercel_limit_used{scope=\"strategy:maker\",limit=\"open_orders\"} 2",
            "tercel_equity{account=\"hedge\"} 5000",
        ] {
            assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        }
    }

    #[test]
    fn what_is_no_number_spoils_no_page() {
        let mut status = sample::busy();
        status.accounts[0].equity = "unknown".to_owned();
        assert!(page_of(&status).contains("tercel_equity{account=\"main\"} NaN\n"));
    }

    /// The rules of the format, checked as a reader of it would.
    #[test]
    fn a_page_follows_the_format() {
        check_format(&page_of(&sample::busy()));
        check_format(&page_of(&sample::two_engines()));
    }

    fn check_format(page: &str) {
        let mut families: BTreeMap<&str, &str> = BTreeMap::new();
        let mut samples = BTreeSet::new();
        let mut current = "";
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                current = help.split_once(' ').unwrap().0;
                assert!(!families.contains_key(current), "{current} twice");
                families.insert(current, "");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, current, "HELP and TYPE stand together");
                families.insert(name, kind);
            } else {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(samples.insert(sample), "{sample} twice");
                assert!(sample.starts_with(current), "{sample} stands in {current}");
                let legal = |c: char| c.is_ascii_lowercase() || c == '_';
                assert!(sample.split('{').next().unwrap().chars().all(legal), "{sample}");
            }
        }
        for (name, kind) in families {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        }
        assert!(samples.len() > 30);
    }
}
