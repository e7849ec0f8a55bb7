//! The runs that a start goes on from: found, sealed, read, and held against the configuration.

use std::path::Path;

use tercel_adapters::CutOff;
use tercel_core::{AccountId, Command, Event, Instrument, Seq, StrategyId};
use tercel_runtime::{RecoverError, Recovered, Shard, recover};
use tercel_store::journal::{Journal, JournalError, JournalOptions, JournalReader, Record};
use tercel_store::runs::{AccountKey, RunCatalog, RunFolder, RunGroup};

use super::scripts::abandoned;
use super::{destination, named};
use crate::data_folder::{blame, blame_run};
use crate::exit::{Blame, Failure, Outcome, input};
use crate::server_config::ServerFile;

/// What the last start left that came about: that of every engine.
pub(crate) struct Predecessors {
    /// Which runs they are.
    group: RunGroup,
    /// What each of them left, by the engines' indexes.
    pub(crate) runs: Vec<Recovered>,
    /// The keys that their accounts had, as far as they noted them.
    keys: Vec<AccountKey>,
    folders: Vec<RunFolder>,
    /// The runs of the starts before, the last one first.
    older: Vec<Vec<RunFolder>>,
}

impl Predecessors {
    /// Refuses what other engines, or engines of other shape, have left.
    pub(super) fn check(&self, shards: &[Shard], file: &ServerFile) -> Outcome<()> {
        let Self { group, runs, .. } = self;
        runs.iter().try_for_each(|recovered| destination::check(recovered, file))?;
        let deal = file.config.run.deal;
        let is_deal_equal = group.n == 1 || group.deal == deal.as_str();
        if runs.len() != shards.len() || !is_deal_equal {
            let of = |n: usize, deal: &str| match n {
                1 => "1 engine".to_owned(),
                _ => format!("{n} engines dealt by {deal}"),
            };
            return Err(input(format!(
                "{} had {}, the configuration has {}: whose positions and orders are whose is not \
                 known; restore [run] engines and deal, or begin anew with --fresh",
                self.named(),
                of(runs.len(), &group.deal),
                of(shards.len(), deal.as_str()),
            )));
        }
        runs.iter().zip(shards).try_for_each(|(recovered, shard)| check_shape(recovered, shard))
    }

    /// Refuses accounts with other keys than they had, unless that is meant; returns which those are.
    pub(super) fn check_keys(
        &self,
        now: &[AccountKey],
        has_new_keys: bool,
    ) -> Outcome<Vec<String>> {
        let others = destination::with_other_keys(&self.keys, now);
        if let (Some(name), false) = (others.first(), has_new_keys) {
            return Err(input(format!(
                "{} traded the account \"{name}\" with another key: what it holds and what it ordered may \
                 be another account's; restore the key, give --new-key if it is a new one of the same \
                 account, take another [run] data folder, or begin anew with --fresh",
                self.named()
            )));
        }
        let line = |name| format!("account {name} has another key, as --new-key says: taken over");
        Ok(others.into_iter().map(line).collect())
    }

    /// Returns, by the engines' indexes, the runs that were cut off with orders that may be on no record: the
    /// last one, and those before it as long as none after them has begun to trade, for by then the venue was
    /// asked.
    pub(super) fn cut_off(&self) -> Outcome<Vec<Vec<CutOff>>> {
        let mut found = Vec::new();
        for (index, (recovered, folder)) in self.runs.iter().zip(&self.folders).enumerate() {
            let mut own: Vec<_> = unrecorded(recovered).into_iter().collect();
            let mut has_traded = has_traded(folder)?;
            for older in &self.older {
                if has_traded || older.len() != self.folders.len() {
                    break;
                }
                if let Some(left) = left_by(&older[index])? {
                    own.extend(unrecorded(&left.recovered));
                    has_traded = self::has_traded(&older[index])?;
                }
            }
            found.push(own);
        }
        Ok(found)
    }

    /// Returns the folder of the first of them.
    pub(super) fn folder(&self) -> &Path {
        &self.folders[0].path
    }

    /// Returns the configuration that they were started with.
    pub(super) fn config(&self) -> &str {
        &self.runs[0].config
    }

    fn named(&self) -> String {
        named(self.group.first, self.group.n)
    }
}

/// Opens the runs of the last start that came about, seals them and reads what they left; `None` if there
/// was no such start.
///
/// The engines of a start wait for each other: none does anything before what each of them begins with
/// is durable. So a start of which only some runs have begun was cut off before it did anything, and
/// what counts is what came before it.
pub(crate) fn predecessors(catalog: &RunCatalog, seal: bool) -> Outcome<Option<Predecessors>> {
    let mut starts: Vec<(RunGroup, Vec<RunFolder>)> = Vec::new();
    for folder in catalog.folders().or_machine()? {
        let group = folder.group().or_input()?;
        match starts.last_mut() {
            Some((last, folders)) if *last == group => folders.push(folder),
            _ => starts.push((group, vec![folder])),
        }
    }
    while let Some((group, folders)) = starts.pop() {
        let left: Vec<_> = folders.iter().map(left_by).collect::<Outcome<_>>()?;
        let n_missing = left.iter().filter(|left| left.is_none()).count();
        let left: Vec<_> = left.into_iter().flatten().collect();
        if n_missing == 0 && u32::try_from(folders.len()) == Ok(group.n) {
            for left in left.iter().filter(|left| seal && !left.is_sealed) {
                seal_cut(&left.folder, &left.recovered)?;
            }
            // Each of them notes those of all.
            let keys = folders.first().map_or(Ok(Vec::new()), RunFolder::keys).map_err(blame)?;
            let runs = left.into_iter().map(|left| left.recovered).collect();
            let older = starts.into_iter().rev().map(|(_, folders)| folders).collect();
            return Ok(Some(Predecessors { group, runs, keys, folders, older }));
        }
        if let Some(acted) = left.iter().find(|left| left.recovered.last_seq > Seq(0)) {
            return Err(input(format!(
                "run {} is one of {} runs that belong together, from {} on, and has traded, but others \
                 of them are gone; put them back, or begin anew with --fresh",
                acted.folder.number, group.n, group.first
            )));
        }
    }
    Ok(None)
}

