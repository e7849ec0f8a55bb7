"""NautilusTrader on both workloads: an L2 book with trades, or minute bars.

Data objects are built before the run, which is timed alone; `build_s` says what building costs.
On bars a market order fills at the close of its own bar, since that is how this engine executes
bars; the work per bar is the same.
"""

from decimal import Decimal

import nautilus_trader
import numpy as np
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage, RelativeStrengthIndex
from nautilus_trader.indicators.averages import MovingAverageType
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BarType, BookOrder, OrderBookDelta, TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    RecordFlag,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

import workload

TRADE, KIND = 2, 0xFF
BUY = 1 << 29
VENUE = Venue("SIM")
ALPHA = 2.0 / (workload.EMA_EVENTS + 1)


def instrument(price_precision):
    return CryptoPerpetual(
        instrument_id=InstrumentId(Symbol("BTCUSDT-PERP"), VENUE),
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        settlement_currency=USDT,
        is_inverse=False,
        price_precision=price_precision,
        size_precision=3,
        price_increment=Price(10**-price_precision, price_precision),
        size_increment=Quantity(0.001, 3),
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.025"),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal(str(workload.TAKER_FEE)),
        ts_event=0,
        ts_init=0,
    )


class PeerConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    bar_type: BarType | None = None


class TickStrategy(Strategy):
    def on_start(self):
        self.events = self.buys = self.sells = 0
        self.ema = None
        self.quantity = Quantity(workload.ORDER_QTY, 3)
        # The engine maintains the book in its cache for a subscriber of its deltas.
        self.subscribe_order_book_deltas(self.config.instrument_id, BookType.L2_MBP)
        self.subscribe_trade_ticks(self.config.instrument_id)
        self.book = None

    def on_order_book_deltas(self, deltas):
        self.on_market_event()

    def on_trade_tick(self, tick):
        self.on_market_event()

    def on_market_event(self):
        self.events += 1
        if self.book is None:
            self.book = self.cache.order_book(self.config.instrument_id)
        bid, ask = self.book.best_bid_price(), self.book.best_ask_price()
        if bid is None or ask is None:
            return
        mid = (bid.as_double() + ask.as_double()) / 2.0
        self.ema = mid if self.ema is None else self.ema + ALPHA * (mid - self.ema)
        if self.events % workload.DECIDE_EVERY == 0:
            buy = mid > self.ema
            self.buys, self.sells = self.buys + buy, self.sells + (not buy)
            side = OrderSide.BUY if buy else OrderSide.SELL
            self.submit_order(
                self.order_factory.market(self.config.instrument_id, side, self.quantity)
            )


class BarStrategy(Strategy):
    def on_start(self):
        self.events = self.buys = self.sells = 0
        self.fast = ExponentialMovingAverage(workload.FAST)
        self.slow = ExponentialMovingAverage(workload.SLOW)
        self.rsi = RelativeStrengthIndex(workload.RSI_PERIOD, MovingAverageType.WILDER)
        for indicator in (self.fast, self.slow, self.rsi):
            self.register_indicator_for_bars(self.config.bar_type, indicator)
        self.previous = None
        self.quantity = Quantity(workload.BAR_QTY, 3)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar):
        self.events += 1
        if not self.indicators_initialized():
            return
        fast, slow, rsi = self.fast.value, self.slow.value, self.rsi.value * 100.0
        previous, self.previous = self.previous, (fast, slow)
        if previous is None:
            return
        if self.portfolio.is_flat(self.config.instrument_id):
            crossed = previous[0] <= previous[1] and fast > slow
            if crossed and rsi < workload.RSI_HIGH:
                self.buys += 1
                self.send(OrderSide.BUY)
        elif previous[0] >= previous[1] and fast < slow and rsi > workload.RSI_LOW:
            self.sells += 1
            self.send(OrderSide.SELL)

    def send(self, side):
        self.submit_order(
            self.order_factory.market(self.config.instrument_id, side, self.quantity)
        )


def tick_objects(path, limit, on):
    rows = np.load(path)["data"][:limit]
    bids, asks = set(), set()
    out = []
    sides = {True: OrderSide.BUY, False: OrderSide.SELL}
    aggressors = {True: AggressorSide.BUYER, False: AggressorSide.SELLER}
    columns = (rows[name].tolist() for name in ("ev", "px", "qty", "exch_ts", "local_ts"))
    for number, (flags, px, qty, exch_ts, local_ts) in enumerate(zip(*columns)):
        buy = bool(flags & BUY)
        price, size = Price(px, on.price_precision), Quantity(qty, on.size_precision)
        if flags & KIND == TRADE:
            trade_id = TradeId(str(number))
            out.append(TradeTick(on.id, price, size, aggressors[buy], trade_id, exch_ts, local_ts))
            continue
        levels = bids if buy else asks
        if qty == 0.0:
            action = BookAction.DELETE
            levels.discard(px)
        else:
            action = BookAction.UPDATE if px in levels else BookAction.ADD
            levels.add(px)
        order = BookOrder(sides[buy], price, size, 0)
        out.append(
            OrderBookDelta(on.id, action, order, RecordFlag.F_LAST, number, exch_ts, local_ts)
        )
    return out


def bar_objects(path, limit, on):
    frame = pd.read_csv(path, nrows=limit)
    frame.index = pd.to_datetime(frame.pop("time"), unit="ms", utc=True)
    bar_type = BarType.from_str(f"{on.id}-1-MINUTE-LAST-EXTERNAL")
    # A bar carries its closing time here, so that nothing of it is seen before.
    return bar_type, BarDataWrangler(bar_type, on).process(frame, ts_init_delta=60_000_000_000)


def engine(on, book_type, data, strategy):
    # No peer is charged for logs or for statistics over its trades.
    quiet = LoggingConfig(bypass_logging=True)
    built = BacktestEngine(BacktestEngineConfig(logging=quiet, run_analysis=False))
    built.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000, USDT)],
        book_type=book_type,
    )
    built.add_instrument(on)
    built.add_data(data)
    built.add_strategy(strategy)
    return built


def run(args, workload_name):
    if workload_name == "ticks":
        on = instrument(price_precision=1)
        data, build_s, _ = workload.timed(lambda: tick_objects(args.ticks, args.limit, on))
        strategy = TickStrategy(PeerConfig(instrument_id=on.id))
        built = engine(on, BookType.L2_MBP, data, strategy)
    else:
        on = instrument(price_precision=2)
        bars, build_s, _ = workload.timed(lambda: bar_objects(args.bars, args.limit, on))
        bar_type, data = bars
        strategy = BarStrategy(PeerConfig(instrument_id=on.id, bar_type=bar_type))
        built = engine(on, BookType.L1_MBP, data, strategy)

    _, cpu_s, wall_s = workload.timed(built.run)
    filled = [order for order in built.cache.orders() if order.is_closed]
    position = built.portfolio.net_position(on.id)
    workload.report(
        "NautilusTrader", nautilus_trader.__version__, workload_name, args.variant,
        len(data), cpu_s, wall_s, 0.0,
        build_s=round(build_s, 2), calls=strategy.events, orders=len(filled),
        buys=strategy.buys, position=float(position),
    )  # fmt: skip


def main():
    args = workload.arguments(__doc__)
    # One workload a process: peak memory is the process's.
    run(args, "ticks" if args.ticks else "bars")


if __name__ == "__main__":
    main()
