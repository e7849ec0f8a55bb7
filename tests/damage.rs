//! Commands that read a run whose journal is damaged: each says so with a remedy and a documented code.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "rig/mod.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod rig;

use std::process::Output;

use crate::rig::{Place, TRADER};

/// Returns how a command ended, which it did by itself and not by an abort.
fn code(what: &str, output: &Output) -> i32 {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!error.contains("panicked"), "{what}: {error}");
    output.status.code().unwrap_or_else(|| panic!("{what}: {}: {error}", output.status))
}

/// Damages the newest run in many places, and lets each command read it.
fn check(place: &Place) {
    let journal = place.runs().pop().unwrap().join("journal.redb");
    let whole = std::fs::read(&journal).unwrap();
    let commands: [&[&str]; 3] =
        [&["recover", "--dry-run"], &["replay", "1"], &["trace", "1", "T1-1", "--no-lines"]];
    let mut n_refused = [0; 4];
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at..(at + 64).min(whole.len())].fill(0xa5);
        let mut ask = |n: usize, args: &[&str], most: i32| {
            std::fs::write(&journal, &bytes).unwrap();
            let output = place.tercel(args);
            let what = format!("{args:?} with byte {at} damaged");
            let code = code(&what, &output);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!((0..=most).contains(&code), "{what}: {code}: {error}");
            if code == 2 {
                assert!(error.contains("tercel verify 1"), "{what}: {error}");
                n_refused[n] += 1;
            }
            code
        };
        for (n, args) in commands.into_iter().enumerate() {
            ask(n, args, 2);
        }
        // What a dry run cannot read no start can; it would trade on otherwise.
        if ask(0, commands[0], 2) == 2 {
            assert_eq!(ask(3, &["run", "--config", "tercel.toml"], 2), 2);
        }
    }
    assert!(n_refused.iter().all(|n| *n > 0), "{n_refused:?}");
    std::fs::write(&journal, &whole).unwrap();
    for args in commands {
        // One: a run that was killed is not compared to its end, which its tape lacks.
        assert!(code("whole", &place.tercel(args)) <= 1, "{args:?}");
    }
}

/// The database under a journal panics on some damage to its own pages. Where that was not expected the
/// process was aborted, and nobody was told which run it was or what to do.
#[test]
fn a_damaged_journal_is_told_with_its_remedy() {
    let place = Place::new(TRADER, "50.0");
    let mut server = place.start();
    server.wait_until(|status| status["seq"].as_u64() > Some(2_000));
    assert_eq!(server.stop("-TERM"), Some(0));
    check(&place);
}

#[test]
fn a_damaged_journal_of_a_run_that_was_killed_is_told_as_well() {
    let place = Place::new(TRADER, "50.0");
    let mut server = place.start();
    server.wait_until(|status| status["seq"].as_u64() > Some(2_000));
    server.kill();
    check(&place);
}
