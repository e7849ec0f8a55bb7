//! What it means for the server that its engines ended.

use tercel_core::ClientOrderId;
use tercel_runtime::{EndCause, Ending, StartOff};

use super::begin::machine;
use super::{Server, now};
use crate::exit::{Answer, Failure, Outcome};
use crate::server_config::sections::Mode;

/// Returns whether an engine has failed.
pub(super) fn is_failure(ended: &Outcome<Ending>) -> bool {
    !matches!(
        ended,
        Ok(Ending { cause: EndCause::Stopped | EndCause::SourceEnded, record_failure: None, .. })
    )
}

/// Tells how each engine ended, and returns what the server ends with: the failure that was the cause of
/// others, if there was any.
pub(super) fn judge(server: &Server, endings: Vec<(usize, Outcome<Ending>)>) -> Outcome {
    let mut failures = Vec::new();
    for (index, ended) in endings {
        let failure = match ended {
            Err(failure) => Some(failure),
            Ok(ending) => {
                let mut text = format!(
                    "run {} {}: {} market events, {} reports, {} requests",
                    server.engines[index].run,
                    ending.cause,
                    ending.summary.n_events,
                    ending.summary.n_reports,
                    ending.summary.n_requests
                );
                // A simulated venue, and with it every order, ends with the process.
                let stay = if server.mode == Mode::Paper.as_str() {
                    None
                } else {
                    those_that_stay(&ending.open_orders)
                };
                let level = if stay.is_some() { "warn" } else { "info" };
                text.extend(stay);
                server.notices.tell(now(), level, text.clone());
                eprintln!("{text}");
                failure_of(ending)
            }
        };
        failures.extend(failure.map(|failure| (index, failure)));
    }
    // Those that did not start because of another one are not the cause.
    failures.sort_by_key(|(_, failure)| is_start_off(failure));
    let mut failures = failures.into_iter().map(|(index, failure)| match server.engines.len() {
        1 => failure,
        _ => of_engine(index, server.engines[index].run, failure),
    });
    let Some(cause) = failures.next() else { return Ok(Answer::Good) };
    for other in failures {
        eprintln!("error: {other}");
    }
    Err(cause)
}

/// Says which orders stay at the venue, if any.
fn those_that_stay(orders: &[ClientOrderId]) -> Option<String> {
    let names: Vec<_> = orders.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match orders.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let names = names.join(", ");
    match orders.len() {
        0 => None,
        1 => Some(format!("; 1 open order stays at the venue: {names}")),
        n => Some(format!("; {n} open orders stay at the venue: {names}{more}")),
    }
}

/// Most orders that are named in one line.
const NAMED: usize = 20;

fn failure_of(ending: Ending) -> Option<Failure> {
    if let Some(failure) = ending.record_failure {
        return Some(machine(format!("the end of the run is not recorded: {failure}")));
    }
    match ending.cause {
        EndCause::Stopped | EndCause::SourceEnded => None,
        EndCause::SourceFailed(failure) => Some(machine(format!("the feed failed: {failure}"))),
    }
}

fn is_start_off(failure: &Failure) -> bool {
    matches!(failure, Failure::Machine(error) if error.is::<StartOff>())
}

fn of_engine(index: usize, run: u32, failure: Failure) -> Failure {
    let whose = format!("engine {} (run {run})", index + 1);
    match failure {
        Failure::Input(error) => Failure::Input(error.context(whose)),
        Failure::Machine(error) => Failure::Machine(error.context(whose)),
    }
}

#[cfg(test)]
mod tests {
    use tercel_runtime::SourceFailure;
    use tercel_sim::Summary;

    use super::*;

    #[test]
    fn a_failure_is_one_and_an_end_is_none() {
        let ended = |cause| {
            Ok(Ending {
                cause,
                summary: Summary::default(),
                open_orders: Vec::new(),
                record_failure: None,
            })
        };
        assert!(!is_failure(&ended(EndCause::Stopped)));
        assert!(!is_failure(&ended(EndCause::SourceEnded)));
        assert!(is_failure(&ended(EndCause::SourceFailed(SourceFailure("torn".to_owned())))));
        assert!(is_failure(&Err(machine("no disk".to_owned()))));
    }

    #[test]
    fn the_first_of_many_orders_that_stay_are_named() {
        let orders: Vec<_> = (1..=22).map(|n| ClientOrderId::new(3, n)).collect();
        assert_eq!(those_that_stay(&[]), None);
        let one = those_that_stay(&orders[..1]).unwrap();
        assert_eq!(one, format!("; 1 open order stays at the venue: {}", orders[0]));
        let all = those_that_stay(&orders).unwrap();
        assert!(all.starts_with("; 22 open orders stay at the venue: "), "{all}");
        assert!(all.ends_with(&format!(", {} and 2 more", orders[19])), "{all}");
    }

    #[test]
    fn who_did_not_start_because_of_another_is_not_the_cause() {
        let off = Failure::Machine(StartOff.into());
        assert!(is_start_off(&off) && !is_start_off(&machine("no disk".to_owned())));
        let told = of_engine(1, 13, machine("no disk".to_owned()));
        assert_eq!(told.to_string(), "engine 2 (run 13): no disk");
    }
}
