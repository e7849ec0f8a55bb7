//! Event arrays, and bytes that are no data at all.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tercel_core::{Event, MarketData, Side};
use tercel_store::{Format, OpenOptions, Reader, StoreError};

const DTYPE: &str = "[('ev', '<u8'), ('exch_ts', '<i8'), ('local_ts', '<i8'), ('px', '<f8'), \
                     ('qty', '<f8'), ('order_id', '<u8'), ('ival', '<i8'), ('fval', '<f8')]";
const BUY: u64 = 1 << 29;
const SELL: u64 = 1 << 28;

/// Bytes of an array of `(ev, px, qty)` rows, one a microsecond.
fn npy(rows: &[(u64, f64, f64)]) -> Vec<u8> {
    let header =
        format!("{{'descr': {DTYPE}, 'fortran_order': False, 'shape': ({},), }}\n", rows.len());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    for (at, (ev, px, qty)) in (1_700_000_000_000_000_000i64..).step_by(1_000).zip(rows) {
        bytes.extend(ev.to_le_bytes());
        bytes.extend(at.to_le_bytes());
        bytes.extend((at + 500).to_le_bytes());
        bytes.extend(px.to_le_bytes());
        bytes.extend(qty.to_le_bytes());
        bytes.extend([0; 24]);
    }
    bytes
}

fn write_npz(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("BTCUSDT.npz");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("data.npy", stored).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap();
    path
}

fn read(path: &Path) -> Result<Vec<MarketData>, StoreError> {
    let mut reader = Reader::open(&[path.to_owned()], &OpenOptions::default())?;
    let (mut block, mut all) = (Vec::new(), Vec::new());
    while reader.read_block(&mut block)? > 0 {
        all.extend(block.drain(..).filter_map(|event| match event {
            Event::Market(market) => Some(market.data),
            _ => None,
        }));
    }
    Ok(all)
}

#[test]
fn an_array_in_an_archive_is_read_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = vec![(3, 0.0, 0.0), (4 | BUY, 50_000.1, 0.3), (4 | SELL, 50_000.2, 1.0)];
    rows.extend((0..20_000).map(|n| (1 | BUY, 49_000.0 + f64::from(n % 1_000) * 0.1, 0.001)));
    rows.push((2 | SELL, 50_000.1, 0.1));
    rows.push((10 | BUY, 50_000.1, 0.1));
    let path = write_npz(folder.path(), &npy(&rows));
    let events = read(&path).unwrap();
    assert_eq!(events.len(), 20_004, "the kind that has no event is counted, not read");
    assert_eq!(events[0], MarketData::Clear { seq: 0 });
    let trade = events[20_003];
    let MarketData::Trade { aggressor, price, qty, .. } = trade else { panic!("{trade:?}") };
    assert_eq!((aggressor, price.0, qty.0), (Some(Side::Sell), 500_001, 100));
    let reader = Reader::open(&[path], &OpenOptions::default()).unwrap();
    let spec = &reader.metadata().instruments[0];
    assert_eq!((spec.symbol.as_str(), spec.tick.to_string().as_str()), ("BTCUSDT", "0.1"));
}

fn write_npy(folder: &Path, descr: &str, shape: &str, rows: &[u8]) -> PathBuf {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows);
    let path = folder.join("BTCUSDT.npy");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn other_layouts_of_rows_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let why = |descr: &str, shape: &str| {
        read(&write_npy(folder.path(), descr, shape, &[0; 128])).unwrap_err().to_string()
    };
    let known = "known is (ev, exch_ts";
    for other in [
        DTYPE.replace("('order_id', '<u8')", "('order_id', '<u4'), ('', '|V4')"),
        DTYPE.replace("'px', '<f8'", "'px', '<f4'"),
        DTYPE.replace("'<u8'", "'>u8'"),
        DTYPE.replace("('ev', '<u8'), ('exch_ts', '<i8')", "('exch_ts', '<i8'), ('ev', '<u8')"),
        DTYPE.replace(", ('fval', '<f8')", ""),
        DTYPE.replace("('ev'", "('', '|V8'), ('ev'"),
    ] {
        let said = why(&other, "(2,)");
        assert!(said.contains(known), "{said}");
    }
    let said = why("'<f8'", "(2, 6)");
    assert!(said.contains("hftbacktest 1") && said.contains("migration2"), "{said}");
    assert!(why("'<f8'", "(2,)").contains("plain numbers"));
    assert!(why(DTYPE, "()").contains("shape"));
    // What is known is read, whichever way integers are signed.
    let signed = DTYPE.replace("'ev', '<u8'", "'ev', '<i8'");
    assert_eq!(read(&write_npy(folder.path(), &signed, "(2,)", &[0; 128])).unwrap(), []);
}

