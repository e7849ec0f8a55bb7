"""vectorbt on the bar workload: whole columns at once, through its own indicators.

It has no tick mode. Its RSI knows simple and span-weighted means: a span of `2 * 14 - 1` is
Wilder's smoothing of 14. Fills are at the next bar's open, as signals are known at the close.

    --variant numba    its just-in-time compiled functions (the default)
    --variant rust     its optional compiled extension where that covers a function
"""

import numpy as np
import pandas as pd
import vectorbt as vbt

import workload

WARM_UP_BARS = 2_000


def backtest(frame):
    close = frame["close"]
    fast = vbt.MA.run(close, workload.FAST, ewm=True).ma
    slow = vbt.MA.run(close, workload.SLOW, ewm=True).ma
    rsi = vbt.RSI.run(close, 2 * workload.RSI_PERIOD - 1, ewm=True).rsi
    above, below = fast > slow, fast < slow
    not_above = (fast <= slow).shift(1, fill_value=False)
    not_below = (fast >= slow).shift(1, fill_value=False)
    entries = above & not_above & (rsi < workload.RSI_HIGH)
    exits = below & not_below & (rsi > workload.RSI_LOW)
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries.shift(1, fill_value=False),
        exits.shift(1, fill_value=False),
        price=frame["open"],
        size=workload.BAR_QTY,
        size_type="amount",
        init_cash=1e9,
        fees=workload.TAKER_FEE,
        slippage=workload.SLIPPAGE,
    )
    # Results are lazy: what is not asked for is not computed.
    sides = portfolio.orders.values["side"]
    return len(sides), int(np.sum(sides == 0)), float(portfolio.total_profit())


def main():
    args = workload.arguments(__doc__)
    variant = args.variant or "numba"
    # The rust engine refuses what it does not cover; "auto" leaves that to numba.
    vbt.settings["engine"] = "numba" if variant == "numba" else "auto"
    frame = pd.read_csv(args.bars, nrows=args.limit)
    _, compile_s, _ = workload.timed(lambda: backtest(frame.head(WARM_UP_BARS)))
    (orders, buys, profit), cpu_s, wall_s = workload.timed(lambda: backtest(frame))
    workload.report(
        "vectorbt", vbt.__version__, "bars", variant,
        len(frame), cpu_s, wall_s, compile_s,
        orders=orders, buys=buys, profit=round(profit, 2),
    )  # fmt: skip


if __name__ == "__main__":
    main()
