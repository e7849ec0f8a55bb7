//! A run executed again tells the lines of scripts: of what they wished, and of where they differ.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;

use tercel_core::{Command, Engine, Event, Nanos, OrderRequest, Seq, Side, StrategyId};
use tercel_runtime::{Reexecuted, Reexecution, Version, placeholder, script_places};
use tercel_script::{Hook, Language, Limits, Script, Source};
use tercel_store::journal::{
    Journal, JournalOptions, JournalReader, Record, RecordedEffect, RunStart,
};
use tercel_store::market_tape::Taped;
use tercel_store::state;
use tercel_testkit::{Disk, DiskFaults, engine_config, level, linear};

const LANGUAGES: [Language; 2] = [Language::Luau, Language::Rhai];

fn version(language: Language, text: &str) -> Version {
    let file = match language {
        Language::Luau => "maker.luau",
        Language::Rhai => "maker.rhai",
    };
    let source =
        Source { path: file.into(), file: file.to_owned(), language, text: text.to_owned() };
    let script = Script::check(source, &Limits::of(language)).unwrap();
    Version::new(StrategyId(0), script, [], &[], &[linear(0)], 1).unwrap()
}

/// A maker that places its orders on line `line`, in a function that its hook calls, and two lines
/// further on when it takes over.
fn maker(language: Language, line: usize, price: i64) -> Version {
    let (gap, ask) = ("\n".repeat(line - 3), price + 700);
    let text = match language {
        Language::Luau => format!(
            "strategy {{ name = \"maker\" }}\nfunction on_book() place() end{gap}\
             function place()\n    buy(1, {price})\nend\n\
             function on_reload() sell(1, {ask}) end\n"
        ),
        Language::Rhai => format!(
            "strategy(#{{ name: \"maker\" }});\nfn on_book(a, b, c, d) {{ place(); }}{gap}\
             fn place() {{\n    buy(1, {price});\n}}\n\
             fn on_reload(old) {{ sell(1, {ask}); }}\n"
        ),
    };
    version(language, &text)
}

/// A maker that does nothing any more.
fn idler(language: Language) -> Version {
    version(
        language,
        match language {
            Language::Luau => "strategy { name = \"maker\" }\n\nfunction on_book() end",
            Language::Rhai => "strategy(#{ name: \"maker\" });\n\nfn on_book(a, b, c, d) { }",
        },
    )
}

/// What runs, and what the journal says that runs: two versions, the second from the middle on.
struct Versions {
    run: [Version; 2],
    told: [Version; 2],
}

/// Quotes, a reload, quotes; returns the journal and the tape.
fn record(versions: &Versions) -> (JournalReader, Vec<Taped>) {
    let disk = Disk::new(1, DiskFaults::default());
    let start = RunStart { run: 1, at: Nanos(0), config: String::new(), version: "0".to_owned() };
    let options = JournalOptions::default();
    let mut journal = Journal::create_on(disk.backend(), start, options).unwrap();
    let mut engine = Engine::new(&engine_config(vec![linear(0)]), vec![placeholder()]).unwrap();
    let (mut seq, mut effects, mut tape) = (Seq(0), Engine::effects(), Vec::new());
    for (n, (run, told)) in versions.run.iter().zip(&versions.told).enumerate() {
        run.take_over(&mut engine, n > 0).unwrap();
        for record in told.records() {
            journal.record(&record).unwrap();
        }
        if n == 0 {
            let (state_hash, bytes) = (engine.state_hash(), state::encode(engine.state()));
            let now = Nanos(0);
            let snapshot = Record::Snapshot { seq, now, state_hash, n_before: 1, bytes };
            journal.record(&snapshot).unwrap();
        }
        let begin = Event::Command(Command::Start(StrategyId(0)));
        let sides = [(Side::Buy, 900), (Side::Sell, 1_000)];
        let qty = 1 + i64::try_from(n).unwrap();
        let quotes = sides.map(|(side, price)| level(0, 0, side, price, qty));
        for event in std::iter::once(begin).chain(quotes) {
            seq.0 += 1;
            effects.clear();
            engine.handle(seq, Nanos(0), &event, &mut effects);
            if let Event::Market(event) = event {
                tape.push(Taped::Event { index: tape.len() as u64, event });
            }
            if !effects.is_empty() || !matches!(event, Event::Market(_)) {
                journal.entry(seq, Nanos(0), &event, effects.as_slice()).unwrap();
            }
        }
    }
    journal.end(seq, engine.state_hash(), "stopped").unwrap();
    (JournalReader::open_on(disk.backend()).unwrap(), tape)
}