#[test]
fn floats_with_noise_land_on_their_decimals_and_every_row_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("BTCUSDT.npy");
    let rows = [
        (1 | BUY, 100.300_000_000_000_01, 0.1 + 0.2),
        (1 | SELL, 100.4, 1.0),
        (2 | SELL, 100.3, -0.1),
        (5 | BUY, 100.3, 0.1),
        (13 | BUY, 100.3, 0.1),
        (1 << 31 | 1 | BUY, 100.3, 0.1),
    ];
    std::fs::write(&path, npy(&rows)).unwrap();
    let mut reader = Reader::open(&[path], &OpenOptions::default()).unwrap();
    let mut events = Vec::new();
    while reader.read_block(&mut events).unwrap() > 0 {}
    assert_eq!(events.len(), 2);
    let spec = &reader.metadata().instruments[0];
    assert_eq!((spec.tick.to_string(), spec.lot.to_string()), ("0.1".into(), "0.1".into()));
    let report = reader.report();
    assert_eq!((report.n_bad, report.bad_lines[0].reason.as_str()), (1, "qty `-0.1` is negative"));
    let counted: Vec<_> = report.counts.into_iter().collect();
    assert_eq!(
        counted,
        [
            ("rows for the venue's clock alone", 1),
            ("rows of the kind DEPTH_BBO, not read", 1),
            ("rows of the kind FILL, not read", 1),
        ]
    );
}

#[test]
fn what_was_exported_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("BTCUSDT.csv");
    for lines in [
        "time,price,size\n1514764802610,100.5,3\n1514764802611,101,-2\n",
        "time,open,high,low,close,volume\n1514764800000,1,2,1,2,5\n1514764860000,2,3,1.5,2,0.5\n",
    ] {
        std::fs::write(&text, lines).unwrap();
        let options = OpenOptions::default();
        let mut reader = Reader::open(std::slice::from_ref(&text), &options).unwrap();
        let written = tercel_store::export_parquet(&mut reader, folder.path()).unwrap();
        let [(path, 2)] = &written.files[..] else { panic!("{written:?}") };
        assert_eq!(read(path).unwrap(), read(&text).unwrap());
    }
}

#[test]
fn a_cut_array_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = npy(&[(1 | BUY, 1.5, 1.0), (1 | SELL, 2.5, 1.0)]);
    let path = folder.path().join("x.npy");
    std::fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    let refused = read(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Truncated { .. }), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic_in_any_format(
        head in 0usize..8,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "[-0-9.,a-z\\n]{0,200}",
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("AMZN_2012-06-21_1_2_message_5.csv");
        let heads: [&[u8]; 8] = [
            b"", b"DBN", b"\x93NUMPY\x01\x00", b"timestamp,price,size\n",
            b"id,timestamp,exchange_timestamp,price,volume,action,direction\n",
            b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n",
            b"34200.5,1,7,10,2238200,1\n", b"DBN\x01",
        ];
        let mut content = heads[head].to_vec();
        content.extend(if head % 2 == 1 { text.as_bytes() } else { &bytes });
        std::fs::write(&path, &content).unwrap();
        let _ = read(&path);
        for (format, _) in Format::ALL.iter().filter(|(format, _)| *format != Format::Tape) {
            let options = OpenOptions { format: Some(*format), ..OpenOptions::default() };
            if let Ok(mut reader) = Reader::open(std::slice::from_ref(&path), &options) {
                let mut events = Vec::new();
                while reader.read_block(&mut events).is_ok_and(|n| n > 0) {}
            }
        }
    }
}

/// Lines of formats whose records depend on one another.
const SAMPLES: [(&str, &str); 5] = [
    (
        "AMZN_2012-06-21_1_2_message_5.csv",
        "34200.1,1,7,10,2238200,1\n34200.2,4,7,5,2238200,1\n34200.3,2,7,2,2238200,1\n\
         34200.4,5,0,2,2238250,-1\n34200.5,3,7,3,2238200,1\n34200.6,3,8,3,2238200,1\n",
    ),
    (
        "orders.csv",
        "id,timestamp,exchange_timestamp,price,volume,action,direction\n\
         1,1777689380521,1777689380521,100.5,1.5,created,bid\n\
         2,1777689380522,1777689380522,100.1,1.5,created,ask\n\
         1,1777689382523,1777689382523,100.5,1.0,changed,bid\n\
         2,1777689382523,1777689382523,100.1,1.0,changed,ask\n\
         2,1777689382524,1777689382524,100.1,0,deleted,ask\n",
    ),
    (
        "trades.csv",
        "time,symbol,side,size,price\n1514764802610,A,buy,5,1.5\n2018-01-01D00:00:01.5,B,sell,5,2\n",
    ),
    (
        "bars.csv",
        "time,open,high,low,close,volume\n1514764800,1,2,1,2,5\n1514764860,1,2,1,2,5e-7\n",
    ),
    (
        "ws.txt",
        "1700000000000000001 {\"lastUpdateId\":7,\"bids\":[[\"9\",\"2\"]],\"asks\":[[\"12\",\"3\"]]}\n\
         1700000000000000002 {\"e\":\"depthUpdate\",\"E\":5,\"s\":\"XUSDT\",\"U\":8,\"u\":9,\"b\":[[\"9\",\"1\"]],\"a\":[]}\n",
    ),
];

#[test]
fn the_samples_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in SAMPLES {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        assert!(read(&path).unwrap().len() >= 2, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_texts_never_panic(
        which in 0..SAMPLES.len(),
        changes in prop::collection::vec((any::<u16>(), prop_oneof![any::<u8>(), prop::sample::select(b"0123456789.,eE-".to_vec())]), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (name, text) = SAMPLES[which];
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let _ = read(&path);
    }
}
