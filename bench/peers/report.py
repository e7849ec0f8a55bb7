"""Prints the Markdown table of the runs in a file of JSON lines."""

import argparse
import json
import os
import platform
from collections import defaultdict
from statistics import median

COLUMNS = [
    "workload", "peer", "version", "events", "orders", "runs",
    "events per CPU s: median", "min", "max", "run CPU s", "process CPU s", "compile s", "peak MB",
]  # fmt: skip


def cpu_model():
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def middle(runs, field, digits):
    """Formats the median of a field, or a dash where a peer does not report it."""
    values = [run[field] for run in runs if run.get(field) is not None]
    return f"{median(values):,.{digits}f}" if values else "–"


def row(runs):
    first = runs[0]
    variant = f" ({first['variant']})" if first.get("variant") else ""
    rates = [run["events_per_cpu_s"] for run in runs]
    return [
        first["workload"],
        first["peer"] + variant,
        first.get("version", "–"),
        f"{first['events']:,}",
        middle(runs, "orders", 0),
        str(len(runs)),
        *(f"{pick(rates):,.0f}" for pick in (median, min, max)),
        middle(runs, "cpu_s", 3),
        middle(runs, "total_cpu_s", 2),
        middle(runs, "compile_s", 2),
        middle(runs, "peak_rss_mb", 0),
    ]


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("runs")
    args.add_argument("--load", default="unknown")
    args = args.parse_args()

    groups = defaultdict(list)
    with open(args.runs) as file:
        for line in file:
            run = json.loads(line)
            key = (run["workload"], run["peer"], run.get("variant", ""), run["events"])
            groups[key].append(run)

    print(f"{os.cpu_count()} cores, {cpu_model()}, load average {args.load}.\n")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))

    def rank(key):
        """Ticks above bars, and the fastest first."""
        return key[0] != "ticks", -median(run["events_per_cpu_s"] for run in groups[key])

    order = sorted(groups, key=rank)
    for key in order:
        print("| " + " | ".join(row(groups[key])) + " |")

    most = defaultdict(int)
    for workload, _, _, events in groups:
        most[workload] = max(most[workload], events)
    for workload, peer, _, events in order:
        if events < most[workload]:
            share = f"{events:,} of the {most[workload]:,} {workload}"
            print(f"\n{peer} ran {share}; rates are per event.")


if __name__ == "__main__":
    main()
