//! Finds orders by id and by instrument, keeps ended ones for late reports, never grows.

use std::iter;

use crate::digest::Digest;
use crate::effect::ReportRefusal;
use crate::ids::{ClientOrderId, InstrumentId};
use crate::image::{Counts, ImageError, OrderImage, OrdersImage, ensure};
use crate::order::{ExecutionReport, ReportKind};
use crate::orders::{Change, Order};
use crate::pages::{Pages, PagesCopy};

/// All orders of an engine in a fixed number of places.
///
/// An ended order keeps its place until the place is needed, longest ended first, so that late
/// reports still find it. Fills are remembered with their order, so none counts twice.
#[derive(Clone, Debug)]
pub struct OrderTable {
    slots: Pages<Slot>,
    /// Most slots that there will be.
    capacity: usize,
    /// Slots of working orders by instrument, in the order they were opened (swaps apart).
    working: Vec<Vec<u32>>,
    /// Ended orders as a chain from the longest ended to the last.
    ended_first: u32,
    ended_last: u32,
    n_working: u32,
    index: IdIndex,
    fills: FillPool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    order: Order,
    /// Place in `working`, while working.
    working_idx: u32,
    /// Next ended order, once ended.
    ended_next: u32,
    /// First of its remembered fills.
    fills: u32,
}

const NONE: u32 = u32::MAX;
/// Slots are counted in 24 bits.
const CAPACITY_MAX: usize = 1 << 24;
/// Working orders of an instrument that find room without allocating.
const WORKING_ROOM: usize = 64;

impl OrderTable {
    /// Returns a table for `n_instruments` with room for `capacity` orders, working and ended.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0 or above 2^24.
    #[must_use]
    pub fn new(n_instruments: usize, capacity: usize) -> Self {
        assert!((1..=CAPACITY_MAX).contains(&capacity), "order capacity between 1 and 2^24");
        let mut table = Self::with_room(n_instruments, capacity);
        table.working.iter_mut().for_each(|slots| slots.reserve(WORKING_ROOM));
        table
    }

    fn with_room(n_instruments: usize, capacity: usize) -> Self {
        Self {
            slots: Pages::with_capacity(capacity),
            capacity,
            working: vec![Vec::new(); n_instruments],
            ended_first: NONE,
            ended_last: NONE,
            n_working: 0,
            index: IdIndex::new(capacity),
            fills: FillPool::default(),
        }
    }

    /// Returns the table as plain data.
    pub(crate) fn image(&self) -> OrdersImage {
        let order = |slot: u32| {
            let entry = &self.slots[slot as usize];
            OrderImage { order: entry.order, trade_ids: self.fills.iter(entry.fills).collect() }
        };
        let known = |slot: u32| (slot != NONE).then_some(slot);
        let ended = iter::successors(known(self.ended_first), |slot| {
            known(self.slots[*slot as usize].ended_next)
        });
        OrdersImage {
            capacity: u32::try_from(self.capacity).expect("places are counted in 24 bits"),
            working: self
                .working
                .iter()
                .map(|slots| slots.iter().map(|slot| order(*slot)).collect())
                .collect(),
            ended: ended.map(order).collect(),
        }
    }

    /// Returns the table that an image is of, without room for more orders: [`Self::make_room`].
    pub(crate) fn from_image(image: OrdersImage, counts: &Counts) -> Result<Self, ImageError> {
        let OrdersImage { capacity, working, ended } = image;
        let n_orders = working.iter().map(Vec::len).sum::<usize>() + ended.len();
        let capacity = capacity as usize;
        let fits = (n_orders.max(1)..=CAPACITY_MAX).contains(&capacity);
        ensure(fits, "order table of", n_orders, "its capacity is not between that and 2^24")?;
        let n_lists = working.len();
        let fits = n_lists == usize::from(counts.instruments);
        ensure(fits, "order table of", n_lists, "not one list an instrument")?;
        let mut table = Self { capacity, ..Self::with_room(n_lists, n_orders.max(1)) };
        for (instrument, orders) in working.into_iter().enumerate() {
            for image in orders {
                let belongs = image.order.spec.instrument.index() == instrument;
                ensure(belongs, "order", table.slots.len(), "in another instrument's list")?;
                ensure(image.order.is_working(), "order", table.slots.len(), "works but is over")?;
                table.place(&image, counts)?;
            }
        }
        for image in ended {
            ensure(!image.order.is_working(), "order", table.slots.len(), "is over but works")?;
            let slot = table.place(&image, counts)?;
            table.end(slot);
        }
        Ok(table)
    }

