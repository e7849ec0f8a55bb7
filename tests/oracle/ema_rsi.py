#!/usr/bin/env python3
"""Backtests the EMA cross with RSI filter on bars, independently of the engine.

    python3 ema_rsi.py BARS.csv[.gz] --out trades.csv
    python3 ema_rsi.py --self-test

The trades it writes are compared with the engine's, so the rules are written here a second time
from their description, in the plainest way: floats for indicators, `decimal` for money, nothing
but the standard library. It shares no code with the engine and must never come to.

Rules. Signals are taken at a bar's close, when both averages and the RSI exist on it and both
averages existed on the bar before. Flat, fast crosses above slow, RSI below its high: buy. Long,
fast crosses below slow, RSI above its low: sell all. An order fills at the next bar's open, moved
against it by the slippage and rounded against it to the tick; one sent at the last close never
fills. A missing minute is an absent bar: the next bar is the next row.
"""

import argparse
import csv
import gzip
import itertools
import json
import sys
from collections import namedtuple
from datetime import datetime, timezone
from decimal import Decimal, Inexact, getcontext

# Money is exact or the run stops: a result that needs more than 28 digits is never rounded.
getcontext().traps[Inexact] = True

Bar = namedtuple("Bar", "time_ns open close")
Fill = namedtuple("Fill", "time_ns side price quantity fee")
Rules = namedtuple("Rules", "fast slow rsi_period rsi_high rsi_low quantity slippage fee tick")

DEFAULTS = Rules(5, 13, 14, 70.0, 30.0, *map(Decimal, ("0.1", "0.0005", "0.001", "0.01")))
TIME_COLUMNS = ("time", "open_time_ms", "open_time", "timestamp")


def ema(values, period):
    """Exponential average as TA-Lib: the first value is the simple mean of `period` values.

    Written in TA-Lib's order of operations, because a cross can hang on the last bit.
    """
    alpha = 2.0 / (period + 1)
    out = [None] * len(values)
    if len(values) < period:
        return out
    average = 0.0
    for value in values[:period]:
        average += value
    average /= period
    out[period - 1] = average
    for i in range(period, len(values)):
        average = (values[i] - average) * alpha + average
        out[i] = average
    return out


def rsi(values, period):
    """Wilder's RSI as TA-Lib: first value at index `period`; 0 where nothing moved."""
    out = [None] * len(values)
    gain = loss = 0.0
    for i in range(1, len(values)):
        change = values[i] - values[i - 1]
        if i > period:
            gain *= period - 1
            loss *= period - 1
        gain += max(change, 0.0)
        loss += max(-change, 0.0)
        # The first mean divides the plain sum of `period` changes, the later ones Wilder's.
        if i >= period:
            gain /= period
            loss /= period
            total = gain + loss
            out[i] = 100.0 * (gain / total) if total >= 1e-14 else 0.0
    return out


def fill_price(open_price, side, rules):
    """The open moved and rounded against the order: up for a buy, down for a sell."""
    shift = rules.slippage if side == "buy" else -rules.slippage
    ticks, rest = divmod(open_price * (1 + shift), rules.tick)
    return (ticks + (1 if side == "buy" and rest else 0)) * rules.tick


def backtest(bars, rules):
    """Returns the fills and the net profit, an open position valued at the last close."""
    closes = [float(bar.close) for bar in bars]
    fast, slow = ema(closes, rules.fast), ema(closes, rules.slow)
    strength = rsi(closes, rules.rsi_period)
    fills, cash, position, pending = [], Decimal(0), Decimal(0), None

    for i, bar in enumerate(bars):
        if pending:
            quantity = rules.quantity if pending == "buy" else position
            price = fill_price(Decimal(bar.open), pending, rules)
            fee = price * quantity * rules.fee
            sign = 1 if pending == "buy" else -1
            cash -= sign * price * quantity + fee
            position += sign * quantity
            fills.append(Fill(bar.time_ns, pending, price, quantity, fee))
            pending = None

        if i == 0 or None in (fast[i - 1], slow[i - 1], fast[i], slow[i], strength[i]):
            continue
        cross_up = fast[i - 1] <= slow[i - 1] and fast[i] > slow[i]
        cross_down = fast[i - 1] >= slow[i - 1] and fast[i] < slow[i]
        if position == 0 and cross_up and strength[i] < rules.rsi_high:
            pending = "buy"
        elif position > 0 and cross_down and strength[i] > rules.rsi_low:
            pending = "sell"

    return fills, cash + position * Decimal(bars[-1].close) if bars else cash


