//! Which instruments several files are about: one for each symbol and kind, on the finest steps
//! that any of its files shows.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tercel_core::{InstrumentId, InstrumentKind, InstrumentSpec};

use super::{Plan, Planned};
use crate::error::StoreError;
use crate::metadata::Metadata;
use crate::options::OpenOptions;
use crate::source::Target;

/// The instruments of all files.
#[derive(Debug)]
pub(crate) struct Instruments {
    pub(crate) metadata: Metadata,
    pub(crate) findings: Vec<String>,
    /// By file, by its own numbers: the id here.
    ids: Vec<Vec<Option<InstrumentId>>>,
    /// By tape, by its own numbers: its steps.
    steps: Vec<Vec<(Decimal, Decimal)>>,
}

/// One symbol of one file.
struct Mention {
    file: usize,
    spec: InstrumentSpec,
    /// Base and quote; found from the symbol where the file does not say.
    assets: Option<(String, String)>,
    is_kind_told: bool,
    n_values: u64,
    is_tick_found: bool,
    is_lot_found: bool,
    is_wanted: bool,
}

impl Instruments {
    /// Unites what the files say.
    pub(crate) fn of(plans: &[Plan], options: &OpenOptions) -> Result<Self, StoreError> {
        let mentions = mentions(plans, options);
        let spots = mentions.iter().filter(|mention| mention.is_kind_told && mention.is_spot());
        let spots: HashSet<&str> = spots.map(|mention| mention.spec.symbol.as_str()).collect();
        let mut groups: Vec<(String, Vec<&Mention>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut ids = vec![Vec::new(); plans.len()];
        let mut steps = vec![Vec::new(); plans.len()];
        for mention in &mentions {
            steps[mention.file].push((mention.spec.tick, mention.spec.lot));
            if !mention.is_wanted {
                ids[mention.file].push(None);
                continue;
            }
            let name = mention.name(&spots);
            let at = *places.entry(name).or_insert_with_key(|name| {
                groups.push((name.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(mention);
            ids[mention.file].push(u16::try_from(at).ok().map(InstrumentId));
        }
        let mut united = Self { metadata: Metadata::default(), findings: Vec::new(), ids, steps };
        for (name, mentions) in &groups {
            united.add(name, mentions, options)?;
        }
        Ok(united)
    }

    /// Returns the ids of a file's symbols.
    pub(crate) fn ids(&self, file: usize) -> impl Iterator<Item = Option<InstrumentId>> {
        self.ids[file].iter().copied()
    }

    /// Returns what becomes of a tape's instruments.
    pub(crate) fn targets(&self, file: usize) -> Result<Vec<Target>, StoreError> {
        let instruments = self.ids[file].iter().zip(&self.steps[file]);
        let targets = instruments.filter_map(|(id, steps)| Some(((*id)?, steps)));
        targets
            .map(|(id, (tick, lot))| {
                let spec = &self.metadata.instruments[id.index()];
                let factor = |own: Decimal, common: Decimal, what: &str| {
                    let factor = own.checked_div(common).filter(|factor| factor.fract().is_zero());
                    factor.and_then(|factor| factor.to_i64()).ok_or_else(|| StoreError::Conflict {
                        symbol: spec.symbol.clone(),
                        what: format!("a tape's {what} {own} is not a multiple of {common}"),
                    })
                };
                Ok(Target {
                    id,
                    venue: spec.venue,
                    price_factor: factor(*tick, spec.tick, "tick")?,
                    qty_factor: factor(*lot, spec.lot, "lot")?,
                })
            })
            .collect()
    }

    fn add(
        &mut self,
        name: &str,
        mentions: &[&Mention],
        options: &OpenOptions,
    ) -> Result<(), StoreError> {
        let first = mentions[0];
        let mut spec = first.spec.clone();
        spec.tick = united_step(mentions, |mention| (mention.spec.tick, mention.is_tick_found));
        spec.lot = united_step(mentions, |mention| (mention.spec.lot, mention.is_lot_found));
        for other in &mentions[1..] {
            if other.is_kind_told && spec.multiplier != other.spec.multiplier {
                return Err(StoreError::Conflict {
                    symbol: name.to_owned(),
                    what: format!("multiplier {} and {}", spec.multiplier, other.spec.multiplier),
                });
            }
        }
        spec.tick = options.tick.unwrap_or(spec.tick);
        spec.lot = options.lot.unwrap_or(spec.lot);
        for (step, option) in [(spec.tick, "tick"), (spec.lot, "lot")] {
            if step <= Decimal::ZERO {
                return Err(StoreError::Conflict {
                    symbol: name.to_owned(),
                    what: format!("the {option} {step} is not positive"),
                });
            }
        }
        let told = mentions.iter().find(|mention| mention.is_kind_told);
        if let Some(told) = told {
            (spec.kind, spec.multiplier) = (told.spec.kind, told.spec.multiplier);
        }
        if options.kind.is_some_and(|kind| kind != spec.kind) {
            spec.kind = options.kind.unwrap_or(spec.kind);
            spec.multiplier = Decimal::ONE;
        }
        let (base, quote) = first.assets.clone().unwrap_or_else(|| {
            let (base, quote) = crate::metadata::split_symbol(&first.spec.symbol);
            (base.to_owned(), quote.to_owned())
        });
        (spec.base, spec.quote) = (self.metadata.asset(&base), self.metadata.asset(&quote));
        spec.maker_fee = options.maker_fee.unwrap_or(spec.maker_fee);
        spec.taker_fee = options.taker_fee.unwrap_or(spec.taker_fee);
        spec.symbol = name.to_owned();
        self.finding(first, &spec, mentions, told.is_some(), options);
        self.metadata.instruments.push(spec);
        Ok(())
    }

    fn finding(
        &mut self,
        first: &Mention,
        spec: &InstrumentSpec,
        mentions: &[&Mention],
        is_kind_told: bool,
        options: &OpenOptions,
    ) {
        let n_values: u64 = mentions.iter().map(|mention| mention.n_values).sum();
        if n_values == 0 {
            return;
        }
        let whose = |given: bool| if given { "given" } else { "found" };
        let kind = match spec.kind {
            InstrumentKind::Spot => "spot".to_owned(),
            InstrumentKind::LinearPerpetual => "linear perpetual".to_owned(),
            InstrumentKind::InversePerpetual => {
                format!("inverse perpetual of {} quote a contract", spec.multiplier)
            }
        };
        let assumed = match (options.kind.is_some(), is_kind_told) {
            (true, _) => " (given)",
            (false, true) => "",
            (false, false) => " (assumed; the data does not say)",
        };
        let (tick, lot) = (spec.tick, spec.lot);
        self.findings.push(format!(
            "{}: {kind}{assumed}, tick {tick} ({}), lot {lot} ({}), from {n_values} values",
            spec.symbol,
            whose(options.tick.is_some()),
            whose(options.lot.is_some()),
        ));
        if spec.symbol != first.spec.symbol {
            self.findings.push(format!(
                "{}: so called here because the files have a spot {} too",
                spec.symbol, first.spec.symbol
            ));
        }
    }
}

fn mentions(plans: &[Plan], options: &OpenOptions) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for (file, plan) in plans.iter().enumerate() {
        match &plan.content {
            Planned::Tape { metadata, .. } => {
                for spec in &metadata.instruments {
                    let name = |asset: tercel_core::AssetId| {
                        metadata.assets.get(asset.index()).map_or("?", String::as_str).to_owned()
                    };
                    mentions.push(Mention {
                        file,
                        assets: Some((name(spec.base), name(spec.quote))),
                        spec: spec.clone(),
                        is_kind_told: true,
                        n_values: 0,
                        is_tick_found: true,
                        is_lot_found: true,
                        is_wanted: true,
                    });
                }
            }
            Planned::Import(survey) => {
                for found in &survey.symbols {
                    let symbol = &found.symbol;
                    let mut spec = InstrumentSpec::linear(&symbol.name, "1", "1");
                    (spec.tick, spec.lot) = (found.tick, found.lot);
                    (spec.kind, spec.multiplier) = (symbol.kind, symbol.multiplier);
                    mentions.push(Mention {
                        file,
                        spec,
                        assets: None,
                        is_kind_told: symbol.is_kind_told && options.kind.is_none(),
                        n_values: found.n_values,
                        is_tick_found: found.is_tick_found,
                        is_lot_found: found.is_lot_found,
                        is_wanted: found.is_wanted,
                    });
                }
            }
        }
    }
    mentions
}

impl Mention {
    fn is_spot(&self) -> bool {
        self.spec.kind == InstrumentKind::Spot
    }

    /// Returns what a symbol is called: by itself, unless it is a perpetual beside a spot of one
    /// name.
    fn name(&self, spots: &HashSet<&str>) -> String {
        let symbol = &self.spec.symbol;
        if self.is_kind_told && !self.is_spot() && spots.contains(symbol.as_str()) {
            return format!("{symbol}-PERP");
        }
        symbol.clone()
    }
}

/// Returns a step that fits all files that found one; what others fell back on does not count.
fn united_step(mentions: &[&Mention], step: impl Fn(&Mention) -> (Decimal, bool)) -> Decimal {
    let steps = mentions.iter().map(|mention| step(mention));
    let found = steps.clone().filter(|(_, is_found)| *is_found).map(|(step, _)| step);
    let all = steps.map(|(step, _)| step);
    found.reduce(common_step).or_else(|| all.reduce(common_step)).unwrap_or(Decimal::ONE)
}

/// Returns a step that both are multiples of.
fn common_step(a: Decimal, b: Decimal) -> Decimal {
    let (fine, coarse) = if a < b { (a, b) } else { (b, a) };
    if fine > Decimal::ZERO && (coarse % fine).is_zero() {
        return fine;
    }
    Decimal::new(1, fine.normalize().scale().max(coarse.normalize().scale()))
}