    fn place(&mut self, image: &OrderImage, counts: &Counts) -> Result<u32, ImageError> {
        let OrderImage { order, trade_ids } = image;
        let ensure = |holds, what| ensure(holds, "order", self.slots.len(), what);
        ensure(order.account.0 < counts.accounts, "its account is not there")?;
        ensure(order.strategy.0 < counts.strategies, "its strategy is not there")?;
        ensure(order.spec.instrument.0 < counts.instruments, "its instrument is not there")?;
        ensure(self.index.find(order.id).is_none(), "an id for the second time")?;
        let filled = order.filled.0;
        let fits = 0 <= filled && filled <= order.spec.qty.0 && filled <= order.qty_max.0;
        ensure(fits, "filled beyond what was ordered")?;
        let slot = self.insert(*order);
        for trade_id in trade_ids.iter().rev() {
            let fills = &mut self.slots.write(slot as usize).fills;
            *fills = self.fills.push(*trade_id, *fills);
        }
        Ok(slot)
    }

    /// Makes room for as many orders as the table holds at most.
    pub(crate) fn make_room(&mut self) {
        self.slots.reserve_exact(self.capacity - self.slots.len());
        self.working.iter_mut().for_each(|slots| slots.reserve(WORKING_ROOM));
        if self.index.keys.len() >= IdIndex::len_for(self.capacity) {
            return;
        }
        self.index = IdIndex::of(self.slots.as_slice(), self.capacity);
    }

    /// Returns how many orders it holds at most.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns whether another order finds a place.
    #[must_use]
    pub fn has_room(&self) -> bool {
        (self.n_working as usize) < self.capacity
    }

    /// Returns how many orders are working.
    #[must_use]
    pub const fn n_working(&self) -> u32 {
        self.n_working
    }

