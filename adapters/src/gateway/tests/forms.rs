//! Orders that were replaced by others before a restart.

use tercel_core::{Intent, OrderSpec, Price, Quantity, Side};

use super::super::*;
use super::World;
use super::script::INSTRUMENT;

/// Places an order and replaces it twice, each time by a new one.
fn replaced_twice() -> World {
    let mut world = World::new(4, ReplaceStyle::CancelReplace, true);
    let wish = |world: &mut World, intent: Option<Intent>| {
        match intent {
            Some(intent) => world.strings.give(intent),
            None => {
                let spec = OrderSpec::limit(INSTRUMENT, Side::Buy, Price(90), Quantity(5));
                world.strings.place(spec);
            }
        }
        let at = world.now.0;
        world.handle(&tercel_testkit::level(0, at, Side::Buy, 99, at % 7 + 40));
        world.flush();
        (0..20).for_each(|_| world.step());
    };
    (0..20).for_each(|_| world.step());
    wish(&mut world, None);
    let id = world.engine.state().orders.all_working().next().unwrap().id;
    for price in [91, 92] {
        let (price, qty) = (Price(price), Quantity(5));
        wish(&mut world, Some(Intent::Replace { id, price, qty }));
    }
    assert_eq!(world.venue.placements().len(), 3);
    world
}

/// The venue's open orders named the form that works, and were not listened to before the history was
/// read. A history that was behind showed an earlier form last, which was over: the order was told as
/// cancelled, and the one that worked was withdrawn as an orphan.
#[test]
fn the_form_that_works_is_known_from_the_open_orders() {
    let mut world = replaced_twice();
    world.venue.end_history_after(2);
    world.restart();
    (0..300).for_each(|_| world.step());
    assert_eq!(world.venue.open().len(), 1, "{:?}", world.notices);
    assert_eq!(world.engine.state().orders.n_working(), 1, "{:?}", world.notices);
    world.venue.end_history_after(usize::MAX);
    (0..500).for_each(|_| world.step());
    assert_eq!(world.venue.open().len(), 1, "{:?}", world.notices);
    world.check(4);
}

/// It can be withdrawn before the history has come.
#[test]
fn the_form_that_works_can_be_withdrawn_at_once() {
    let mut world = replaced_twice();
    world.venue.end_history_after(2);
    world.restart();
    (0..100).for_each(|_| world.step());
    let id = world.engine.state().orders.all_working().next().unwrap().id;
    world.strings.give(Intent::Cancel { id });
    let at = world.now.0;
    world.handle(&tercel_testkit::level(0, at, Side::Buy, 99, 60));
    world.flush();
    (0..100).for_each(|_| world.step());
    assert!(world.venue.open().is_empty(), "{:?}", world.notices);
    world.venue.end_history_after(usize::MAX);
    (0..500).for_each(|_| world.step());
    world.check(4);
}