def time_ns(text):
    """Nanoseconds from a number in s, ms, µs or ns (told by its size) or from UTC text."""
    if not text.lstrip("-").isdigit():
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        since = at - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    number = int(text)
    # 10^11 seconds is the year 5138, and 10^11 milliseconds is 1973.
    for limit, scale in ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3)):
        if number < limit:
            return number * scale
    return number


def read_bars(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", newline="") as file:
        rows = csv.reader(file)
        names = [name.strip().lower() for name in next(rows, [])]
        at = next((names.index(name) for name in TIME_COLUMNS if name in names), None)
        if at is None or "open" not in names or "close" not in names:
            sys.exit(f"{path}: expected a header with one of {TIME_COLUMNS}, open and close")
        open_at, close_at = names.index("open"), names.index("close")
        bars = [Bar(time_ns(row[at]), row[open_at], row[close_at]) for row in rows if row]
    for before, after in itertools.pairwise(bars):
        if after.time_ns <= before.time_ns:
            sys.exit(f"{path}: bar at {after.time_ns} is not after the one at {before.time_ns}")
    return bars


def plain(number):
    """Decimal text without exponent or trailing zeros, so that equal numbers read equal."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def write_fills(path, fills):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(Fill._fields)
        for fill in fills:
            out.writerow([fill.time_ns, fill.side, *map(plain, fill[2:])])


def summary(fills, net_profit):
    fees = sum((fill.fee for fill in fills), Decimal(0))
    return {"trades": len(fills), "net_profit": plain(net_profit), "fees": plain(fees)}


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"self-test failed: {what}: got {got}, wanted {wanted}")


def self_test():
    """Cases worked out by hand; TA-Lib too where it is installed."""
    check("ema", ema([1.0, 2.0, 3.0, 4.0, 5.0], 3), [None, None, 2.0, 3.0, 4.0])
    check("short ema", ema([1.0, 2.0], 3), [None, None])
    # Fourteen changes: gains sum to 3.34, losses to 1.40; then a loss of 0.28.
    closes = "44.34 44.09 44.15 43.61 44.33 44.83 45.10 45.42 45.84 46.08 45.89 46.03 45.61 46.28"
    values = rsi([float(close) for close in (closes + " 46.28 46.00").split()], 14)
    check("rsi starts at its period", values[:14], [None] * 14)
    check("rsi", [round(value, 4) for value in values[14:]], [70.4641, 66.2496])
    check("rsi without a move", rsi([7.0] * 4, 2), [None, None, 0.0, 0.0])

    for side, opened, price in (
        ("buy", "100.00", "100.05"),
        ("buy", "100.01", "100.07"),
        ("sell", "100.00", "99.95"),
        ("sell", "100.01", "99.95"),
        ("buy", "3832.6286242", "3834.55"),
    ):
        got = fill_price(Decimal(opened), side, DEFAULTS)
        check(f"{side} at {opened}", got, Decimal(price))
    halves = DEFAULTS._replace(tick=Decimal("0.5"))
    check("tick of a half", fill_price(Decimal("100.2"), "buy", halves), Decimal("100.5"))

    check("seconds", time_ns("1546300800"), 1546300800 * 10**9)
    check("milliseconds", time_ns("1546300800000"), 1546300800 * 10**9)
    check("text", time_ns("2019-01-01 00:00:00.000000"), 1546300800 * 10**9)
    check("plain", [plain(Decimal(text)) for text in ("1E+2", "0.50", "-0.0")], ["100", "0.5", "0"])

    rules = DEFAULTS._replace(fast=1, slow=2, rsi_period=2, rsi_high=101.0, rsi_low=-1.0)

    def run(closes, **changes):
        # Minutes 0, 1, 2, then a gap: missing minutes change nothing but the times.
        times = [minute + (5 if minute > 2 else 0) for minute in range(len(closes))]
        bars = [Bar(at * 60 * 10**9, str(close), str(close)) for at, close in zip(times, closes)]
        return backtest(bars, rules._replace(**changes))

    # EMA 1 is the close itself. EMA 2: 9.5, then 9.5 + (8 - 9.5) * 2/3 = 8.5, then 10.8333 after
    # 12, then 9.6111 after 9. So fast crosses up at the fourth close and down at the fifth.
    fills, net = run([10, 9, 8, 12, 9, 9])
    minute = 60 * 10**9
    check("sides", [fill.side for fill in fills], ["buy", "sell"])
    check("fills at the next open", [fill.time_ns // minute for fill in fills], [9, 10])
    # 9 * 1.0005 = 9.0045 up to 9.01, 9 * 0.9995 = 8.9955 down to 8.99; fees 0.000901, 0.000899.
    check("prices", [plain(fill.price) for fill in fills], ["9.01", "8.99"])
    check("fees", [plain(fill.fee) for fill in fills], ["0.000901", "0.000899"])
    check(
        "summary",
        summary(fills, net),
        {"trades": 2, "net_profit": "-0.0038", "fees": "0.0018"},
    )
    fills, net = run([10, 9, 8, 12, 9])
    check("an order at the last close never fills", [fill.side for fill in fills], ["buy"])
    # Bought at 9.01, marked at 9: -0.001 and the fee.
    check("open position at the last close", plain(net), "-0.001901")
    check("too strong to buy", run([10, 9, 8, 12, 9, 9], rsi_high=1.0)[0], [])
    held = run([10, 9, 8, 12, 9, 9], rsi_low=99.0)[0]
    check("too weak to sell", [fill.side for fill in held], ["buy"])
    check("no bars", run([]), ([], Decimal(0)))
    return compare_with_talib()


def compare_with_talib():
    try:
        import numpy
        import talib
    except ImportError:
        return "TA-Lib not installed, not compared"
    state, closes = 1, [1000.0]
    for _ in range(5_000):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        closes.append(round(closes[-1] + (state >> 16) % 201 / 100 - 1, 2))
    array = numpy.array(closes)
    for name, ours, theirs in (
        ("EMA", ema(closes, 13), talib.EMA(array, 13)),
        ("RSI", rsi(closes, 14), talib.RSI(array, 14)),
    ):
        # Not bit by bit: a compiler may fuse or reorder TA-Lib's last operations.
        apart = [
            i
            for i, (our, their) in enumerate(zip(ours, theirs.tolist()))
            if (our is None) != (their != their) or our is not None and abs(our - their) > 1e-9
        ]
        check(f"bars on which {name} differs from TA-Lib", apart[:5], [])
    return f"as TA-Lib {talib.__version__} within 1e-9"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bars", nargs="?", help="bars file, .csv or .csv.gz")
    parser.add_argument("--out", help="write the fills here")
    parser.add_argument("--self-test", action="store_true")
    for name, default in DEFAULTS._asdict().items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(default), default=default, help=f"default {default}")
    args = parser.parse_args()
    if args.self_test:
        print(f"self-test passed; {self_test()}")
        return
    if not args.bars:
        parser.error("a bars file is needed")
    rules = Rules(*(getattr(args, name) for name in Rules._fields))
    fills, net_profit = backtest(read_bars(args.bars), rules)
    if args.out:
        write_fills(args.out, fills)
    print(json.dumps(summary(fills, net_profit)))


if __name__ == "__main__":
    main()