    /// Returns the order, if the table still knows it. O(1).
    #[must_use]
    pub fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.index.find(id).map(|slot| &self.slots[slot as usize].order)
    }

    /// Returns the working orders of an instrument. Their order is reproducible, not sorted.
    pub fn working(&self, instrument: InstrumentId) -> impl Iterator<Item = &Order> {
        self.working[instrument.index()].iter().map(|slot| &self.slots[*slot as usize].order)
    }

    /// Returns how many orders of an instrument are working.
    pub(crate) fn n_working_of(&self, instrument: InstrumentId) -> usize {
        self.working[instrument.index()].len()
    }

    /// Returns the `n`th working order of an instrument, in the order of [`Self::working`].
    pub(crate) fn working_at(&self, instrument: InstrumentId, n: usize) -> &Order {
        &self.slots[self.working[instrument.index()][n] as usize].order
    }

    /// Returns all working orders, by instrument.
    pub fn all_working(&self) -> impl Iterator<Item = &Order> {
        self.working.iter().flatten().map(|slot| &self.slots[*slot as usize].order)
    }

    /// Records a new working order and returns its slot. O(1).
    ///
    /// # Panics
    ///
    /// If the table is full (ask [`Self::has_room`]) or knows the id already.
    pub(crate) fn insert(&mut self, order: Order) -> u32 {
        assert!(self.index.find(order.id).is_none(), "order ids never recur");
        let slot = self.free_slot();
        let working = &mut self.working[order.spec.instrument.index()];
        let place = u32::try_from(working.len()).expect("places are counted in 24 bits");
        working.push(slot);
        self.n_working += 1;
        self.index.insert(order.id, slot);
        let entry = Slot { order, working_idx: place, ended_next: NONE, fills: NONE };
        if (slot as usize) < self.slots.len() {
            *self.slots.write(slot as usize) = entry;
        } else {
            self.slots.push(entry);
        }
        slot
    }

    /// Puts a working order back after requests about it were recorded.
    ///
    /// # Panics
    ///
    /// If the table does not know the order.
    pub(crate) fn update(&mut self, order: &Order) {
        debug_assert!(order.is_working(), "orders end by reports only");
        let slot = self.index.find(order.id).expect("the order was read from this table");
        self.slots.write(slot as usize).order = *order;
    }

    /// Applies a report and returns the order as it was and as it is, with what changed.
    ///
    /// # Errors
    ///
    /// Why the report was refused.
    pub(crate) fn apply(
        &mut self,
        report: &ExecutionReport,
    ) -> Result<(Order, Order, Change), ReportRefusal> {
        let slot = self.index.find(report.order).ok_or(ReportRefusal::UnknownOrder)?;
        let entry = &self.slots[slot as usize];
        let is_double = matches!(&report.kind, ReportKind::Fill(fill)
            if self.fills.contains(entry.fills, fill.trade_id));
        #[cfg(feature = "sabotage")]
        let is_double =
            is_double && !crate::sabotage::is_planted(crate::sabotage::Bug::FillCountsTwice);
        if is_double {
            return Err(ReportRefusal::DuplicateFill);
        }
        let entry = self.slots.write(slot as usize);
        let before = entry.order;
        let change = entry.order.apply(&report.kind)?;
        if let ReportKind::Fill(fill) = &report.kind {
            entry.fills = self.fills.push(fill.trade_id, entry.fills);
        }
        let after = entry.order;
        if before.is_working() && !after.is_working() {
            self.end(slot);
        }
        Ok((before, after, change))
    }

    /// Mixes the working orders and their number into `digest`, in order of id.
    pub fn digest(&self, digest: &mut Digest) {
        digest.u64(u64::from(self.n_working));
        let mut orders: Vec<_> = self.all_working().collect();
        orders.sort_unstable_by_key(|order| order.id);
        orders.iter().for_each(|order| order.digest(digest));
    }

    fn free_slot(&mut self) -> u32 {
        if self.slots.len() < self.capacity {
            return u32::try_from(self.slots.len()).expect("places are counted in 24 bits");
        }
        let slot = self.ended_first;
        assert!(slot != NONE, "the order table is full of working orders");
        let entry = &self.slots[slot as usize];
        self.ended_first = entry.ended_next;
        if self.ended_first == NONE {
            self.ended_last = NONE;
        }
        self.index.remove(entry.order.id);
        self.fills.release(entry.fills);
        slot
    }

    fn end(&mut self, slot: u32) {
        let entry = &self.slots[slot as usize];
        let (instrument, place) = (entry.order.spec.instrument, entry.working_idx as usize);
        let working = &mut self.working[instrument.index()];
        working.swap_remove(place);
        if let Some(moved) = working.get(place) {
            self.slots.write(*moved as usize).working_idx = entry_place(place);
        }
        self.n_working -= 1;
        self.slots.write(slot as usize).ended_next = NONE;
        if self.ended_last == NONE {
            self.ended_first = slot;
        } else {
            self.slots.write(self.ended_last as usize).ended_next = slot;
        }
        self.ended_last = slot;
    }
}

/// A copy of a table in the making: orders and fills page by page, what leads to them last.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrdersCopy {
    slots: PagesCopy<Slot>,
    fills: PagesCopy<(u64, u32)>,
}

