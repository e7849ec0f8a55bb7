//! Positions and money in plain integers, kept beside the engine's own.

use std::collections::BTreeSet;

use tercel_core::{
    AccountId, ClientOrderId, Fill, InstrumentId, Notional, Price, Seq, Side, State, StrategyId,
};

use crate::invariant::{Checked, Invariant, Violation};
use crate::listing::{
    BASE, FUNDS, N_ACCOUNTS, N_INSTRUMENTS, N_STRATEGIES, PERPETUAL, QUOTE, SPOT, SPOT_LOT,
    account_of, unit,
};

/// What fills have added up to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ledger {
    /// Lots by strategy and instrument.
    lots: [[i64; N_INSTRUMENTS]; N_STRATEGIES],
    /// Quote that has flowed in, by strategy and instrument.
    flows: [[i128; N_INSTRUMENTS]; N_STRATEGIES],
    /// Fees paid by account, in base and quote.
    fees: [[i128; 2]; N_ACCOUNTS],
    /// Funding received by account.
    funding: [i128; N_ACCOUNTS],
    /// Which fills are in it.
    seen: BTreeSet<(ClientOrderId, u64)>,
}

/// A fill, with whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Booked {
    pub(crate) order: ClientOrderId,
    pub(crate) strategy: StrategyId,
    pub(crate) instrument: InstrumentId,
    pub(crate) side: Side,
    pub(crate) fill: Fill,
}

impl Ledger {
    /// Enters a fill, the first time that it comes.
    pub(crate) fn enter(&mut self, booked: &Booked) {
        let Booked { order, strategy, instrument, side, fill } = *booked;
        if !self.seen.insert((order, fill.trade_id)) {
            return;
        }
        let (who, what) = (strategy.index(), instrument.index());
        self.lots[who][what] += fill.qty.0 * side.sign();
        let value = i128::from(fill.price.0) * i128::from(fill.qty.0) * unit(instrument);
        self.flows[who][what] -= value * i128::from(side.sign());
        let fee = Notional::from_decimal(fill.fee).expect("fees have 8 places");
        self.fees[account_of(strategy).index()][fill.fee_asset.index()] += fee.0;
    }

    /// Pays funding on the perpetual, on what each account holds of it now.
    pub(crate) fn fund(&mut self, mark: Price, rate_e12: i64) {
        for n in 0..N_ACCOUNTS {
            let lots = self.account_lots(AccountId(u16::try_from(n).expect("two")), PERPETUAL);
            let owed = i128::from(lots) * i128::from(mark.0) * unit(PERPETUAL);
            // Rounded in favour of who is paid, to the last unit.
            self.funding[n] += (-owed * i128::from(rate_e12)).div_euclid(1_000_000_000_000);
        }
    }

    pub(crate) fn account_lots(&self, account: AccountId, instrument: InstrumentId) -> i64 {
        let own =
            (0..).map(StrategyId).zip(&self.lots).filter(|(id, _)| account_of(*id) == account);
        own.map(|(_, lots)| lots[instrument.index()]).sum()
    }

    pub(crate) const fn lots(&self, strategy: StrategyId, instrument: InstrumentId) -> i64 {
        self.lots[strategy.index()][instrument.index()]
    }

    /// Returns whether positions, money and fills are those of another, funding apart: only the
    /// engine's own events say when it is paid.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        self.lots == other.lots
            && self.flows == other.flows
            && self.fees == other.fees
            && self.seen == other.seen
    }

    pub(crate) fn n_fills(&self) -> usize {
        self.seen.len()
    }

    /// Compares an engine's positions with the sums.
    pub(crate) fn check_positions(&self, state: &State) -> Checked {
        let wrong = |who: String, expected: i64, found: i64| {
            Violation::new(
                Invariant::Positions,
                format!("{who} holds {expected} lots, the sum of its fills"),
                format!("{found} lots"),
            )
        };
        for (idx, instrument) in [PERPETUAL, SPOT].into_iter().enumerate() {
            for (n, strategy) in (0..).map(StrategyId).zip(&state.strategies) {
                let (expected, found) =
                    (self.lots(n, instrument), strategy.scope.positions[idx].qty.0);
                if expected != found {
                    let name = format!("{} in instrument {instrument}", strategy.name);
                    return Err(wrong(name, expected, found));
                }
            }
            let mut all = 0;
            for (n, account) in (0..).map(AccountId).zip(&state.accounts) {
                let (expected, found) =
                    (self.account_lots(n, instrument), account.scope.positions[idx].qty.0);
                all += expected;
                if expected != found {
                    let name = format!("account {n} in instrument {instrument}");
                    return Err(wrong(name, expected, found));
                }
            }
            let found = state.scope.positions[idx].qty.0;
            if all != found {
                let name = format!("the engine in instrument {instrument}");
                return Err(wrong(name, all, found));
            }
        }
        Ok(())
    }

    /// Compares an engine's balances with what has flowed, to the last unit.
    pub(crate) fn check_cash(&self, state: &State) -> Checked {
        for (idx, account) in state.accounts.iter().enumerate() {
            let id = AccountId(u16::try_from(idx).expect("two"));
            let flowed = |instrument: InstrumentId| -> i128 {
                let own = (0..).map(StrategyId).zip(&self.flows);
                own.filter(|(strategy, _)| account_of(*strategy) == id)
                    .map(|(_, flows)| flows[instrument.index()])
                    .sum()
            };
            let [fees_base, fees_quote] = self.fees[idx];
            let funds = FUNDS * Notional::ONE;
            let base = funds + i128::from(self.account_lots(id, SPOT)) * SPOT_LOT - fees_base;
            // Of the perpetual only what was closed has been settled: what is open has a cost.
            let open = account.scope.positions[PERPETUAL.index()];
            if open.qty.is_zero() && open.cost != Notional::ZERO {
                let found = format!("{} units", open.cost.0);
                return Err(Violation::new(Invariant::Cash, "no cost of a flat position", found));
            }
            let quote = funds + flowed(SPOT) + flowed(PERPETUAL) + open.cost.0 - fees_quote
                + self.funding[idx];
            for (asset, expected) in [(BASE, base), (QUOTE, quote)] {
                let found = account.balances[asset.index()].total.0;
                if found != expected {
                    return Err(Violation::new(
                        Invariant::Cash,
                        format!(
                            "account {id} has {expected} units of {}",
                            state.assets[asset.index()]
                        ),
                        format!("{found}, {} more", found - expected),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Something that moves money, as it went into the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    Fill(Booked),
    Funding { mark: Price, rate_e12: i64 },
}

/// The ledger of what the engine was told: goes back with it when a process dies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// As the process began.
    begun: Ledger,
    /// What came since.
    moves: Vec<(Seq, Move)>,
    now: Ledger,
}

impl Told {
    pub(crate) const fn now(&self) -> &Ledger {
        &self.now
    }

    pub(crate) fn take(&mut self, seq: Seq, step: Move) {
        self.moves.push((seq, step));
        apply(&mut self.now, &step);
    }

    /// Goes back to what was told up to the event `seq`, and begins from there.
    pub(crate) fn restart(&mut self, seq: Seq) {
        let moves = std::mem::take(&mut self.moves);
        moves
            .iter()
            .filter(|(at, _)| *at <= seq)
            .for_each(|(_, step)| apply(&mut self.begun, step));
        self.now = self.begun.clone();
    }
}

fn apply(ledger: &mut Ledger, step: &Move) {
    match step {
        Move::Fill(booked) => ledger.enter(booked),
        Move::Funding { mark, rate_e12 } => ledger.fund(*mark, *rate_e12),
    }
}
