use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const DEPTH: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,"b":[["58710.20","0.014"],["61496.50","0.000"]],"a":[["61801.1","1"]],"st":1,"ps":"BTCUSDT"}}"#;

pub(super) fn reader() -> Reader {
    let grid = |step: &str| Grid::new(step.parse().unwrap()).unwrap();
    let linear = Grids { price: grid("0.1"), qty: grid("0.001"), whole: false };
    let whole = Grids { whole: true, ..linear };
    Reader::new([("BTCUSDT", linear), ("ETHUSDT", whole)].into_iter())
}

/// Compares what the quick ways say with the long one, where they say anything. Of what the long one
/// refuses although it is JSON, the straight one says nothing.
pub(super) fn compare(reader: &mut Reader, bytes: &[u8]) {
    let levels =
        |reader: &Reader| (reader.bids().to_vec(), reader.asks().to_vec(), reader.off_grid());
    let straight = reader.shapes.straight(bytes).map(|message| (message, levels(reader)));
    let quick = reader.shapes.read(bytes, None).ok().map(|message| (message, levels(reader)));
    let Ok(slow) = reader.read_slowly(bytes, None) else {
        let is_json = serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
        assert!(!is_json || straight.is_none(), "{}", String::from_utf8_lossy(bytes));
        return;
    };
    let has_levels = matches!(slow, Message::Depth { .. } | Message::Book { .. });
    for (message, levels_read) in straight.into_iter().chain(quick) {
        assert_eq!(message, slow, "{}", String::from_utf8_lossy(bytes));
        if has_levels {
            assert_eq!(levels_read, levels(reader), "{}", String::from_utf8_lossy(bytes));
        }
    }
}

/// What a feed consists of, as the venue writes it: spot and futures, in streams and alone.
const BUSY: [&str; 9] = [
    DEPTH,
    r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":50093239213,"u":50093239219,"b":[["61837.60000000","0.78800000"],["61837.50000000","12.00000000"]],"a":[]}}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.60000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#,
    r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":7,"p":"61837","q":"2","T":1723161255342,"m":false,"M":false}"#,
    r#"{"e":"aggTrade","E":1723161255343,"s":"ETHUSDT","a":3071034571,"p":"1837.6","q":"0.020","f":3735683257,"l":3735683259,"T":1723161255342,"m":true,"M":true}"#,
    r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"s":"BTCUSDT","a":3071034571,"p":"61837.60","q":"0.020","nq":"0.020","f":3735683257,"l":3735683259,"T":1723161255342,"m":true,"st":1}}"#,
    r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.60000000","B":"3.78800000","a":"61837.70000000","A":"1.54600000"}}"#,
    r#"{"e":"bookTicker","u":5123107832006,"s":"BTCUSDT","ps":"BTCUSDT","b":"25.3","B":"31.21","a":"25.4","A":"40.66","T":1723161255342,"E":1723161255343,"st":1}"#,
    r#"{"stream":"ethusdt@depth5@100ms","data":{"e":"depthUpdate","E":1723161255209,"T":1723161255208,"s":"ETHUSDT","U":1,"u":2,"pu":0,"b":[["7403.8","1"]],"a":[["7405.95","2"]]}}"#,
];

#[test]
fn what_is_busy_is_read_straight() {
    for text in BUSY {
        let mut reader = reader();
        assert!(reader.shapes.straight(text.as_bytes()).is_some(), "{text}");
        compare(&mut reader, text.as_bytes());
    }
}

/// Reads a message every way and returns the one answer.
fn both(text: &str) -> Result<(Message, Vec<Change>, Vec<Change>), DecodeError> {
    let mut reader = reader();
    compare(&mut reader, text.as_bytes());
    let quick = reader.shapes.read(text.as_bytes(), None);
    if let Ok(quick) = quick {
        assert_eq!(reader.read_slowly(text.as_bytes(), None), Ok(quick), "{text}");
    }
    let read = reader.read(text.as_bytes())?;
    Ok((read, reader.bids().to_vec(), reader.asks().to_vec()))
}

fn change(price: i64, qty: i64) -> Change {
    Change { price: Price(price), qty: Quantity(qty) }
}

#[test]
fn depth_is_read() {
    let (message, bids, asks) = both(DEPTH).unwrap();
    let first = 5_123_107_832_006;
    let (last, prev) = (5_123_107_837_557, 5_123_107_831_937);
    let at_ms = 1_723_161_256_298;
    assert_eq!(message, Message::Depth { slot: 0, first, last, prev, at_ms });
    assert_eq!(bids, [change(587_102, 14), change(614_965, 0)]);
    assert_eq!(asks, [change(618_011, 1_000)]);
}