impl OrdersCopy {
    /// Copies at most `max` pages. Returns how many: fewer than `max` if nothing is left.
    pub(crate) fn advance(&mut self, from: &OrderTable, max: usize) -> usize {
        let n_slots = self.slots.advance(&from.slots, max);
        n_slots + self.fills.advance(&from.fills.nodes, max - n_slots)
    }

    /// Copies all that is left.
    pub(crate) fn finish(self, from: &OrderTable) -> CopiedOrders {
        let OrderTable {
            slots,
            capacity,
            working,
            ended_first,
            ended_last,
            n_working,
            // Made anew when there is time.
            index: _,
            fills,
        } = from;
        CopiedOrders {
            slots: self.slots.finish(slots),
            capacity: *capacity,
            working: working.clone(),
            ended_first: *ended_first,
            ended_last: *ended_last,
            n_working: *n_working,
            fills: self.fills.finish(&fills.nodes),
            free: fills.free.clone(),
        }
    }
}

/// A table without its index.
#[derive(Debug)]
pub(crate) struct CopiedOrders {
    slots: Vec<Slot>,
    capacity: usize,
    working: Vec<Vec<u32>>,
    ended_first: u32,
    ended_last: u32,
    n_working: u32,
    fills: Vec<(u64, u32)>,
    free: Vec<u32>,
}

impl CopiedOrders {
    /// Makes the index. O(capacity).
    pub(crate) fn into_table(self) -> OrderTable {
        let Self { slots, capacity, working, ended_first, ended_last, n_working, fills, free } =
            self;
        OrderTable {
            index: IdIndex::of(&slots, capacity),
            slots: slots.into(),
            capacity,
            working,
            ended_first,
            ended_last,
            n_working,
            fills: FillPool { nodes: fills.into(), free },
        }
    }
}

fn entry_place(place: usize) -> u32 {
    u32::try_from(place).expect("places are counted in 24 bits")
}

/// Open addressing from id to slot, at most half full, so that probes stay short.
#[derive(Clone, Debug)]
struct IdIndex {
    keys: Vec<(u64, u32)>,
    mask: usize,
    shift: u32,
}

impl IdIndex {
    /// Returns how many places it takes: at least two, or the shift would be the whole word.
    const fn len_for(capacity: usize) -> usize {
        (capacity * 2).next_power_of_two()
    }

    fn new(capacity: usize) -> Self {
        let len = Self::len_for(capacity);
        Self { keys: vec![(0, NONE); len], mask: len - 1, shift: 64 - len.trailing_zeros() }
    }

