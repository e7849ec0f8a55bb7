//! Market by order: the records of one instrument, applied to its book.
//!
//! A record that is flagged last ends the venue's message; the book is told there. A fill changes
//! nothing by itself: the cancel or modification that follows in the same message does, and is told
//! as the execution it is.

use std::collections::HashMap;

use dbn::MboMsg;

use super::side_of;
use crate::formats::by_order::{ByOrder, Sink};
use crate::raw::RawData;
use crate::report::Report;

/// Prices are in billionths.
const PRICE_SCALE: u8 = super::PRICE_SCALE;

/// The book of one instrument.
pub(super) struct Orders {
    book: ByOrder,
    /// Filled quantities that no cancel or modification has taken from the book yet.
    filled: HashMap<u64, i64>,
    began: bool,
}

impl Orders {
    pub(super) fn new() -> Self {
        Self { book: ByOrder::new(PRICE_SCALE, 0), filled: HashMap::new(), began: false }
    }

    /// Applies a record, and tells the levels it changed if it ends a message.
    pub(super) fn take(
        &mut self,
        record: &MboMsg,
        report: &mut Report,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        if !self.began {
            self.book.clear(sink);
        }
        self.apply(record, report, sink)?;
        self.began = true;
        if record.flags.is_last() {
            for _ in self.filled.drain() {
                report.count("fills that nothing took from the book");
            }
            report.count("book states");
            self.book.end(report, sink);
        }
        Ok(())
    }

    fn apply(
        &mut self,
        record: &MboMsg,
        report: &mut Report,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        let Self { book, filled, .. } = self;
        let action = u8::from_ne_bytes(record.action.to_ne_bytes());
        let side = side_of(record.side);
        let (id, price, size) = (record.order_id, record.price, i64::from(record.size));
        let has_price = price != dbn::UNDEF_PRICE;
        let known = book.order(id);
        match action {
            b'A' | b'M' if !has_price || side.is_none() => {
                return Err(format!("order {id} has no price or side"));
            }
            b'A' => {
                if known.is_some() {
                    report.count("orders added twice");
                }
                if let Some(side) = side {
                    book.add(id, side, price, size, sink);
                }
            }
            b'M' => match (known, side) {
                (Some(order), _) => {
                    let traded = filled.remove(&id).unwrap_or(0);
                    if traded > 0 && price == order.price && size == order.qty - traded {
                        book.execute(id, traded, sink);
                    } else {
                        book.modify(id, price, size, sink);
                    }
                }
                (None, Some(side)) => {
                    report.count("events for unknown orders");
                    book.add(id, side, price, size, sink);
                }
                (None, None) => {}
            },
            b'C' => match known {
                Some(order) => {
                    let traded = filled.remove(&id).unwrap_or(0).min(size);
                    if traded > 0 {
                        book.execute(id, traded, sink);
                    }
                    match order.qty - size {
                        _ if traded == size => {}
                        left @ 1.. => book.modify(id, order.price, left, sink),
                        _ => book.cancel(id, sink),
                    }
                }
                None => report.count("events for unknown orders"),
            },
            b'R' => {
                filled.clear();
                book.clear(sink);
            }
            b'T' if has_price && size > 0 => {
                let (price, qty) = (book.price(price), book.qty(size));
                sink.push(RawData::Trade { aggressor: side, price, qty, id: 0 });
            }
            b'T' => report.count("trades without price or size"),
            b'F' => {
                if known.is_none() {
                    report.count("fills of orders that are not in the book");
                } else {
                    *filled.entry(id).or_default() += size;
                }
            }
            b'N' => {}
            other => return Err(format!("action `{}` is not known", char::from(other))),
        }
        Ok(())
    }
}
