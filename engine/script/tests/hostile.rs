//! Scripts that mean harm: each is contained, the fault is visible, the intents are dropped, and
//! another strategy of the same engine goes on being called.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed, and one that counts says how many"
)]

mod support;

use std::path::{Path, PathBuf};

use support::Rig;
use tercel_core::{Effect, FaultKind, Notice, StrategyFault, StrategyId};
use tercel_script::{Language, Limits, Script, ScriptError, Source};

/// Longest that a call may take on a processor. Our own crate is not optimised in tests.
const MAX_MS: u64 = if cfg!(debug_assertions) { 200 } else { 50 };
/// Calls that a script gets to do its harm in.
const CALLS: i64 = 20;

const HEALTHY: &str = "strategy { name = 'healthy' }
    function on_book() plot('alive', 1) end";

/// What became of a script.
#[derive(Debug)]
enum Outcome {
    Refused(ScriptError),
    Faulted(StrategyFault),
    Harmless,
}

impl Outcome {
    fn fault(&self) -> Option<&StrategyFault> {
        match self {
            Self::Refused(ScriptError::Fault(fault)) | Self::Faulted(fault) => Some(fault),
            Self::Refused(_) | Self::Harmless => None,
        }
    }

    /// Returns whether one of the expected words describes it.
    fn is_one_of(&self, expected: &[&str]) -> bool {
        let refusal_expected = expected.contains(&"refused");
        match self {
            Self::Harmless => expected.contains(&"harmless"),
            Self::Refused(ScriptError::Fault(fault)) => {
                refusal_expected && expected.contains(&word(fault.kind))
            }
            Self::Refused(_) => refusal_expected,
            Self::Faulted(fault) => !refusal_expected && expected.contains(&word(fault.kind)),
        }
    }
}

const fn word(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Error => "error",
        FaultKind::Fuel => "fuel",
        FaultKind::Memory => "memory",
        FaultKind::Depth => "depth",
        FaultKind::Intents => "intents",
        FaultKind::Quota => "quota",
    }
}

/// Time that this thread has spent on a processor: waiting for one is not the script's doing.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Runs a script beside a healthy one. Returns what became of it and its longest call in ms.
fn run(script: Result<Script, ScriptError>, name: &str, load_ns: u64) -> (Outcome, u64) {
    let script = match script {
        Ok(script) => script,
        Err(error) => return (Outcome::Refused(error), load_ns / 1_000_000),
    };
    let healthy = support::check(Language::Luau, HEALTHY).unwrap();
    let mut longest = 0;
    let begin = cpu_ns();
    let mut rig = Rig::new(&[(&script, &[]), (&healthy, &[])], &["BTCUSDT"]);
    let mut fault = faults(&rig).pop();
    if fault.is_some() {
        longest = cpu_ns() - begin;
    }
    rig.effects.clear();
    for n in 0..CALLS {
        let begin = cpu_ns();
        rig.book(0, &[(1_000 - n, 5)], &[(1_010, 5)]);
        longest = longest.max(cpu_ns() - begin);
        let alive = rig.effects.as_slice().iter().any(|effect| {
            matches!(effect, Effect::Notice(Notice::Draw { strategy: StrategyId(1), .. }))
        });
        assert!(alive, "{name}: the healthy strategy is called on");
        if let Some(new) = faults(&rig).pop() {
            let sent = rig.effects.as_slice().iter().any(|e| matches!(e, Effect::Send(_)));
            assert!(!sent, "{name}: the intents of the failed call are dropped");
            fault = Some(new);
        }
        rig.effects.clear();
    }
    (fault.map_or(Outcome::Harmless, Outcome::Faulted), longest / 1_000_000)
}

fn faults(rig: &Rig) -> Vec<StrategyFault> {
    let effects = rig.effects.as_slice().iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Notice(Notice::Fault { strategy: StrategyId(0), fault }) => Some(fault.clone()),
            _ => None,
        })
        .collect()
}

fn corpus(language: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(language);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn hostile_luau_scripts_are_contained() {
    contain("lua", Language::Luau, "-- expect: ");
}

#[test]
fn hostile_rhai_scripts_are_contained() {
    contain("rhai", Language::Rhai, "// expect: ");
}

/// Runs the corpus of a language; the first line of each script says what must become of it.
fn contain(folder: &str, language: Language, mark: &str) {
    let paths = corpus(folder);
    let (mut failures, mut times) = (Vec::new(), Vec::new());
    for path in &paths {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let expected = text.lines().next().and_then(|line| line.strip_prefix(mark));
        let expected: Vec<_> = expected.unwrap_or("refused error").split(' ').collect();
        let begin = cpu_ns();
        let script = Script::load(path, &Limits::of(language));
        let (outcome, ms) = run(script, &file, cpu_ns() - begin);
        times.push((ms, file.clone()));
        if ms > MAX_MS {
            failures.push(format!("{file}: {ms} ms"));
        }
        if !outcome.is_one_of(&expected) {
            failures.push(format!("{file}: expected {expected:?}, got {outcome:?}"));
        }
        if let Some(fault) = outcome.fault()
            && (fault.file != file || fault.line == 0 || fault.message.len() > 2_000)
        {
            failures.push(format!("{file}: {fault:?} does not say where"));
        }
    }
    times.sort();
    let slowest: Vec<_> =
        times.iter().rev().take(3).map(|(ms, file)| format!("{file} {ms} ms")).collect();
    println!(
        "{} hostile {folder} scripts contained; the slowest: {}",
        paths.len(),
        slowest.join(", ")
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(paths.len() >= 40);
}

#[test]
fn sources_beyond_the_limit_are_refused_before_they_are_compiled() {
    let text = format!("strategy {{ name = 'x' }}\n{}", "local x = 1\n".repeat(30_000));
    let error = support::check(Language::Luau, &text).unwrap_err();
    assert!(matches!(error, ScriptError::TooLarge { limit: 262_144, .. }), "{error}");
}

#[test]
fn a_watchdog_ends_what_fuel_does_not_see() {
    // Comparing two long texts is one step of the machine, however long they are.
    let text = "strategy { name = 'compare' }
        local a, b = string.rep('x', 3000000) .. 'a', string.rep('x', 3000000) .. 'b'
        local n = 0
        function on_book() while a < b do n += 1 end end";
    let source = Source {
        path: "compare.luau".into(),
        file: "compare.luau".to_owned(),
        language: Language::Luau,
        text: text.to_owned(),
    };
    let limits = Limits { fuel: u32::MAX, ..Limits::of(Language::Luau) };
    let script = Script::check(source, &limits).unwrap();
    let mut rig = Rig::with_switches(&[(&script, &[])], &["BTCUSDT"]);
    let switch = rig.1.remove(0);
    let (started, wait) = std::sync::mpsc::channel();
    let watchdog = std::thread::Builder::new()
        .spawn(move || {
            wait.recv().unwrap();
            switch.stop();
        })
        .unwrap();
    started.send(()).unwrap();
    rig.0.book(0, &[(1_000, 5)], &[(1_010, 5)]);
    watchdog.join().unwrap();
    let log = rig.0.log();
    assert_eq!(log, ["operation limit: stopped by the watchdog (compare.luau:4)"]);
}
