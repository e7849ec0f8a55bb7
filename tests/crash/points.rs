//! Killed at every named point.

use std::num::NonZeroU32;

use tercel_crash::{ENABLED, Point, VARIABLE, Wish};

use crate::audit::{Audit, audit};
use crate::rig::Place;
use crate::{Deaths, at_once, script};

/// What has to be done for a point to be passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Needs {
    /// Nothing: every life passes it.
    Life,
    /// A run before that was cut off.
    Predecessor,
    /// A request to stop.
    Stop,
    /// A script that changes.
    Save,
    /// A command.
    Command,
    /// A tape that fills a segment.
    LongTape,
    /// Half of the order numbers of a lease.
    ManyOrders,
    /// An account at a venue, spoken to over sockets.
    Venue,
    /// An account at a venue, spoken to by calls.
    Calls,
}

/// What a point needs, and the counts at which the process dies there.
pub(crate) const fn plan(point: Point) -> (Needs, &'static [u32]) {
    // Passed once in a life: twice, because the lives before differ.
    const ONCE: &[u32] = &[1, 1];
    const OFTEN: &[u32] = &[1, 7, 40];
    const SELDOM: &[u32] = &[1, 2];
    match point {
        Point::PredecessorSeal | Point::PredecessorSealed => (Needs::Predecessor, ONCE),
        Point::RunNumbered
        | Point::RunFolder
        | Point::JournalMade
        | Point::JournalBegun
        | Point::JournalNamed
        | Point::BeginScripts
        | Point::BeginState
        | Point::Begun
        | Point::StrategiesStart
        | Point::StrategiesStarted
        | Point::LeaseHandOver
        | Point::LeaseHandedOver
        | Point::LeaseDurable => (Needs::Life, ONCE),
        Point::EventHandled
        | Point::EventRecorded
        | Point::RequestBegin
        | Point::RequestEnd
        | Point::ReportTaken
        | Point::ReportHandled
        | Point::TimerDue
        | Point::TimerHandled
        | Point::EntryHandOver
        | Point::EntryHandedOver
        | Point::BlockGathered
        | Point::BlockWritten
        | Point::CommitBegin
        | Point::CommitEnd
        | Point::CommitTold => (Needs::Life, OFTEN),
        Point::RecordAside
        | Point::SnapshotBegin
        | Point::SnapshotCopied
        | Point::SnapshotEncoded
        | Point::SnapshotHandOver
        | Point::SnapshotHandedOver
        | Point::TapeBlock
        | Point::TapeBlockWritten
        | Point::TapeBlockFlushed => (Needs::Life, SELDOM),
        Point::CommandTaken | Point::CommandHandled => (Needs::Command, ONCE),
        Point::ReloadBegin | Point::ReloadRecorded | Point::ReloadPlaced | Point::ReloadStarted => {
            (Needs::Save, ONCE)
        }
        Point::TapeSegment => (Needs::LongTape, SELDOM),
        Point::TapeSegmentFull | Point::TapeSegmentEnded => (Needs::LongTape, ONCE),
        Point::LeaseRenewed => (Needs::ManyOrders, ONCE),
        Point::StrategiesStop
        | Point::StrategiesStopped
        | Point::EndBegin
        | Point::EndState
        | Point::EndSealed
        | Point::EndTape => (Needs::Stop, ONCE),
        Point::SocketSend | Point::SocketSent | Point::NewsTaken | Point::NewsTold => {
            (Needs::Venue, SELDOM)
        }
        Point::CallSubmit | Point::CallSubmitted => (Needs::Calls, SELDOM),
    }
}

/// Every point that needs one of these, with each of its counts.
pub(crate) fn wishes(needs: &[Needs]) -> Vec<Wish> {
    let points = Point::ALL.iter().filter(|point| needs.contains(&plan(**point).0));
    points
        .flat_map(|point| {
            let counts = plan(*point).1.iter();
            counts.map(|count| Wish { point: *point, count: NonZeroU32::new(*count).unwrap() })
        })
        .collect()
}

/// Says so and returns true if this build cannot die at its points.
pub(crate) fn is_skipped() -> bool {
    if !ENABLED {
        println!("skipped: only builds with debug assertions have crash points");
    }
    !ENABLED
}

