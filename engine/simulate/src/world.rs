//! The world: what there is, and what happens next.

use std::cell::RefCell;
use std::rc::Rc;

use tercel_core::{Command, Event, Nanos, OrderRequest, Scope};
use tercel_runtime::Recorder;
use tercel_testkit::{Disk, DiskFaults, Random};

use crate::counts::Counts;
use crate::desk::Desk;
use crate::fault::Fault;
use crate::fuse::Fuse;
use crate::invariant::{Checked, Invariant, Violation};
use crate::judge::Judge;
use crate::ledger::Ledger;
use crate::life::Life;
use crate::market::{Market, Outlet};
use crate::net::Net;
use crate::plan::{Network, Plan};
use crate::restart::Past;
use crate::strategies::Scripts;
use crate::times::Times;
use crate::venue::Venue;

/// When the world begins: 2026-01-05 12:00 UTC.
const BEGUN: Nanos = Nanos(1_767_614_400 * Nanos::SECOND);

/// Cycles that one thing may lead to.
const CYCLES_MAX: usize = 2_000;

/// Everything.
pub(crate) struct World<'a> {
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) times: Times,
    pub(crate) scripts: &'a Scripts,
    pub(crate) market: Market,
    pub(crate) net: Rc<RefCell<Net>>,
    pub(crate) desk: Rc<Desk>,
    pub(crate) judge: Judge,
    pub(crate) counts: Counts<Fault>,
    pub(crate) life: Option<Life>,
    pub(crate) past: Vec<Past>,
    pub(crate) next_run: u32,
    /// Whether things still go wrong.
    pub(crate) is_stormy: bool,
    tick_at: i64,
    deed_at: i64,
    /// When the disk has done what is being committed.
    commit_at: Option<i64>,
    /// When what is being committed was begun.
    commit_since: i64,
    /// Until when the disk is slow, or refuses.
    pub(crate) slow_until: i64,
    pub(crate) disk_until: i64,
    /// Whether the machine dies with the process.
    pub(crate) takes_power: bool,
    /// Who is told the story.
    pub(crate) story: Option<&'a mut dyn FnMut(String)>,
    pub(crate) n_ticks: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        seed: u64,
        scripts: &'a Scripts,
        story: Option<&'a mut dyn FnMut(String)>,
    ) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let venue = Venue::new(Random::new(random.bits()), Ledger::default());
        let mut net = Net::new(venue, Random::new(random.bits()));
        net.set_faults(plan.network);
        let nowhere = Disk::new(seed, DiskFaults::default());
        Self {
            seed,
            plan,
            times: Times::new(BEGUN.plus(random.between(0, 23) * 3_600 * Nanos::SECOND)),
            random,
            scripts,
            market: Market::new(),
            net: Rc::new(RefCell::new(net)),
            desk: Rc::new(Desk::new(Fuse::new(nowhere))),
            judge: Judge::new(),
            counts: Counts::default(),
            life: None,
            past: Vec::new(),
            next_run: 1,
            is_stormy: true,
            tick_at: 0,
            deed_at: 0,
            commit_at: None,
            commit_since: 0,
            slow_until: 0,
            disk_until: 0,
            takes_power: false,
            story,
            n_ticks: 0,
        }
    }

    /// Tells the story, if anybody listens.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        let at = self.times.at();
        if let Some(story) = &mut self.story {
            let (seconds, rest) = (at / Nanos::SECOND, at % Nanos::SECOND);
            story(format!("{seconds:>6}.{:06} {}", rest / 1_000, line()));
        }
    }

    /// Lets happen what comes next.
    pub(crate) fn step(&mut self) -> Checked {
        if self.life.is_none() {
            return self.restart();
        }
        let now = self.next_at().max(self.times.at());
        self.times.reach(now);
        self.commit(now);
        self.net.borrow_mut().step(now, &self.market);
        let mut events = Vec::new();
        let utc = self.times.utc();
        let mut out = Outlet { events: &mut events, utc };
        self.market.answer(now, &mut out);
        if now >= self.tick_at {
            self.tick_at = now + self.random.between(1, 2 * self.plan.tick_ns);
            self.n_ticks += 1;
            let id = self.market.tick(&mut self.random, &mut out);
            let mut net = self.net.borrow_mut();
            net.venue.tick(id, utc, &self.market);
            net.carry(now);
        }
        self.feed(events);
        if self.is_stormy && now >= self.deed_at {
            self.deed_at = now + self.random.between(1, 2 * self.plan.deed_ns);
            self.deed()?;
        }
        self.pump()
    }

    fn next_at(&self) -> i64 {
        let mut at = self.tick_at.min(self.net.borrow().next_at());
        if self.is_stormy {
            at = at.min(self.deed_at);
        }
        at = at.min(self.commit_at.unwrap_or(i64::MAX));
        at = at.min(self.market.answer_at().unwrap_or(i64::MAX));
        // About when a timer is due: the loop's own clock decides.
        let timer = self.life.as_ref().and_then(|life| life.engine().next_deadline());
        if let Some(timer) = timer {
            let ahead = timer.since(self.times.utc());
            if ahead > 0 {
                at = at.min(self.times.at().saturating_add(ahead));
            }
        }
        at
    }

    /// Lets the disk do what it was given, when it has had its time.
    fn commit(&mut self, now: i64) {
        let Some(life) = &mut self.life else { return };
        if self.commit_at.is_some_and(|at| at <= now) {
            self.commit_at = None;
            let recorder = &mut life.running.parts_mut().recorder.inner;
            if recorder.commit() && now - self.commit_since >= Nanos::SECOND {
                self.counts.count(Fault::SlowDisk);
            }
            while recorder.commit() {}
        }
        if self.disk_until != 0 && now >= self.disk_until {
            self.disk_until = 0;
            life.disk.set_faults(DiskFaults::default());
        }
    }

    /// Sends market data on its way.
    pub(crate) fn feed(&mut self, events: Vec<Event>) {
        let Some(life) = &mut self.life else { return };
        life.market.tell_gaps();
        for event in events {
            life.n_market += 1;
            life.market.send(event);
        }
    }

    /// Lets the process work until it has nothing to do.
    pub(crate) fn pump(&mut self) -> Checked {
        // However often the loop goes around, its recorder looks after the disk at the first time.
        self.times.reach(self.times.at() + 2 * Nanos::MILLI);
        for _ in 0..CYCLES_MAX {
            let Some(life) = &mut self.life else { return Ok(()) };
            self.desk.may_speak.set(true);
            let is_busy = life.running.cycle();
            life.market.tell_gaps();
            self.look()?;
            if !self.desk.fuse.is_alive() {
                return self.die();
            }
            if !is_busy {
                self.schedule_commit();
                return Ok(());
            }
        }
        Err(Violation::new(Invariant::Liveness, "a loop that comes to rest", "one that does not"))
    }

    fn schedule_commit(&mut self) {
        let Some(life) = &self.life else { return };
        let progress = life.running.parts().recorder.progress();
        if self.commit_at.is_none() && progress.n_records > progress.n_durable {
            let now = self.times.at();
            let slow = (self.slow_until - now).max(0);
            self.commit_since = now;
            self.commit_at = Some(now + slow + self.random.between(1, 2 * self.plan.linger_ns));
        }
    }

    /// Lets the judge see what the last cycle did.
    fn look(&mut self) -> Checked {
        let entries = std::mem::take(&mut *self.desk.entries.borrow_mut());
        let sent = std::mem::take(&mut *self.desk.sent.borrow_mut());
        if let Some(violation) = self.desk.broken.borrow_mut().take() {
            return Err(violation);
        }
        let now = self.times.at();
        for instrument in std::mem::take(&mut *self.desk.resyncs.borrow_mut()) {
            self.market.ask(instrument, now + self.random.between(100, 2_000) * Nanos::MILLI);
        }
        let net = self.net.borrow();
        for entry in &entries {
            if entry.failure.as_ref().is_some_and(|why| why.contains("ring is full")) {
                self.counts.count(Fault::FullJournalRing);
            }
            if let Some(life) = &mut self.life
                && entry.is_journaled()
            {
                life.journaled.push(entry.seq);
            }
            if let Some(story) = &mut self.story {
                tell_entry(*story, now, entry);
            }
            self.judge.entry(entry, &net, &self.plan, &mut self.counts)?;
        }
        let Some(life) = &mut self.life else { return Ok(()) };
        for request in &sent {
            if let OrderRequest::New { id, .. } = request {
                life.id_max = life.id_max.max(Some(id.counter()));
                if self.plan.is_durable(request) {
                    life.durable.push(*id);
                }
            }
            self.judge.checks.count(Invariant::RecordedFirst);
        }
        let engine = &life.running.parts().engine;
        if self.desk.fuse.is_alive() && !(entries.is_empty() && sent.is_empty()) {
            self.judge.look(engine, &sent, &net, &self.plan)?;
            for entry in &entries {
                if let Event::Command(Command::Kill(scope)) = entry.event {
                    self.judge.check_kill(engine, scope)?;
                }
            }
        }
        let again = net.venue.again();
        self.judge.hold(Invariant::OnceOnly, again.is_none(), || {
            let found = again.map_or_else(String::new, |truth| {
                let (id, spec) = (truth.id, truth.spec);
                let end = truth.end.map_or("while it worked", |_| "after its end");
                format!("{id} ({:?}, {:?}) arrived again {end}", spec.kind, spec.tif)
            });
            ("each order arrives once".to_owned(), found)
        })
    }

    /// Nothing is being committed any more.
    pub(crate) const fn commit_at_nothing(&mut self) {
        self.commit_at = None;
        (self.slow_until, self.disk_until) = (0, 0);
    }

    /// Ends all that goes wrong.
    pub(crate) fn calm(&mut self) -> Checked {
        self.is_stormy = false;
        self.tell(|| "the faults end".to_owned());
        if self.life.is_some() && self.desk.fuse.is_lit() {
            // What was to die dies now.
            self.desk.fuse.blow();
            self.die()?;
        }
        self.net.borrow_mut().set_faults(Network::PERFECT);
        self.slow_until = 0;
        self.commit_at = self.commit_at.map(|_| self.times.at());
        if self.disk_until != 0 {
            self.disk_until = self.times.at();
        }
        let mut events = Vec::new();
        let mut out = Outlet { events: &mut events, utc: self.times.utc() };
        self.market.mend(self.times.at(), &mut out, &mut self.counts);
        self.feed(events);
        Ok(())
    }

    /// Lets the world go on for so long.
    pub(crate) fn pass(&mut self, span_ns: i64) -> Checked {
        let until = self.times.at() + span_ns;
        while self.life.is_none() || self.times.at() < until {
            self.step()?;
        }
        Ok(())
    }

    /// Gives a command, and lets it be taken.
    pub(crate) fn command(&mut self, command: Command) -> Checked {
        self.tell(|| format!("operator: {command:?}"));
        if let Some(life) = &self.life {
            life.handle.send(command).map_err(|error| {
                Violation::new(Invariant::Liveness, "room for a command", error.to_string())
            })?;
        }
        self.pump()
    }

    pub(crate) fn resume(&mut self, scope: Scope) -> Checked {
        self.command(Command::Resume(scope))
    }
}

fn tell_entry(story: &mut dyn FnMut(String), at: i64, entry: &crate::desk::Entry) {
    let (seconds, rest) = (at / Nanos::SECOND, at % Nanos::SECOND / 1_000);
    let crate::desk::Entry { seq, event, effects, failure, .. } = entry;
    story(format!("{seconds:>6}.{rest:06}   #{seq} {event:?}"));
    for effect in effects {
        story(format!("                   -> {effect:?}"));
    }
    if let Some(failure) = failure {
        story(format!("                   !! {failure}"));
    }
}
