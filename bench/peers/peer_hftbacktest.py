"""hftbacktest on the tick workload, its strategy compiled by numba and called on each event.

    --variant flat    depth in an array indexed by tick (the default, its fastest)
    --variant hash    depth in a hash map
"""

import hftbacktest
import numpy as np
from hftbacktest import (
    BacktestAsset,
    HashMapMarketDepthBacktest,
    MARKET,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.order import IOC
from numba import njit

import workload

WARM_UP_EVENTS = 5_000
NEVER = 1 << 60  # A time-out no wait reaches.
ALPHA = 2.0 / (workload.EMA_EVENTS + 1)
DECIDE_EVERY, ORDER_QTY = workload.DECIDE_EVERY, workload.ORDER_QTY


@njit
def strategy(hbt):
    events, buys, sells = 0, 0, 0
    ema = np.nan
    # Its examples ask for the depth on every event; once is a quarter faster.
    depth = hbt.depth(0)
    # The last event ends the data and is not waited for: 2 is "a market feed arrived".
    while hbt.wait_next_feed(False, NEVER) == 2:
        events += 1
        bid, ask = depth.best_bid, depth.best_ask
        mid = (bid + ask) / 2.0
        if np.isnan(mid):
            continue
        ema = mid if np.isnan(ema) else ema + ALPHA * (mid - ema)
        if events % DECIDE_EVERY == 0:
            hbt.clear_inactive_orders(0)
            if mid > ema:
                buys += 1
                hbt.submit_buy_order(0, events, ask, ORDER_QTY, IOC, MARKET, False)
            else:
                sells += 1
                hbt.submit_sell_order(0, events, bid, ORDER_QTY, IOC, MARKET, False)
    return events, buys, sells, hbt.position(0)


def backtest(data, variant):
    asset = (
        BacktestAsset()
        .data(data)
        .linear_asset(1.0)
        .constant_order_latency(100_000, 100_000)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0002, workload.TAKER_FEE)
        .tick_size(workload.PRICE_TICK)
        .lot_size(workload.LOT)
        .last_trades_capacity(0)
    )
    if variant == "hash":
        return HashMapMarketDepthBacktest([asset])
    # The range the array covers must be known beforehand: the data's own, with a margin.
    asset.roi_lb(float(data["px"].min()) - 100.0).roi_ub(float(data["px"].max()) + 100.0)
    return ROIVectorMarketDepthBacktest([asset])


def run(data, variant):
    hbt = backtest(data, variant)
    result, cpu_s, wall_s = workload.timed(lambda: strategy(hbt))
    hbt.close()
    return result, cpu_s, wall_s


def main():
    args = workload.arguments(__doc__)
    variant = args.variant or "flat"
    data = np.load(args.ticks)["data"][: args.limit]

    _, compile_s, _ = run(data[:WARM_UP_EVENTS].copy(), variant)
    (events, buys, sells, position), cpu_s, wall_s = run(data, variant)
    workload.report(
        "hftbacktest", hftbacktest.__version__, "ticks", variant,
        len(data), cpu_s, wall_s, compile_s,
        calls=events, orders=buys + sells, buys=buys, position=round(position, 6),
    )  # fmt: skip


if __name__ == "__main__":
    main()