#[test]
fn levels_may_come_before_the_symbol() {
    let text = r#"{"a":[["61801.1","1"]],"b":[[1,2.5]],"u":3,"U":2,"E":5,"s":"BTCUSDT","e":"depthUpdate"}"#;
    let (message, bids, asks) = both(text).unwrap();
    assert_eq!(message, Message::Depth { slot: 0, first: 2, last: 3, prev: 0, at_ms: 5 });
    assert_eq!((bids, asks), (vec![change(10, 2_500)], vec![change(618_011, 1_000)]));
}

#[test]
fn trades_and_aggregates_are_read() {
    let price = Price(618_002);
    let trade = |id, aggressor| Message::Trade {
        slot: 0,
        id,
        price,
        qty: Quantity(6),
        aggressor,
        at_ms: 1_723_161_256_322,
    };
    for (text, id, side) in [
        (
            r#"{"e":"trade","E":1,"T":1723161256322,"s":"BTCUSDT","t":9,"p":"61800.20","q":"0.006","X":"MARKET","m":false}"#,
            9,
            Side::Buy,
        ),
        (
            r#"{"e":"aggTrade","E":1,"s":"BTCUSDT","a":8,"p":"6.18002e4","q":0.006,"nq":"1","f":1,"l":2,"T":1723161256322,"m":true,"st":1}"#,
            8,
            Side::Sell,
        ),
    ] {
        assert_eq!(both(text).unwrap().0, trade(id, side));
    }
}