/// What a run that has begun left.
struct Left {
    folder: RunFolder,
    recovered: Recovered,
    is_sealed: bool,
}

/// Reads what a run left; `None` if it was cut off before it began.
fn left_by(folder: &RunFolder) -> Outcome<Option<Left>> {
    let path = folder.journal();
    if !path.exists() {
        return Ok(None);
    }
    let reader = match JournalReader::open(&path) {
        Ok(reader) => reader,
        // A run that was cut off while its journal was being made has done nothing.
        Err(JournalError::NoRun { .. }) => return Ok(None),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    match recover(&reader) {
        Ok(recovered) => {
            Ok(Some(Left { folder: folder.clone(), recovered, is_sealed: reader.is_sealed() }))
        }
        Err(RecoverError::NeverBegan) => Ok(None),
        Err(error) => Err(unreadable(folder, &error)),
    }
}

/// Returns which orders of a run may have been sent and be on no record.
pub(crate) fn unrecorded(recovered: &Recovered) -> Option<CutOff> {
    let may_lack = recovered.is_cut_off() && destination::sends_unrecorded(recovered);
    let numbers = recovered.lease.clone().filter(|lease| may_lack && !lease.is_empty())?;
    Some(CutOff { run: recovered.run, numbers, at: recovered.last_now })
}

/// Returns whether a run's strategies have begun.
fn has_traded(folder: &RunFolder) -> Outcome<bool> {
    let unreadable = |error: JournalError| unreadable(folder, &error);
    let reader = JournalReader::open(&folder.journal()).map_err(unreadable)?;
    for record in reader.records().map_err(unreadable)? {
        if let (_, Record::Entry(entry)) = record.map_err(unreadable)?
            && matches!(entry.event, Some(Event::Command(Command::Start(_))))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses a state that is about other instruments, accounts or strategies.
fn check_shape(recovered: &Recovered, shard: &Shard) -> Outcome<()> {
    let config = &shard.config;
    check_instruments(recovered, &config.instruments)?;
    let state = recovered.recovery.state();
    let then: Vec<_> = state.accounts.iter().map(|own| own.name.as_str()).collect();
    let now: Vec<_> = config.accounts.iter().map(|own| own.name.as_str()).collect();
    if then != now {
        return Err(differs(recovered.run, "accounts", &then, &now));
    }
    let on = |name: &str, account: AccountId| format!("{name} on {}", then[account.index()]);
    let (ours, theirs) = (&config.strategies, &state.strategies);
    let then: Vec<_> = theirs.iter().map(|own| on(&own.name, own.account)).collect();
    let now: Vec<_> = ours.iter().map(|own| on(&own.name, own.account)).collect();
    if then != now {
        return Err(differs(recovered.run, "strategies", &then, &now));
    }
    if state.assets != config.assets {
        return Err(differs(recovered.run, "assets", &state.assets, &config.assets));
    }
    for (id, own) in (0..).map(StrategyId).zip(&config.strategies) {
        if let Some(symbol) = abandoned(state, id, &own.instruments) {
            return Err(input(format!(
                "{} does not trade {symbol} any more, where run {} has left it a position or orders; \
                 let it trade {symbol}, flatten it there first, or begin anew with --fresh",
                own.name, recovered.run
            )));
        }
    }
    Ok(())
}

/// Refuses a state that is about other instruments.
pub(crate) fn check_instruments(recovered: &Recovered, instruments: &[Instrument]) -> Outcome<()> {
    let grid = |own: &Instrument| (own.spec.symbol.clone(), own.spec.tick, own.spec.lot);
    let then: Vec<_> = recovered.recovery.state().instruments.iter().map(grid).collect();
    let now: Vec<_> = instruments.iter().map(grid).collect();
    if then == now { Ok(()) } else { Err(differs(recovered.run, "instruments", &then, &now)) }
}

fn differs<T: std::fmt::Debug>(run: u32, what: &str, then: &T, now: &T) -> Failure {
    input(format!(
        "run {run} had the {what} {then:?}, the configuration has {now:?}: its positions and orders \
         would be lost; restore the configuration, or begin anew with --fresh"
    ))
}

fn unreadable(folder: &RunFolder, error: &dyn std::fmt::Display) -> Failure {
    input(format!(
        "{}: {error}; look at it with `tercel verify {}`; to trade without what it knows, begin \
         anew with --fresh",
        folder.path.display(),
        folder.number
    ))
}

fn seal_cut(folder: &RunFolder, recovered: &Recovered) -> Outcome<()> {
    let journal = Journal::open(&folder.journal(), JournalOptions::default());
    recovered.seal(journal.map_err(blame_run(folder))?).map_err(blame_run(folder))
}
