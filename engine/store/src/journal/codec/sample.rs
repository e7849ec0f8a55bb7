//! Random values of everything that can be recorded, every variant of every type among them.

use std::sync::Arc;

use rust_decimal::Decimal;
use tercel_core::{
    AccountId, AssetId, ClientOrderId, Event, InstrumentId, MarketData, MarketEvent, Nanos,
    Notional, PlotId, Price, Quantity, Seq, SeriesId, StrategyId, VenueId,
};
use tercel_testkit::Random;

use crate::journal::record::{Entry, Record};

pub(crate) trait Sample {
    fn sample(random: &mut Random) -> Self;
}

impl Sample for u64 {
    /// Numbers of every length, as likely short as long.
    fn sample(random: &mut Random) -> Self {
        let shift = random.below(65);
        random.bits().checked_shr(u32::try_from(shift).unwrap()).unwrap_or(0)
    }
}

macro_rules! narrow {
    ($($name:ty),+) => {$(
        impl Sample for $name {
            fn sample(random: &mut Random) -> Self {
                Self::try_from(u64::sample(random) & u64::from(Self::MAX)).unwrap()
            }
        }
    )+};
}
narrow!(u16, u32);

impl Sample for i64 {
    fn sample(random: &mut Random) -> Self {
        let value = u64::sample(random).cast_signed();
        if random.chance(50) { value } else { value.wrapping_neg() }
    }
}

impl Sample for i128 {
    fn sample(random: &mut Random) -> Self {
        Self::from(i64::sample(random)) * Self::from(i64::sample(random))
    }
}

impl Sample for bool {
    fn sample(random: &mut Random) -> Self {
        random.chance(50)
    }
}

impl Sample for String {
    fn sample(random: &mut Random) -> Self {
        let len = if random.chance(5) { 300 } else { random.index(12) };
        (0..len).map(|_| ['a', '0', '\n', 'é', '漢', '\u{10ffff}'][random.index(6)]).collect()
    }
}

impl Sample for Arc<str> {
    fn sample(random: &mut Random) -> Self {
        String::sample(random).into()
    }
}

impl Sample for Decimal {
    fn sample(random: &mut Random) -> Self {
        Self::from_i128_with_scale(
            i128::sample(random) >> 32,
            u32::try_from(random.below(29)).unwrap(),
        )
    }
}

impl Sample for [u8; 32] {
    fn sample(random: &mut Random) -> Self {
        std::array::from_fn(|_| random.bits().to_le_bytes()[0])
    }
}

macro_rules! newtypes {
    ($($name:ident),+) => {$(
        impl Sample for $name {
            fn sample(random: &mut Random) -> Self {
                Self(Sample::sample(random))
            }
        }
    )+};
}
newtypes!(
    AccountId,
    AssetId,
    ClientOrderId,
    InstrumentId,
    Nanos,
    Notional,
    PlotId,
    Price,
    Quantity,
    Seq,
    SeriesId,
    StrategyId,
    VenueId
);

impl<T: Sample> Sample for Option<T> {
    fn sample(random: &mut Random) -> Self {
        random.chance(70).then(|| T::sample(random))
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(random: &mut Random) -> Self {
        Self::new(T::sample(random))
    }
}

impl<T: Sample> Sample for Arc<T> {
    fn sample(random: &mut Random) -> Self {
        Self::new(T::sample(random))
    }
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn sample(random: &mut Random) -> Self {
        (A::sample(random), B::sample(random))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(random: &mut Random) -> Self {
        (0..random.index(4)).map(|_| T::sample(random)).collect()
    }
}

impl<T: Sample> Sample for Box<[T]> {
    fn sample(random: &mut Random) -> Self {
        Vec::sample(random).into()
    }
}

/// An event that is journaled whole.
pub(crate) fn event(random: &mut Random) -> Event {
    match random.index(7) {
        0 => Event::Execution(Sample::sample(random)),
        1 => Event::Account(Sample::sample(random)),
        2 => Event::Link(Sample::sample(random)),
        3 => Event::Timer,
        4 => Event::Signal(Sample::sample(random)),
        5 => Event::Market(MarketEvent {
            venue_at: Sample::sample(random),
            received_at: Sample::sample(random),
            instrument: Sample::sample(random),
            data: MarketData::Funding { rate_e12: Sample::sample(random) },
        }),
        _ => Event::Command(Sample::sample(random)),
    }
}

impl Sample for Entry {
    fn sample(random: &mut Random) -> Self {
        Self {
            seq: Sample::sample(random),
            now: Sample::sample(random),
            event: random.chance(80).then(|| event(random)),
            effects: Sample::sample(random),
        }
    }
}

impl Sample for Record {
    fn sample(random: &mut Random) -> Self {
        match random.index(13) {
            0 => Self::RunStarted {
                run: Sample::sample(random),
                at: Sample::sample(random),
                config: Sample::sample(random),
                version: Sample::sample(random),
            },
            1 => Self::ScriptLoaded {
                strategy: Sample::sample(random),
                name: Sample::sample(random),
                hash: Sample::sample(random),
                source: Sample::sample(random),
                modules: Sample::sample(random),
                instruments: Sample::sample(random),
                seed: Sample::sample(random),
            },
            2 => Self::Params { strategy: Sample::sample(random), values: Sample::sample(random) },
            3 => Self::Limits { scope: Sample::sample(random), limits: Sample::sample(random) },
            4 => Self::IdLease { from: Sample::sample(random), to: Sample::sample(random) },
            5 => Self::Snapshot {
                seq: Sample::sample(random),
                now: Sample::sample(random),
                state_hash: Sample::sample(random),
                n_before: Sample::sample(random),
                bytes: (0..random.index(400)).map(|_| random.bits().to_le_bytes()[0]).collect(),
            },
            6 => Self::Gap {
                at: Sample::sample(random),
                seq: Sample::sample(random),
                n_market: Sample::sample(random),
                n_lost: Sample::sample(random),
                why: Sample::sample(random),
            },
            7 => Self::RunEnded {
                seq: Sample::sample(random),
                state_hash: Sample::sample(random),
                reason: Sample::sample(random),
            },
            8 => Self::Sent(Sample::sample(random)),
            _ => Self::Entry(Sample::sample(random)),
        }
    }
}