    /// Multiplies by 2^64 over the golden ratio and keeps the top bits: ids that count upwards then
    /// lie evenly apart. Their low bits would fill one long run, which every removal has to walk.
    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves fewer bits than a usize")]
    const fn home(&self, id: u64) -> usize {
        (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    fn of(slots: &[Slot], capacity: usize) -> Self {
        let mut index = Self::new(capacity);
        for (slot, entry) in (0..).zip(slots) {
            index.insert(entry.order.id, slot);
        }
        index
    }

    fn find(&self, id: ClientOrderId) -> Option<u32> {
        let mut at = self.home(id.0);
        loop {
            match self.keys[at] {
                (_, NONE) => return None,
                (key, slot) if key == id.0 => return Some(slot),
                _ => at = (at + 1) & self.mask,
            }
        }
    }

    fn insert(&mut self, id: ClientOrderId, slot: u32) {
        let mut at = self.home(id.0);
        while self.keys[at].1 != NONE {
            at = (at + 1) & self.mask;
        }
        self.keys[at] = (id.0, slot);
    }

    /// Removes an id and moves those behind it up, so that no probe meets a hole.
    fn remove(&mut self, id: ClientOrderId) {
        let mut at = self.home(id.0);
        while self.keys[at].0 != id.0 || self.keys[at].1 == NONE {
            if self.keys[at].1 == NONE {
                return;
            }
            at = (at + 1) & self.mask;
        }
        let mut next = (at + 1) & self.mask;
        while self.keys[next].1 != NONE {
            let home = self.home(self.keys[next].0);
            // The entry may move to the hole if its home does not lie between hole and entry.
            if (next.wrapping_sub(home) & self.mask) >= (next.wrapping_sub(at) & self.mask) {
                self.keys[at] = self.keys[next];
                at = next;
            }
            next = (next + 1) & self.mask;
        }
        self.keys[at] = (0, NONE);
    }
}

/// Trade ids of fills as chains in one vector: an order has few, and their places are used again.
#[derive(Clone, Debug, Default)]
struct FillPool {
    nodes: Pages<(u64, u32)>,
    free: Vec<u32>,
}

impl FillPool {
    fn contains(&self, first: u32, trade_id: u64) -> bool {
        self.iter(first).any(|id| id == trade_id)
    }

    /// Returns the trade ids of a chain, newest first.
    fn iter(&self, first: u32) -> impl Iterator<Item = u64> + '_ {
        let mut at = first;
        iter::from_fn(move || {
            let (id, next) = *self.nodes.get(at as usize)?;
            at = next;
            Some(id)
        })
    }

    fn push(&mut self, trade_id: u64, first: u32) -> u32 {
        if let Some(at) = self.free.pop() {
            *self.nodes.write(at as usize) = (trade_id, first);
            return at;
        }
        let at = u32::try_from(self.nodes.len()).expect("fewer than 2^32 fills are remembered");
        self.nodes.push((trade_id, first));
        at
    }

    fn release(&mut self, mut at: u32) {
        while at != NONE {
            self.free.push(at);
            at = self.nodes[at as usize].1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::{AccountId, StrategyId};
    use crate::num::{Nanos, Price, Quantity, Side};
    use crate::order::OrderSpec;

    fn order(id: u64) -> Order {
        let spec = OrderSpec::limit(InstrumentId(0), Side::Buy, Price(100), Quantity(5));
        Order::new(ClientOrderId(id), AccountId(0), StrategyId(0), spec, Nanos(0), Price(100))
    }

    fn report(id: u64, kind: ReportKind) -> ExecutionReport {
        ExecutionReport {
            order: ClientOrderId(id),
            account: AccountId(0),
            instrument: InstrumentId(0),
            venue_at: Nanos(0),
            received_at: Nanos(0),
            kind,
        }
    }

    #[test]
    fn the_longest_ended_order_makes_room() {
        let mut table = OrderTable::new(1, 2);
        table.insert(order(1));
        table.insert(order(2));
        assert!(!table.has_room());
        table.apply(&report(2, ReportKind::Canceled)).unwrap();
        table.apply(&report(1, ReportKind::Canceled)).unwrap();
        table.insert(order(3));
        assert!(table.get(ClientOrderId(2)).is_none());
        assert!(table.get(ClientOrderId(1)).is_some());
        assert_eq!(table.apply(&report(2, ReportKind::Canceled)), Err(ReportRefusal::UnknownOrder));
    }

    proptest! {
        /// The index with its backward shifts finds exactly what an ordered map finds.
        #[test]
        fn the_index_agrees_with_a_map(ops in prop::collection::vec((any::<bool>(), 0..64u64), 1..400)) {
            let mut index = IdIndex::new(32);
            let mut oracle = BTreeMap::new();
            for (n, (insert, key)) in ops.into_iter().enumerate() {
                let id = ClientOrderId(key * 8);
                if insert && oracle.len() < 32 && !oracle.contains_key(&id) {
                    let slot = u32::try_from(n).unwrap();
                    index.insert(id, slot);
                    oracle.insert(id, slot);
                } else if !insert {
                    index.remove(id);
                    oracle.remove(&id);
                }
                for key in 0..64 {
                    let id = ClientOrderId(key * 8);
                    prop_assert_eq!(index.find(id), oracle.get(&id).copied());
                }
            }
        }
    }
}
