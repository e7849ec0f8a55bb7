"""Writes the two inputs of the comparison: market events as `.npz` and minute bars as `.csv`.

Everything derives from uniform draws of one seeded generator and integer arithmetic, with no
logarithm or exponential, so that two machines write the same bytes. A digest of each file's
content is printed to prove it.

    python3 generate.py --out DIR [--events 2000000] [--bars 500000] [--seed 7]
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

DEPTH, TRADE = 1, 2
EXCH, LOCAL = 1 << 31, 1 << 30
BUY, SELL = 1 << 29, 1 << 28

EVENT = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)

LEVELS = 20  # Levels kept on each side of the book.
START_NS = 1_700_000_000_000_000_000
START_MS = 1_577_836_800_000
TICKS_PER_UNIT = 10  # Price tick 0.1.
LOTS_PER_UNIT = 1000  # Lot 0.001.
START_TICK = 500_000

TRADE_SHARE = 0.10
MOVE_SHARE = 0.02  # Share of events on which the touch starts to move by one tick.
DELETE_SHARE = 0.10  # Share of updates behind the touch that empty the level.


def events(n, seed):
    """Returns `n` events of one book: never crossed, no delete of an absent level.

    A move of the touch takes several events (empty the old level, extend the far end, fill the
    spread), as on a real feed, so the spread is sometimes wider than its usual tick.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    kind, where, size, gap = (rng.random(n).tolist() for _ in range(4))

    bid, ask = START_TICK - 1, START_TICK
    bids = set(range(bid - LEVELS + 1, bid + 1))
    asks = set(range(ask, ask + LEVELS))
    queued = [(BUY, tick, False) for tick in sorted(bids, reverse=True)]
    queued += [(SELL, tick, False) for tick in sorted(asks)]
    queued.reverse()

    flags, ticks, lots = [0] * n, [0] * n, [0] * n
    for i in range(n):
        lot = 1 + int(size[i] * 5000)
        side = BUY if where[i] < 0.5 else SELL
        spot = (where[i] * 2) % 1.0
        if kind[i] < TRADE_SHARE:
            # The side of a trade is its aggressor's: a buy meets the ask. It comes before any
            # level is written only in the first instants, where it hits the level to come.
            flags[i], ticks[i], lots[i] = TRADE | side, ask if side == BUY else bid, lot
            continue
        if not queued and kind[i] < TRADE_SHARE + MOVE_SHARE:
            if side == BUY:
                queued = [(SELL, ask, True), (SELL, ask + 1, False), (SELL, ask + LEVELS, False)]
                queued += [(BUY, ask, False)]
                tail = ask - LEVELS
                queued += [(BUY, tail, True)] if tail in bids else []
                bid, ask = ask, ask + 1
            else:
                queued = [(BUY, bid, True), (BUY, bid - 1, False), (BUY, bid - LEVELS, False)]
                queued += [(SELL, bid, False)]
                tail = bid + LEVELS
                queued += [(SELL, tail, True)] if tail in asks else []
                ask, bid = bid, bid - 1
            queued.reverse()
        if queued:
            side, tick, empty = queued.pop()
        else:
            # The square puts most updates near the touch.
            away = int(spot * spot * LEVELS)
            tick = bid - away if side == BUY else ask + away
            present = tick in (bids if side == BUY else asks)
            empty = away > 0 and present and size[i] < DELETE_SHARE
        (bids if side == BUY else asks).add(tick)
        if empty:
            (bids if side == BUY else asks).discard(tick)
            lot = 0
        flags[i], ticks[i], lots[i] = DEPTH | side, tick, lot

    out = np.zeros(n, EVENT)
    out["ev"] = np.array(flags, "u8") | np.uint64(EXCH | LOCAL)
    # Strictly increasing times leave no engine a choice of order.
    out["exch_ts"] = START_NS + np.cumsum(1 + (np.array(gap) * 2_000_000).astype("i8"))
    out["local_ts"] = out["exch_ts"] + 500_000
    out["px"] = np.array(ticks, "f8") / TICKS_PER_UNIT
    out["qty"] = np.array(lots, "f8") / LOTS_PER_UNIT
    return out


def bars(n, seed):
    """Returns `n` minute bars as integers: time in ms, prices in cents, volume in thousandths."""
    rng = np.random.Generator(np.random.PCG64(seed + 1))

    def noise(scale):
        total = rng.random(n) + rng.random(n) + rng.random(n) + rng.random(n) - 2.0
        return np.floor(total * scale).astype("i8")

    step = noise(1500)
    close = 3_000_000 + np.cumsum(step)
    if close.min() < 100_000:
        raise SystemExit("this seed walks the price to zero: choose another")
    open_ = np.concatenate(([3_000_000], close[:-1])) + noise(60)
    high = np.maximum(open_, close) + np.abs(noise(600))
    low = np.minimum(open_, close) - np.abs(noise(600))
    time = START_MS + 60_000 * np.arange(n, dtype="i8")
    volume = 1 + np.floor(rng.random(n) * 50_000).astype("i8")
    return np.stack([time, open_, high, low, close, volume], axis=1)


def write_bars(path, rows):
    with open(path, "w", newline="") as file:
        file.write("time,open,high,low,close,volume\n")
        for time, o, h, l, c, v in rows.tolist():
            prices = ",".join(f"{p // 100}.{p % 100:02d}" for p in (o, h, l, c))
            file.write(f"{time},{prices},{v // 1000}.{v % 1000:03d}\n")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--events", type=int, default=2_000_000)
    args.add_argument("--bars", type=int, default=500_000)
    args.add_argument("--seed", type=int, default=7)
    args = args.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    ticks_path, bars_path = args.out / "ticks.npz", args.out / "bars.csv"
    data = events(args.events, args.seed)
    # Stored, not deflated: unpacking is no part of what is compared.
    np.savez(ticks_path, data=data)
    write_bars(bars_path, bars(args.bars, args.seed))
    for path, count, content in (
        (ticks_path, args.events, data.tobytes()),
        (bars_path, args.bars, bars_path.read_bytes()),
    ):
        digest = hashlib.sha256(content).hexdigest()[:16]
        print(json.dumps({"file": path.name, "rows": count, "seed": args.seed, "sha256": digest}))


if __name__ == "__main__":
    main()
