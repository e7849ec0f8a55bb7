use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::tests::{compare, reader};

type Fields = Vec<(&'static str, String)>;

/// What a feed consists of, field by field in the venue's order: spot and futures.
const SHAPES: [&[(&str, &str)]; 7] = [
    &[
        ("e", "\"trade\""),
        ("E", "1723161255343"),
        ("s", "\"BTCUSDT\""),
        ("t", "3735683259"),
        ("p", "\"61837.60000000\""),
        ("q", "\"0.02000000\""),
        ("T", "1723161255342"),
        ("m", "true"),
        ("M", "true"),
    ],
    &[
        ("e", "\"aggTrade\""),
        ("E", "1723161255343"),
        ("s", "\"BTCUSDT\""),
        ("a", "3071034571"),
        ("p", "\"61837.60000000\""),
        ("q", "\"0.02000000\""),
        ("f", "3735683257"),
        ("l", "3735683259"),
        ("T", "1723161255342"),
        ("m", "false"),
        ("M", "true"),
    ],
    &[
        ("e", "\"aggTrade\""),
        ("E", "1723161255343"),
        ("s", "\"BTCUSDT\""),
        ("a", "3071034571"),
        ("p", "\"61837.6\""),
        ("q", "\"0.020\""),
        ("nq", "\"0.020\""),
        ("f", "3735683257"),
        ("l", "3735683259"),
        ("T", "1723161255342"),
        ("m", "true"),
        ("st", "1"),
    ],
    &[
        ("u", "50093239212"),
        ("s", "\"BTCUSDT\""),
        ("b", "\"61837.60000000\""),
        ("B", "\"3.78800000\""),
        ("a", "\"61837.70000000\""),
        ("A", "\"1.54600000\""),
    ],
    &[
        ("e", "\"bookTicker\""),
        ("u", "5123107832006"),
        ("s", "\"BTCUSDT\""),
        ("ps", "\"BTCUSDT\""),
        ("b", "\"25.3\""),
        ("B", "\"31.21\""),
        ("a", "\"25.4\""),
        ("A", "\"40.66\""),
        ("T", "1723161255342"),
        ("E", "1723161255343"),
        ("st", "1"),
    ],
    &[
        ("e", "\"depthUpdate\""),
        ("E", "1723161255208"),
        ("s", "\"BTCUSDT\""),
        ("U", "50093239213"),
        ("u", "50093239219"),
        ("b", r#"[["61837.60000000","0.78800000"],["61837.50000000","12.00000000"]]"#),
        ("a", r#"[["61837.70000000","0.00000000"]]"#),
    ],
    &[
        ("e", "\"depthUpdate\""),
        ("E", "1723161256299"),
        ("T", "1723161256298"),
        ("s", "\"ETHUSDT\""),
        ("U", "5123107832006"),
        ("u", "5123107837557"),
        ("pu", "5123107831937"),
        ("b", r#"[["58710.20","0.014"],["61496.50","0.000"]]"#),
        ("a", "[]"),
        ("st", "1"),
        ("ps", "\"ETHUSDT\""),
    ],
];

/// Values that are no such field's, or are written as the venue never has.
const VALUES: [&str; 44] = [
    "null",
    "true",
    "\"true\"",
    "{}",
    "[]",
    "[[]]",
    r#"[["1.0"]]"#,
    r#"[["1.0","1","1"]]"#,
    r#"[["61837.65","1.0015"],["1.05","0"]]"#,
    r#"[["1e1",2],[ "1.5", "3" ]]"#,
    r#"[["1.0","1"],["123456789.5","1234567890"]]"#,
    r#"[["1","14.5"],["1.5","14.5"],["1.5","2.25"]]"#,
    r#"[["1.0","1"]]]"#,
    "7",
    "-7",
    "007",
    "1e5",
    "61837.6",
    "1723161255343000",
    "7258118400000",
    "999999999999999",
    "1000000000000000",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
    "\"7\"",
    "\"-1.5\"",
    "\"1e5\"",
    "\"61837\"",
    "\"0061837.6\"",
    "\"12345678.5\"",
    "\"123456789.5\"",
    "\"1.123456789\"",
    "\"9223372036854775.807\"",
    "\"9223372036854775807000.0\"",
    "\"1.05\"",
    "\"1.\"",
    "\".5\"",
    "\"\"",
    "\"1.0\\u0030\"",
    "\"BTC\\u0055SDT\"",
    "\"ETHUSDT\"",
    "\"XYZUSDT\"",
    "\"A_SYMBOL_LONGER_THAN_TWO_WORDS\"",
];

/// Changes one thing about a message.
#[derive(Clone, Debug)]
enum Change {
    Leave(Index),
    Swap(Index, Index),
    Repeat(Index, Index),
    Add(Index, &'static str, &'static str),
    Write(Index, String),
    EscapeKey(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let key = select(vec!["M", "T", "X", "st", "ps", "pu", "zz", "e"]);
    // Far longer than any number is, and not a multiple of a word.
    let long = (1_usize..300).prop_map(|n| "9".repeat(n));
    let value = prop_oneof![
        4 => select(VALUES.to_vec()).prop_map(str::to_owned),
        1 => long.clone(),
        1 => long.clone().prop_map(|digits| format!("\"{digits}\"")),
        1 => long.prop_map(|digits| format!("\"0.{digits}\"")),
        2 => "\"[0-9]{1,9}\\.[0-9]{1,9}\"",
        1 => "[1-9][0-9]{0,17}",
    ];
    prop_oneof![
        1 => at().prop_map(Change::Leave),
        1 => (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        1 => (at(), key, select(VALUES.to_vec())).prop_map(|(at, k, v)| Change::Add(at, k, v)),
        4 => (at(), value).prop_map(|(at, value)| Change::Write(at, value)),
        1 => at().prop_map(Change::EscapeKey),
    ]
}

fn text_of(shape: &[(&'static str, &str)], changes: &[Change], stream: Option<&str>) -> String {
    let mut fields: Fields = shape.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let mut escaped = None;
    for change in changes {
        let n = fields.len();
        match change {
            Change::Leave(at) => {
                fields.remove(at.index(n));
            }
            Change::Swap(one, other) => fields.swap(one.index(n), other.index(n)),
            Change::Repeat(from, to) => fields.insert(to.index(n), fields[from.index(n)].clone()),
            Change::Add(at, key, value) => fields.insert(at.index(n), (key, (*value).to_owned())),
            Change::Write(at, value) => fields[at.index(n)].1.clone_from(value),
            Change::EscapeKey(at) => escaped = Some(fields[at.index(n)].0),
        }
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| match escaped {
            Some(escaped) if escaped == *key => {
                format!("\"\\u{:04x}{}\":{value}", u32::from(key.as_bytes()[0]), &key[1..])
            }
            _ => format!("\"{key}\":{value}"),
        })
        .collect();
    let text = format!("{{{}}}", fields.join(","));
    match stream {
        Some(stream) => format!("{{\"stream\":\"{stream}\",\"data\":{text}}}"),
        None => text,
    }
}

#[test]
fn shapes_as_they_are_are_read_straight() {
    for shape in SHAPES {
        for stream in [None, Some("btcusdt@trade"), Some("a_much_longer_name@depth20@100ms")] {
            let text = text_of(shape, &[], stream);
            let mut reader = reader();
            assert!(reader.shapes.straight(text.as_bytes()).is_some(), "{text}");
            compare(&mut reader, text.as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Fields missing, moved, repeated, added, or written otherwise: the straight way says what the
    /// long one says, or nothing. So it does of the beginning of any such message.
    #[test]
    fn what_differs_is_read_alike_or_left(
        shape in 0..SHAPES.len(),
        changes in proptest::collection::vec(change(), 1..4),
        stream in select(vec![
            None, Some("btcusdt@trade"), Some("ethusdt@depth5@100ms"), Some("ethusdt\\u0040depth5"),
        ]),
        cut in any::<Index>(),
    ) {
        let text = text_of(SHAPES[shape], &changes, stream);
        let mut reader = reader();
        compare(&mut reader, text.as_bytes());
        let bytes = &text.as_bytes()[..cut.index(text.len())];
        prop_assert!(reader.shapes.straight(bytes).is_none());
        prop_assert!(reader.read(bytes).is_err());
    }
}
