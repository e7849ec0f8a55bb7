//! What it costs to understand and to say something at a venue.
//!
//! `depth` and `trade` are paid for every message of a feed, so a regression there lowers how many
//! instruments one thread can follow. `order` is the last step between a decision and the wire.

mod wire;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wire::{Account, MESSAGES, Market, ORDER_UPDATE, ROUND};

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    // Setting up a round and reading it both need the connection, never at the same time.
    let market = std::cell::RefCell::new(Market::new());
    group.throughput(Throughput::Elements(ROUND));
    group.bench_function("64 depth messages of 40 levels", |b| {
        b.iter_batched(
            || market.borrow_mut().depth_round(),
            |messages| {
                let mut market = market.borrow_mut();
                for message in &messages {
                    black_box(market.decode(message));
                }
                messages
            },
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(1));
    let mut market = market.into_inner();
    for (name, message) in MESSAGES {
        group.bench_function(name, |b| b.iter(|| market.decode(black_box(message))));
    }
    let mut account = Account::new();
    group.bench_function("order update", |b| b.iter(|| account.decode(black_box(ORDER_UPDATE))));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut account = Account::new();
    c.bench_function("encode/limit order, signed with HMAC", |b| b.iter(|| account.place()));
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
