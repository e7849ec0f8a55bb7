//! Killed at moments that chance picks.

use std::time::Duration;

use tercel_testkit::Random;

use crate::audit::{Audit, audit};
use crate::points::place_on_paper;
use crate::{Deaths, at_once, script};

/// How many random kills there are in all.
pub(crate) fn n_kills() -> usize {
    let wanted = std::env::var("TERCEL_KILLS").ok();
    wanted.map_or(200, |text| text.parse().unwrap())
}

/// Kills in one folder. Their runs are checked when all are over.
const KILLS_PER_FOLDER: usize = 40;

#[test]
fn at_any_moment_on_paper() {
    let n_kills = n_kills();
    let found: Vec<_> = at_once([0, 1, 2], |part| {
        let mut random = Random::new(20_261_121 + part);
        let (mut left, mut found) = (n_kills.div_ceil(3), Vec::new());
        while left > 0 {
            let most = KILLS_PER_FOLDER.min(left);
            found.push(kill(&mut random, most));
            left -= most;
        }
        found
    });
    let found: Vec<_> = found.into_iter().flatten().collect();
    let n_orders: usize = found.iter().map(|found| found.sent.len()).sum();
    let n_replayed: u64 = found.iter().map(|found| found.n_replayed).sum();
    println!(
        "{} kills at any moment: {n_orders} orders, {n_replayed} events replayed",
        n_kills.div_ceil(3) * 3
    );
    assert!(n_orders > 2 * n_kills, "it trades: {n_orders} orders");
    assert!(found.iter().all(|found| found.n_fired() > 0));
}

/// Kills a server so often, and checks what its folder holds then.
fn kill(random: &mut Random, n_kills: usize) -> Audit {
    let place = place_on_paper(&script(500, 700), "200.0");
    let mut deaths = Deaths::default();
    while deaths.n < n_kills {
        let mut server = place.spawn(&[]);
        // Every fifth dies while it starts, the others soon after.
        let is_early = deaths.n % 5 == 4;
        let most_ms = if is_early { 90 } else { 300 };
        if !is_early {
            server.wait_up();
        }
        let ms = random.between(0, most_ms);
        std::thread::sleep(Duration::from_millis(u64::try_from(ms).unwrap()));
        server.kill();
        deaths.note(&place, format!("{ms} ms{}", if is_early { " of its start" } else { "" }));
    }
    assert_eq!(place.start().stop("-TERM"), Some(0));
    audit(&place, &deaths)
}
