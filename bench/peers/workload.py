"""The workload every peer runs and the way it is measured: one place, so all measure alike.

Ticks. On every event, depth or trade, after it is applied: `mid = (best bid + best ask) / 2`,
`ema += alpha * (mid - ema)`, the first mid being the first EMA. On every `DECIDE_EVERY`th event
one market order of `ORDER_QTY`: a buy when the mid is above its EMA, else a sell. Events count
from the first row; while a side of the book is empty there is no mid and nothing is done.

Bars. Long only: buy when EMA 5 crosses above EMA 13 with RSI 14 below 70, sell all when it
crosses below with RSI above 30. Taker fee 0.1 %.
"""

import argparse
import json
import resource
import time

EMA_EVENTS = 100
DECIDE_EVERY = 2_000
ORDER_QTY = 0.001
PRICE_TICK = 0.1
LOT = 0.001

FAST, SLOW, RSI_PERIOD = 5, 13, 14
RSI_HIGH, RSI_LOW = 70, 30
BAR_QTY = 0.1
TAKER_FEE = 0.001
SLIPPAGE = 0.0005


def arguments(description):
    """Parses the arguments that all peer scripts share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--ticks", help="events file (.npz)")
    parser.add_argument("--bars", help="bars file (.csv)")
    parser.add_argument("--limit", type=int, help="use only the first rows of the file")
    parser.add_argument("--variant", default="", help="peer-specific choice, see the script")
    return parser.parse_args()


def timed(work):
    """Runs `work` and returns its result, CPU seconds of all threads, and wall seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def report(peer, version, workload, variant, events, cpu_s, wall_s, compile_s, **counts):
    """Prints the one JSON line of a run.

    `cpu_s` and `wall_s` cover the run alone; `compile_s` is CPU seconds of a first run on a short
    slice, which is what just-in-time compilation costs; `total_cpu_s` is the whole process with
    imports, loading and conversion.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    line = {
        "peer": peer,
        "version": version,
        "workload": workload,
        "variant": variant,
        "events": events,
        "cpu_s": round(cpu_s, 4),
        "wall_s": round(wall_s, 4),
        "events_per_cpu_s": round(events / cpu_s),
        "compile_s": round(compile_s, 3),
        "total_cpu_s": round(time.process_time(), 3),
        "peak_rss_mb": round(usage.ru_maxrss / 1024, 1),
    }
    print(json.dumps(line | counts))
