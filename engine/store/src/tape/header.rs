//! The header's metadata: length-prefixed texts, so that decimals stay exact and files readable.

use tercel_core::{AssetId, InstrumentKind, InstrumentSpec, VenueId};

use crate::metadata::Metadata;

/// Writes the metadata.
pub(super) fn write(metadata: &Metadata) -> Vec<u8> {
    let mut out = Vec::new();
    count(metadata.assets.len(), &mut out);
    for asset in &metadata.assets {
        text(asset, &mut out);
    }
    count(metadata.instruments.len(), &mut out);
    for spec in &metadata.instruments {
        text(&spec.symbol, &mut out);
        for number in [spec.venue.0, spec.base.0, spec.quote.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(match spec.kind {
            InstrumentKind::Spot => 0,
            InstrumentKind::LinearPerpetual => 1,
            InstrumentKind::InversePerpetual => 2,
        });
        out.extend_from_slice(&spec.price_band_bps.to_le_bytes());
        for decimal in [
            spec.tick,
            spec.lot,
            spec.multiplier,
            spec.min_quantity,
            spec.max_quantity,
            spec.min_notional,
            spec.maker_fee,
            spec.taker_fee,
        ] {
            text(&decimal.to_string(), &mut out);
        }
    }
    out
}

/// Reads the metadata; `None` if the bytes are not such.
pub(super) fn read(bytes: &[u8]) -> Option<Metadata> {
    let mut input = bytes;
    let mut metadata = Metadata::default();
    for _ in 0..take_count(&mut input)? {
        metadata.assets.push(take_text(&mut input)?);
    }
    for _ in 0..take_count(&mut input)? {
        let symbol = take_text(&mut input)?;
        let mut number = || take::<2>(&mut input).map(u16::from_le_bytes);
        let (venue, base, quote) = (VenueId(number()?), AssetId(number()?), AssetId(number()?));
        let kind = match take::<1>(&mut input)?[0] {
            0 => InstrumentKind::Spot,
            1 => InstrumentKind::LinearPerpetual,
            2 => InstrumentKind::InversePerpetual,
            _ => return None,
        };
        let price_band_bps = u32::from_le_bytes(take::<4>(&mut input)?);
        let mut decimal = || take_text(&mut input)?.parse().ok();
        metadata.instruments.push(InstrumentSpec {
            symbol,
            venue,
            kind,
            base,
            quote,
            price_band_bps,
            tick: decimal()?,
            lot: decimal()?,
            multiplier: decimal()?,
            min_quantity: decimal()?,
            max_quantity: decimal()?,
            min_notional: decimal()?,
            maker_fee: decimal()?,
            taker_fee: decimal()?,
        });
    }
    input.is_empty().then_some(metadata)
}

fn count(n: usize, out: &mut Vec<u8>) {
    let n = u16::try_from(n).expect("ids are 16 bits, so there are no more");
    out.extend_from_slice(&n.to_le_bytes());
}

fn text(text: &str, out: &mut Vec<u8>) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

fn take_count(input: &mut &[u8]) -> Option<u16> {
    take::<2>(input).map(u16::from_le_bytes)
}

fn take_text(input: &mut &[u8]) -> Option<String> {
    let len = usize::from(take_count(input)?);
    let (head, rest) = input.split_at_checked(len)?;
    *input = rest;
    String::from_utf8(head.to_vec()).ok()
}
