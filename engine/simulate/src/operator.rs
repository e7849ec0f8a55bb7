//! What people and fate do to a running process.

use std::sync::mpsc::sync_channel;

use tercel_core::{AccountId, Command, Nanos, Scope, StrategyId, Value};
use tercel_runtime::{Directive, Load, Waiting};
use tercel_testkit::DiskFaults;

use crate::fault::Fault;
use crate::invariant::{Checked, Invariant, Violation};
use crate::listing::{MAKER, TAKER};
use crate::market::Outlet;
use crate::strategies::{Edition, Scripts};
use crate::world::World;

impl World<'_> {
    /// Does one thing.
    pub(crate) fn deed(&mut self) -> Checked {
        if self.random.chance(self.plan.fate) { self.fate() } else { self.operate() }?;
        // Somebody looks after it now and then.
        if self.random.chance(40) {
            self.attend()?;
        }
        Ok(())
    }

    /// Starts what stands still and lets everything trade again.
    pub(crate) fn attend(&mut self) -> Checked {
        for id in [MAKER, TAKER] {
            if self.life.is_some() && !self.judge.running[id.index()] {
                self.load(id, Edition::First)?;
            }
        }
        for scope in scopes() {
            self.resume(scope)?;
        }
        Ok(())
    }

    fn operate(&mut self) -> Checked {
        let scripted = if self.random.chance(50) { MAKER } else { TAKER };
        let scope = scopes()[self.random.index(6)];
        match self.random.below(14) {
            0 | 1 => {
                let lots = self.random.between(1, 9);
                self.set(scripted, "lots", lots)
            }
            2 => {
                let fault = self.random.between(1, 3);
                self.set(scripted, "fault", fault)
            }
            3 => self.load(scripted, Edition::Second),
            4 => self.load(scripted, Edition::First),
            5 => self.load(scripted, Edition::Broken),
            6 => {
                if Scripts::refuse(scripted).is_none() {
                    let found = "it was taken";
                    return Err(Violation::new(Invariant::BadScript, "a refusal", found));
                }
                self.counts.count(Fault::BrokenReload);
                Ok(())
            }
            7 | 8 => self.command(Command::Reduce(scope)),
            9 | 10 => self.command(Command::Kill(scope)),
            11 => self.command(Command::Flatten(scope)),
            _ => self.resume(scope),
        }
    }

    fn set(&mut self, strategy: StrategyId, name: &str, value: i64) -> Checked {
        let values = [(name.into(), Value::Integer(value))];
        self.command(Command::SetParams(strategy, values.into()))
    }

    /// Loads a version of a script.
    fn load(&mut self, strategy: StrategyId, edition: Edition) -> Checked {
        self.tell(|| format!("operator: load {edition:?} of strategy {strategy}"));
        // While a version is built, the loop judges by the real time what it does between: nothing else
        // may be waiting.
        self.pump()?;
        let Some(life) = &mut self.life else { return Ok(()) };
        let lots = Value::Integer(self.random.between(1, 5));
        let params = [("lots".to_owned(), lots)];
        let version = self
            .scripts
            .version(strategy, edition, &params, self.seed)
            .map_err(|error| Violation::new(Invariant::Liveness, "a version", error.to_string()))?;
        let (answer, answered) = sync_channel(1);
        let load = Load { version, shadow: 0, waiting: Waiting::default(), answer };
        life.handle.direct(Directive::Load(Box::new(load))).map_err(|error| {
            Violation::new(Invariant::Liveness, "room for a load", error.to_string())
        })?;
        life.loads.push((answered, edition != Edition::Broken));
        self.pump()?;
        let Some(life) = &mut self.life else { return Ok(()) };
        for (answered, is_good) in std::mem::take(&mut life.loads) {
            match answered.try_recv() {
                Ok(Ok(_)) if is_good => self.counts.count(Fault::Reload),
                Ok(Err(_)) if !is_good => self.counts.count(Fault::BrokenReload),
                Ok(Ok(_)) => {
                    let found = "it runs";
                    let expected = "a version that fails in its first call is stopped";
                    return Err(Violation::new(Invariant::BadScript, expected, found));
                }
                // A good version may be refused while nothing is recorded.
                Ok(Err(_)) => {}
                Err(_) => {
                    let found = "none";
                    return Err(Violation::new(Invariant::Liveness, "an answer to a load", found));
                }
            }
        }
        Ok(())
    }

    fn fate(&mut self) -> Checked {
        let now = self.times.at();
        let Some(life) = &mut self.life else { return Ok(()) };
        match self.random.below(17) {
            0..3 => self.kill(false),
            3..6 => self.kill(true),
            6 => {
                self.slow_until = now + self.random.between(1, 9) * Nanos::SECOND;
                self.tell(|| "fate: the disk is slow".to_owned());
            }
            7 => {
                let fail_at = Some(1 + self.random.below(12));
                life.disk.set_faults(DiskFaults { fail_at, ..DiskFaults::default() });
                self.disk_until = now + 20 * Nanos::SECOND;
                self.tell(|| "fate: the disk will fail".to_owned());
            }
            8 => {
                let len = life.disk.content().len() as u64;
                let capacity = Some(if self.random.chance(50) { len / 3 } else { len });
                life.disk.set_faults(DiskFaults { capacity, ..DiskFaults::default() });
                self.disk_until = now + self.random.between(3, 15) * Nanos::SECOND;
                self.tell(|| "fate: the disk is full".to_owned());
            }
            9 => return self.flood_journal(),
            10 => return self.flood_market(),
            11 => {
                let span = self.random.between(1, 900) * Nanos::SECOND;
                self.counts.count(Fault::ClockJump);
                self.tell(|| format!("fate: {span} ns pass at once"));
                self.times.reach(now + span);
            }
            12 => {
                let span = self.random.between(-5_400, 5_400) * Nanos::SECOND;
                self.counts.count(Fault::ClockSet);
                self.tell(|| format!("fate: the clock is set by {span} ns"));
                self.times.set_by(span);
            }
            13 | 14 => {
                let mut events = Vec::new();
                let mut out = Outlet { events: &mut events, utc: self.times.utc() };
                if self.random.chance(50) {
                    self.market.gap(&mut self.random, &mut out);
                } else {
                    self.market.cross(&mut self.random, &mut out);
                }
                self.feed(events);
            }
            _ => {
                let mut events = Vec::new();
                let mut out = Outlet { events: &mut events, utc: self.times.utc() };
                self.market.flip_link(&mut self.random, now, &mut out, &mut self.counts);
                self.feed(events);
            }
        }
        Ok(())
    }

    /// Lets the process die soon: at a number of boundaries from now, or of its disk's operations.
    fn kill(&mut self, power: bool) {
        if self.desk.fuse.is_lit() {
            return;
        }
        self.takes_power = power;
        let Some(life) = &self.life else { return };
        if self.random.chance(50) {
            let cut_at = Some(1 + self.random.below(25));
            life.disk.set_faults(DiskFaults { cut_at, ..DiskFaults::default() });
            // At the latest.
            self.desk.fuse.light(400);
        } else {
            let n = u32::try_from(self.random.below(60)).expect("below 60");
            self.desk.fuse.light(n);
        }
        self.tell(|| format!("fate: {} soon", if power { "a power cut" } else { "a crash" }));
    }

    /// Lets more happen than the journal's ring has room for, while the disk does nothing.
    fn flood_journal(&mut self) -> Checked {
        self.tell(|| "fate: much happens while the disk does nothing".to_owned());
        self.slow_until = self.times.at() + 6 * Nanos::SECOND;
        for n in 0..80 {
            if self.life.is_none() {
                break;
            }
            // Entries that nothing else depends on.
            let id = if n % 2 == 0 { MAKER } else { TAKER };
            self.set(id, "lots", 1 + n % 9)?;
        }
        Ok(())
    }

    /// Lets the market say more than there is room for, while the engine does nothing.
    fn flood_market(&mut self) -> Checked {
        self.tell(|| "fate: the engine sleeps while the market goes on".to_owned());
        let dropped =
            |world: &Self| world.life.as_ref().map_or(0, |life| life.ring.status().n_dropped);
        let before = dropped(self);
        for _ in 0..400 {
            let mut events = Vec::new();
            let mut out = Outlet { events: &mut events, utc: self.times.utc() };
            self.market.tick(&mut self.random, &mut out);
            self.feed(events);
            if dropped(self) > before + 5 {
                self.counts.count(Fault::FullMarketRing);
                break;
            }
        }
        self.pump()
    }
}

/// Returns every scope that is switched.
pub(crate) const fn scopes() -> [Scope; 6] {
    [
        Scope::Engine,
        Scope::Account(AccountId(0)),
        Scope::Account(AccountId(1)),
        Scope::Strategy(StrategyId(0)),
        Scope::Strategy(StrategyId(1)),
        Scope::Strategy(StrategyId(2)),
    ]
}