/// Lets a server die at each of the points, one life after another.
pub(crate) fn die_at(place: &Place, wishes: &[Wish], deaths: &mut Deaths) {
    for (n, wish) in wishes.iter().enumerate() {
        if plan(wish.point).0 == Needs::Predecessor {
            place.start().kill();
        }
        let mut server = place.spawn(&[(VARIABLE, &wish.to_string())]);
        // Some points lie before that.
        if server.is_up() {
            let needs = plan(wish.point).0;
            if matches!(needs, Needs::Stop | Needs::Save | Needs::Command) {
                server.wait_until(|status| status["seq"].as_u64() > Some(0));
            }
            match needs {
                Needs::Life | Needs::LongTape | Needs::ManyOrders | Needs::Venue | Needs::Calls => {
                }
                Needs::Predecessor => panic!("{wish} was not reached"),
                Needs::Stop => server.signal("-TERM"),
                Needs::Save => {
                    let text = std::fs::read_to_string(place.script()).unwrap();
                    std::fs::write(place.script(), format!("{text}-- {n}\n")).unwrap();
                }
                // Whoever asked is not answered.
                Needs::Command => drop(place.tercel(&["ctl", "resume", "engine"])),
            }
        }
        deaths.wait(server, place, wish);
    }
}

pub(crate) fn set(place: &Place, from: &str, to: &str) {
    let config = std::fs::read_to_string(place.path("tercel.toml")).unwrap();
    assert!(config.contains(from), "{config}");
    std::fs::write(place.path("tercel.toml"), config.replace(from, to)).unwrap();
}

/// A folder in which snapshots come soon.
pub(crate) fn place_on_paper(script: &str, pace: &str) -> Place {
    let place = Place::new(script, pace);
    set(&place, "snapshot_every_entries = 200", "snapshot_every_entries = 100");
    set(&place, "[metrics]", "[reload]\nsettle_ms = 0\n[metrics]");
    place
}

#[test]
fn at_every_point_of_a_run_on_paper() {
    if is_skipped() {
        return;
    }
    let needs = [Needs::Life, Needs::Predecessor, Needs::Stop, Needs::Save, Needs::Command];
    let wishes = wishes(&needs);
    let parts = at_once(wishes.chunks(wishes.len().div_ceil(3)), |wishes| {
        let place = place_on_paper(&script(500, 700), "200.0");
        let mut deaths = Deaths::default();
        die_at(&place, wishes, &mut deaths);
        assert_eq!(place.start().stop("-TERM"), Some(0));
        let found = audit(&place, &deaths);
        assert_eq!(deaths.n, wishes.len());
        // Where a life ends before its run has a journal, there is none.
        assert!(found.n_runs > deaths.n / 2, "{} runs of {}", found.n_runs, deaths.n);
        found
    });
    let sum = |of: fn(&Audit) -> usize| parts.iter().map(of).sum::<usize>();
    let (n_runs, n_orders) = (sum(|found| found.n_runs), sum(|found| found.sent.len()));
    let (n_fills, n_fired) = (sum(|found| found.trades.len()), sum(Audit::n_fired));
    let n_replayed: u64 = parts.iter().map(|found| found.n_replayed).sum();
    println!(
        "{} kills at points: {n_runs} runs, {n_orders} orders, {n_fills} fills, {n_fired} timers, \
         {n_replayed} events replayed",
        wishes.len()
    );
    assert!(n_orders > 500 && n_fired > 200, "it trades");
    assert!(n_replayed > 20_000);
}

/// Uses up order numbers with orders that risk refuses.
const FLOOD: &str = r#"
strategy { name = "trader", timers = { beat = 500 } }
function on_timer(name)
    for n = 1, 250 do buy(0.01, bid() - 5000) end
    cancel_all()
end
"#;

#[test]
fn at_the_points_that_come_late() {
    if is_skipped() {
        return;
    }
    for (needs, text) in
        [(Needs::LongTape, script(5_000, 7_000)), (Needs::ManyOrders, FLOOD.to_owned())]
    {
        let place = place_on_paper(&text, "\"max\"");
        set(&place, "[reload]", "[tape]\nsegment_mb = 1\n[reload]");
        if needs == Needs::ManyOrders {
            set(&place, "[reload]", "[limits.strategy]\nopen_orders = 3\n[reload]");
        }
        let mut deaths = Deaths::default();
        die_at(&place, &wishes(&[needs]), &mut deaths);
        assert_eq!(place.start().stop("-TERM"), Some(0));
        let found = audit(&place, &deaths);
        assert!(found.n_runs == deaths.n + 1, "{} runs of {}", found.n_runs, deaths.n);
    }
}