fn again(versions: &Versions, noted: BTreeSet<Seq>) -> (Reexecuted, JournalReader) {
    let (journal, tape) = record(versions);
    let done = Reexecution {
        journal: &journal,
        tape: Some(tape.into_iter()),
        native: &|_| placeholder(),
        limits: &Limits::of,
        intents_per_call: 64,
        until: None,
        noted: Some(noted),
    }
    .run()
    .unwrap();
    (done, journal)
}

/// A place as people read it.
fn at(language: Language, hook: Hook, line: u32) -> String {
    let end = match language {
        Language::Luau => "luau",
        Language::Rhai => "rhai",
    };
    format!("maker.{end}:{line} in {}", hook.name())
}

#[test]
fn the_lines_of_orders_are_those_of_the_version_that_ran() {
    for language in LANGUAGES {
        let own = [maker(language, 5, 800), maker(language, 9, 810)];
        let versions = Versions { run: own.clone(), told: own };
        let (done, journal) = again(&versions, (0..20).map(Seq).collect());
        assert_eq!(done.difference, None, "{language:?}");
        let mut found = Vec::new();
        for record in journal.records().unwrap() {
            let (_, Record::Entry(entry)) = record.unwrap() else { continue };
            let places = script_places(&done.noted[&entry.seq], &entry.effects);
            for (effect, place) in entry.effects.iter().zip(places) {
                if let RecordedEffect::Send(OrderRequest::New { .. }) = effect {
                    found.push(place.unwrap().to_string());
                }
            }
        }
        let line = |hook, n| at(language, hook, n);
        let (first, last) = (line(Hook::Book, 5), line(Hook::Book, 9));
        let expected = [first.clone(), first, line(Hook::Reload, 11), last.clone(), last];
        assert_eq!(found, expected, "{language:?}");
    }
}

#[test]
fn a_difference_names_the_line_that_wishes_something_else() {
    for language in LANGUAGES {
        let own = maker(language, 5, 800);
        let run = [own.clone(), own.clone()];
        // The text of the second version is another than the one that ran.
        let told = [own, maker(language, 30, 777)];
        let difference = again(&Versions { run, told }, BTreeSet::new()).0.difference.unwrap();
        assert_eq!(difference.seq, Seq(4), "the start after the reload");
        assert!(difference.expected.contains("Price(1500)"), "{difference:?}");
        assert!(difference.got.contains("Price(1477)"), "{difference:?}");
        let place = difference.place.unwrap();
        assert_eq!(place.to_string(), at(language, Hook::Reload, 32));
        assert_eq!((place.strategy, place.is_begin), (StrategyId(0), false));

        let (run, told) = (maker(language, 5, 800), maker(language, 12, 801));
        let versions = Versions { run: [run.clone(), run], told: [told.clone(), told] };
        let difference = again(&versions, BTreeSet::new()).0.difference.unwrap();
        assert_eq!(difference.seq, Seq(2), "the first quote");
        assert_eq!(difference.place.unwrap().to_string(), at(language, Hook::Book, 12));
    }
}

#[test]
fn where_a_script_wishes_nothing_any_more_its_hook_is_named() {
    for language in LANGUAGES {
        let (run, told) = (maker(language, 5, 800), idler(language));
        let versions = Versions { run: [run.clone(), run], told: [told.clone(), told] };
        let difference = again(&versions, BTreeSet::new()).0.difference.unwrap();
        assert_eq!((difference.seq, difference.got.as_str()), (Seq(2), "nothing"));
        let place = difference.place.unwrap();
        assert!(place.is_begin);
        let line = place.line.as_ref().unwrap();
        assert_eq!((line.line, place.hook), (3, Some(Hook::Book)), "{language:?}");
        assert!(place.to_string().starts_with("on_book, which begins at maker."), "{place}");
    }
}

#[test]
fn the_line_of_a_fault_is_the_one_that_failed() {
    for language in LANGUAGES {
        let run = maker(language, 5, 800);
        let told = version(
            language,
            match language {
                Language::Luau => {
                    "strategy { name = \"maker\" }\nfunction on_book()\n error(\"no\")\nend"
                }
                Language::Rhai => {
                    "strategy(#{ name: \"maker\" });\nfn on_book(a, b, c, d) {\n throw \"no\";\n}"
                }
            },
        );
        let versions = Versions { run: [run.clone(), run], told: [told.clone(), told] };
        let difference = again(&versions, BTreeSet::new()).0.difference.unwrap();
        assert!(difference.got.contains("Fault"), "{difference:?}");
        assert_eq!(difference.place.unwrap().to_string(), at(language, Hook::Book, 3));
    }
}
