use std::collections::BTreeSet;

use expect_test::expect;
use proptest::prelude::*;
use tercel_core::{
    AccountId, Bar, ClientOrderId, Effect, InstrumentId, MarketData, MarketEvent, Notice,
    OrderRequest, OrderSpec, Price, Quantity, RiskReject, Side, StrategyId, Value,
};
use tercel_testkit::Random;

use super::sample::{self, Sample};
use super::*;

fn bytes_of(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_record_reads_back(seed in any::<u64>()) {
        let record = Record::sample(&mut Random::new(seed));
        prop_assert_eq!(decode(&bytes_of(&record)), Ok(record));
    }

    #[test]
    fn every_effect_is_recorded_as_it_was(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let recorded = RecordedEffect::sample(&mut random);
        // A send cannot be made here; all others can.
        let effect = match recorded.clone() {
            RecordedEffect::Send(_) => return Ok(()),
            RecordedEffect::Resync(instrument) => Effect::Resync(instrument),
            RecordedEffect::Remember { strategy, key, value } => {
                Effect::Remember { strategy, key, value }
            }
            RecordedEffect::Notice(notice) => Effect::Notice(notice),
            RecordedEffect::SetTimer { strategy, timer } => Effect::SetTimer { strategy, timer },
            RecordedEffect::CancelTimer { strategy, name } => {
                Effect::CancelTimer { strategy, name }
            }
        };
        prop_assert!(recorded.records(&effect));
        let event = sample::event(&mut random);
        let mut hot = Vec::new();
        encode_entry(Seq(7), Nanos(-3), &event, std::slice::from_ref(&effect), &mut hot);
        let effects = vec![recorded];
        let entry = Entry { seq: Seq(7), now: Nanos(-3), event: Some(event), effects };
        prop_assert_eq!(hot, bytes_of(&Record::Entry(entry)));
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(bytes_of(&record), bytes);
        }
    }

    #[test]
    fn a_damaged_record_is_refused_or_is_another(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let record = Record::sample(&mut random);
        let mut bytes = bytes_of(&record);
        let at = random.index(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        if let Ok(other) = decode(&bytes) {
            prop_assert_eq!(bytes_of(&other), bytes);
        }
    }

    #[test]
    fn every_shorter_or_longer_record_is_refused(seed in any::<u64>()) {
        let mut bytes = bytes_of(&Record::sample(&mut Random::new(seed)));
        for len in 0..bytes.len() {
            prop_assert!(decode(&bytes[..len]).is_err());
        }
        bytes.push(0);
        prop_assert!(decode(&bytes).is_err());
    }
}

/// What the properties above say is worth as much as the values that they are said of.
#[test]
fn samples_reach_every_variant() {
    fn tags<T: Sample + Wire>(n_tags: u8) {
        let mut random = Random::new(1);
        let seen: BTreeSet<u8> = (0..5_000)
            .map(|_| {
                let mut bytes = Vec::new();
                T::sample(&mut random).put(&mut bytes);
                bytes[0]
            })
            .collect();
        assert_eq!(seen, (0..n_tags).collect(), "{}", std::any::type_name::<T>());
    }
    tags::<RecordedEffect>(6);
    tags::<Notice>(13);
    tags::<RiskReject>(30);
    tags::<OrderRequest>(3);
    tags::<tercel_core::ReportKind>(10);
    tags::<tercel_core::RejectReason>(10);
    tags::<tercel_core::Command>(9);
    tags::<tercel_core::OnHalt>(2);
    tags::<Value>(5);
    let mut random = Random::new(2);
    let records: BTreeSet<u8> =
        (0..1_000).map(|_| bytes_of(&Record::sample(&mut random))[0]).collect();
    assert_eq!(records, (RUN_STARTED..=SENT).collect());
}

#[test]
fn market_data_leaves_only_its_number_and_effects() {
    let bar =
        Bar { open: Price(1), high: Price(2), low: Price(1), close: Price(2), volume: Quantity(9) };
    let market = MarketEvent {
        venue_at: Nanos(1),
        received_at: Nanos(2),
        instrument: InstrumentId(0),
        data: MarketData::Bar { interval_ms: 60_000, bar },
    };
    let mut bytes = Vec::new();
    let effects = [Effect::Resync(InstrumentId(4))];
    encode_entry(Seq(12), Nanos(3), &Event::Market(market), &effects, &mut bytes);
    let effects = vec![RecordedEffect::Resync(InstrumentId(4))];
    let entry = Entry { seq: Seq(12), now: Nanos(3), event: None, effects };
    assert_eq!(decode(&bytes), Ok(Record::Entry(entry)));
}

/// The format: a change here makes old journals unreadable.
#[test]
fn bytes_are_these() {
    let check = |record: &Record, expected: expect_test::Expect| {
        let text: Vec<_> = bytes_of(record).iter().map(|byte| format!("{byte:02x}")).collect();
        expected.assert_eq(&text.join(" "));
    };
    check(&Record::IdLease { from: 247, to: 248 }, expect!["05 f7 f8 f8"]);
    check(
        &Record::Snapshot {
            seq: Seq(65_536),
            now: Nanos(-1),
            state_hash: u64::MAX,
            n_before: 3,
            bytes: vec![1, 2],
        },
        expect!["06 fa 00 00 01 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 03 02 01 02"],
    );
    let order = ClientOrderId::new(0, 9);
    let sent = Sent {
        seq: Seq(5),
        order,
        taken_at: Nanos(256),
        decided_ns: 800,
        recorded_ns: 900,
        sent_ns: 66_000,
    };
    check(
        &Record::Sent(sent),
        expect!["09 05 09 00 01 00 00 00 00 00 00 f9 20 03 f9 84 03 fa d0 01 01"],
    );
    let spec = OrderSpec::limit(InstrumentId(3), Side::Sell, Price(-1), Quantity(300));
    let request = OrderRequest::New {
        id: ClientOrderId::new(1, 2),
        account: AccountId(0),
        strategy: StrategyId(1),
        spec,
    };
    let entry = Entry {
        seq: Seq(5),
        now: Nanos(256),
        event: Some(Event::Timer),
        effects: vec![RecordedEffect::Send(request)],
    };
    check(
        &Record::Entry(entry),
        expect![
            "01 05 00 01 00 00 00 00 00 00 04 01 00 00 fd 02 00 00 00 00 01 00 01 03 01 01 01 f9 58 02 00 00 00"
        ],
    );
}

#[test]
fn a_number_has_one_encoding() {
    // 5 in a byte of its own where none was needed; 256 in three bytes where two do.
    for longer in [&[ID_LEASE, 248, 5, 0][..], &[ID_LEASE, 250, 0, 1, 0, 0]] {
        assert_eq!(decode(longer).unwrap_err().what, "a number longer than it need be");
    }
}