#[test]
fn quotes_of_both_markets_are_read() {
    for (text, at_ms) in [
        (r#"{"u":400900217,"s":"BTCUSDT","b":"25.3","B":"31.21","a":"25.4","A":"40.66"}"#, None),
        (
            r#"{"e":"bookTicker","u":400900217,"E":7,"T":6,"s":"BTCUSDT","ps":"BTCUSDT","b":"25.3","B":"31.21","a":"25.4","A":"40.66","st":1}"#,
            Some(6),
        ),
    ] {
        let quote = Message::Quote {
            slot: 0,
            bid: change(253, 31_210),
            ask: change(254, 40_660),
            last: 400_900_217,
            at_ms,
        };
        assert_eq!(both(text).unwrap().0, quote);
    }
}

#[test]
fn marks_and_bars_are_read() {
    let mark = r#"{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265","r":"0.00038167","ap":"1","T":1562306400000,"st":1}"#;
    assert_eq!(
        both(mark).unwrap().0,
        Message::Mark {
            slot: 0,
            mark: Price(117_942),
            index: Price(117_846),
            rate_e12: 381_670_000,
            funding_ms: 1_562_306_400_000,
            at_ms: 1_562_305_380_000,
        }
    );
    let bar = |closed: bool| {
        format!(
            r#"{{"e":"kline","E":1,"s":"BTCUSDT","k":{{"t":60000,"T":119999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"1.0","c":"2.0","h":"2.5","l":"1","v":"1000","n":100,"x":{closed},"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}}}"#
        )
    };
    let (open, close) = (Price(10), Price(20));
    let (high, low, volume) = (Price(25), Price(10), Quantity(1_000_000));
    let bar_read = Bar { open, high, low, close, volume };
    assert_eq!(
        both(&bar(true)).unwrap().0,
        Message::Bar { slot: 0, interval_ms: 60_000, bar: bar_read, close_ms: 120_000 }
    );
    assert_eq!(both(&bar(false)).unwrap().0, Message::OpenBar);
}

#[test]
fn whole_books_are_known_by_their_stream() {
    let spot = r#"{"stream":"ethusdt@depth5@100ms","data":{"lastUpdateId":160,"bids":[["0.2","10"]],"asks":[["0.3","100"]]}}"#;
    let book = |last, at_ms| Message::Book { slot: Some(1), last, at_ms };
    assert_eq!(both(spot).unwrap().0, book(160, None));
    let futures = r#"{"stream":"ethusdt@depth5@100ms","data":{"e":"depthUpdate","E":9,"T":8,"s":"ETHUSDT","U":1,"u":2,"pu":0,"b":[["7403.8","1"]],"a":[["7405.9","2"]]}}"#;
    assert_eq!(both(futures).unwrap().0, book(2, Some(8)));
    assert_eq!(
        both(r#"{"lastUpdateId":160,"bids":[],"asks":[]}"#),
        Err(DecodeError::UnknownMessage)
    );
}

#[test]
fn answers_and_the_rest_are_told_apart() {
    for (text, message) in [
        (r#"{"result":null,"id":7}"#, Message::Done { id: 7 }),
        (
            r#"{"error":{"code":2,"msg":"Invalid request: \"x\""},"id":7}"#,
            Message::Refused { id: Some(7), code: 2 },
        ),
        (
            r#"{"code":-1121,"msg":"Invalid symbol.","id":7}"#,
            Message::Refused { id: Some(7), code: -1121 },
        ),
        (r#"{"stream":"x","data":{"e":"serverShutdown","E":1}}"#, Message::Shutdown),
    ] {
        assert_eq!(both(text).unwrap().0, message, "{text}");
    }
    for text in [r#"{"e":"newThing","s":"BTCUSDT"}"#, "[]", r#"{"a":1}"#, "{}"] {
        assert_eq!(both(text), Err(DecodeError::UnknownMessage), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let off = r#"{"e":"trade","T":1,"s":"BTCUSDT","t":9,"p":"61800.25","q":"0.006","m":false}"#;
    assert_eq!(both(off).unwrap_err().to_string(), "p 61800.25 is not on the grid of BTCUSDT");
    let unknown = r#"{"e":"trade","T":1,"s":"XYZ","t":9,"p":"1","q":"1","m":false}"#;
    assert_eq!(both(unknown).unwrap_err().to_string(), "unknown symbol XYZ");
    let missing = r#"{"e":"trade","T":1,"s":"BTCUSDT","p":"1","q":"1","m":false}"#;
    assert_eq!(both(missing), Err(DecodeError::Field("t")));
    assert!(matches!(both("{\"e\":"), Err(DecodeError::Syntax { .. })));
    // A time in microseconds would put everything thousands of years ahead.
    let micros =
        r#"{"e":"trade","T":1723161256322000,"s":"BTCUSDT","t":9,"p":"1","q":"1","m":true}"#;
    assert_eq!(both(micros), Err(DecodeError::Field("T")));
}

#[test]
fn levels_off_the_grid_are_left_out_and_counted() {
    let text = r#"{"e":"depthUpdate","E":5,"s":"BTCUSDT","U":2,"u":3,"b":[["1.05","1"],["1.1","0.0015"]],"a":[["2.01","0"]]}"#;
    let mut reader = reader();
    reader.read(text.as_bytes()).unwrap();
    assert_eq!(reader.off_grid(), OffGrid { n_levels: 2, n_resting: 1 });
    assert_eq!(reader.bids(), [change(11, 1)]);
}

/// A value of a message in one of the ways in which it can be written.
fn number(units: u32, scale: u32) -> impl Strategy<Value = String> {
    let value = rust_decimal::Decimal::new(i64::from(units), scale);
    let plain = value.to_string();
    let padded = if scale > 0 { format!("{plain}00") } else { plain.clone() };
    let power = format!("{units}e-{scale}");
    prop_oneof![
        Just(format!("\"{plain}\"")),
        Just(format!("\"{padded}\"")),
        Just(plain),
        Just(format!("\"{power}\"")),
        Just(power),
    ]
}

/// Keys and values put together in any order, with white space and unknown fields among them.
fn object(fields: Vec<(&'static str, String)>) -> impl Strategy<Value = String> {
    let unknown = prop_oneof![
        Just(("zz", "null".to_owned())),
        Just(("new", r#"{"e":["b",{"a":"}]"}],"s":1.5e-3}"#.to_owned())),
        Just(("st", "1".to_owned())),
        Just(("note", r#""quote \" and \\ and \u00e4""#.to_owned())),
    ];
    let space = prop_oneof![Just(""), Just(""), Just(" "), Just("\n\t"), Just("\r ")];
    (
        Just(fields),
        proptest::option::of(unknown),
        proptest::collection::vec(space, 4),
        any::<Index>(),
        any::<bool>(),
    )
        .prop_perturb(|(mut fields, unknown, space, at, escaped), mut random| {
            fields.extend(unknown);
            for idx in (1..fields.len()).rev() {
                let other = usize::try_from(random.next_u32()).unwrap() % (idx + 1);
                fields.swap(idx, other);
            }
            let escaped_at = escaped.then(|| at.index(fields.len()));
            let mut text = String::from("{");
            for (idx, (key, value)) in fields.iter().enumerate() {
                let comma = if idx > 0 { "," } else { "" };
                let key = match escaped_at {
                    Some(at) if at == idx => {
                        format!("\\u{:04x}{}", u32::from(key.as_bytes()[0]), &key[1..])
                    }
                    _ => (*key).to_owned(),
                };
                let [a, b, c, d] = [space[0], space[1], space[2], space[3]];
                text.push_str(&format!("{a}{comma}{b}\"{key}\"{c}:{d}{value}"));
            }
            text.push('}');
            text
        })
}

fn wrapped(text: String, stream: bool) -> String {
    if stream { format!(r#"{{"stream":"btcusdt@x","data":{text}}}"#) } else { text }
}

proptest! {
    #[test]
    fn any_writing_of_a_trade_is_read_alike(
        (price, qty, id, maker, text, stream) in
            (1_u32..100_000_000, 1_u32..100_000_000, any::<u32>(), any::<bool>(), any::<bool>())
            .prop_flat_map(|(price, qty, id, maker, stream)| {
                (number(price, 1), number(qty, 3)).prop_flat_map(move |(p, q)| object(vec![
                    ("e", "\"trade\"".to_owned()), ("E", "1".to_owned()),
                    ("s", "\"BTCUSDT\"".to_owned()), ("t", id.to_string()), ("p", p), ("q", q),
                    ("T", "1723161256322".to_owned()), ("m", maker.to_string()),
                    ("M", "true".to_owned()),
                ])).prop_map(move |text| (price, qty, id, maker, text, stream))
            })
    ) {
        let message = Message::Trade {
            slot: 0,
            id: u64::from(id),
            price: Price(i64::from(price)),
            qty: Quantity(i64::from(qty)),
            aggressor: if maker { Side::Sell } else { Side::Buy },
            at_ms: 1_723_161_256_322,
        };
        prop_assert_eq!(both(&wrapped(text, stream)).unwrap().0, message);
    }

    #[test]
    fn any_writing_of_depth_is_read_alike(
        (levels, text, stream) in
            (proptest::collection::vec((1_u32..100_000_000, 0_u32..1_000_000), 0..6), any::<bool>())
            .prop_flat_map(|(levels, stream)| {
                let each: Vec<_> = levels.iter()
                    .map(|(price, qty)| (number(*price, 1), number(*qty, 3)))
                    .collect();
                each.prop_flat_map(move |each| {
                    let side = |part: &[(String, String)]| {
                        let texts: Vec<_> =
                            part.iter().map(|(p, q)| format!("[{p},{q}]")).collect();
                        format!("[{}]", texts.join(","))
                    };
                    let n_bids = each.len() / 2;
                    object(vec![
                        ("e", "\"depthUpdate\"".to_owned()), ("E", "7".to_owned()),
                        ("s", "\"BTCUSDT\"".to_owned()), ("U", "11".to_owned()),
                        ("u", "12".to_owned()), ("pu", "10".to_owned()),
                        ("b", side(&each[..n_bids])), ("a", side(&each[n_bids..])),
                    ])
                }).prop_map(move |text| (levels.clone(), text, stream))
            })
    ) {
        let (message, bids, asks) = both(&wrapped(text, stream)).unwrap();
        prop_assert_eq!(message, Message::Depth { slot: 0, first: 11, last: 12, prev: 10, at_ms: 7 });
        let want: Vec<_> =
            levels.iter().map(|(price, qty)| change(i64::from(*price), i64::from(*qty))).collect();
        let n_bids = want.len() / 2;
        prop_assert_eq!((&bids[..], &asks[..]), (&want[..n_bids], &want[n_bids..]));
    }

    /// Broken in one place, a message is still read the same both ways or not at all.
    #[test]
    fn a_damaged_message_is_read_alike_or_not_at_all(
        which in 0..BUSY.len(), at in any::<Index>(),
        byte in prop_oneof![any::<u8>(), proptest::sample::select(&b"0123456789.\"\\,:{}[]eE -"[..])],
    ) {
        let mut bytes = BUSY[which].as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut reader = reader();
        compare(&mut reader, &bytes);
        bytes.truncate(at);
        prop_assert!(reader.read(&bytes).is_err());
    }

    #[test]
    fn noise_is_refused_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = reader().read(&bytes);
    }
}
