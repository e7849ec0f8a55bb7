//! Recorded market data as an exchange's market.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tercel_core::{Event, Instrument, InstrumentId, MarketData, MarketEvent};
use tercel_exchange::{Fixed, Listing, Product, Recording};
use tercel_store::{OpenOptions, Reader};

use crate::data::blame;
use crate::exit::{Blame, Outcome, input};

/// Blocks that wait to be played.
const BLOCKS: usize = 4;

/// One instrument's events out of recorded data, read ahead on a thread of its own.
struct TapeFlow {
    blocks: Receiver<Vec<MarketEvent>>,
    block: std::vec::IntoIter<MarketEvent>,
}

impl TapeFlow {
    fn open(path: &Path, instrument: InstrumentId) -> Outcome<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("tape".to_owned())
            .spawn(move || read_ahead(&path, instrument, &sender))
            .or_machine()?;
        Ok(Self { blocks, block: Vec::new().into_iter() })
    }
}

impl Iterator for TapeFlow {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        loop {
            if let Some(event) = self.block.next() {
                return Some(event);
            }
            self.block = self.blocks.recv().ok()?.into_iter();
        }
    }
}

/// Reads until the end of the data, or until nobody listens. What is damaged ends the market there.
fn read_ahead(path: &Path, instrument: InstrumentId, sender: &SyncSender<Vec<MarketEvent>>) {
    let Ok(mut reader) = open_reader(path) else { return };
    let mut block = Vec::new();
    while let Ok(1..) = reader.read_block(&mut block) {
        let events = block.drain(..).filter_map(|event| match event {
            Event::Market(event) if event.instrument == instrument => Some(event),
            _ => None,
        });
        if sender.send(events.collect()).is_err() {
            return;
        }
    }
}

/// Opens recorded data, one recording per instrument whose name an exchange can list.
pub(super) fn open(path: &Path) -> Outcome<Vec<Recording>> {
    let instruments = open_reader(path)?.metadata().instruments().map_err(blame)?;
    let listed = instruments.iter().filter_map(|instrument| {
        let symbol = instrument.spec.symbol.to_ascii_uppercase();
        Listing::by_name(&symbol, Product::Spot).map(|_| (instrument, symbol))
    });
    let recordings: Vec<Recording> = listed
        .map(|(instrument, symbol)| record(path, instrument, symbol))
        .collect::<Outcome<_>>()?;
    if recordings.is_empty() {
        let names: Vec<_> = instruments.iter().map(|known| known.spec.symbol.as_str()).collect();
        return Err(input(format!(
            "--market tape:{}: no instrument with a name such as BTCUSDT, only {}",
            path.display(),
            names.join(", ")
        )));
    }
    Ok(recordings)
}

fn record(path: &Path, instrument: &Instrument, symbol: String) -> Outcome<Recording> {
    let wrong = |what: &str| input(format!("--market tape:{}: {what}", path.display()));
    let number = |value: rust_decimal::Decimal, what: &str| {
        Fixed::parse(&value.normalize().to_string())
            .map_err(|error| wrong(&format!("{what} {value} of {symbol}: {error}")))
    };
    let tick = number(instrument.spec.tick, "tick")?;
    let lot = number(instrument.spec.lot, "lot")?;
    let flow = || TapeFlow::open(path, instrument.id);
    let first = flow()?.find_map(|event| match event.data {
        MarketData::Level { price, .. } | MarketData::Trade { price, .. } => Some(price.0),
        _ => None,
    });
    let first = first.ok_or_else(|| wrong(&format!("{symbol} has neither levels nor trades")))?;
    Ok(Recording {
        tick,
        lot,
        spot: Box::new(flow()?),
        perpetual: Box::new(flow()?),
        start_price: tick.scaled(first),
        symbol,
    })
}

fn open_reader(path: &Path) -> Outcome<Reader> {
    let paths: [PathBuf; 1] = [path.to_owned()];
    Reader::open(&paths, &OpenOptions::default()).map_err(blame)
}
