#!/usr/bin/env bash
# Runs the same two workloads through each peer, and through Tercel when it is built, and prints
# a table. Needs python3 (3.11 to 3.13) with pip; everything else goes into .venv/ and results/.
#
#   bench/peers/run.sh
#   RUNS=3 PEERS="hftbacktest vectorbt" bench/peers/run.sh
set -euo pipefail
cd "$(dirname "$0")"

RUNS=${RUNS:-5}
EVENTS=${EVENTS:-2000000}
BARS=${BARS:-500000}
SEED=${SEED:-7}
PEERS=${PEERS:-"hftbacktest nautilus vectorbt"}
# The slow peer may take fewer rows: rates are per event, and the table says how many it ran.
NAUTILUS_EVENTS=${NAUTILUS_EVENTS:-$EVENTS}
NAUTILUS_BARS=${NAUTILUS_BARS:-100000}
PYTHON=${PYTHON:-python3}
TERCEL=${TERCEL:-../../target/release/tercel}

say() { printf '%s\n' "$*" >&2; }

# One environment a peer: their wishes for numpy and pandas contradict each other, and together
# pip would quietly settle on an older release of one of them.
# The environment is made without pip and filled by the caller's, because some systems ship
# python3 and pip but not the part of venv that unpacks a second pip.
install() {
    local name=$1 home=.venv/$1 pins=pins/$1.txt started=$SECONDS
    cmp -s "$pins" "$home/pins.txt" && return 0
    rm -rf "$home"
    say "installing $name"
    "$PYTHON" -m venv --without-pip "$home" &&
        "$PYTHON" -m pip --python "$home/bin/python" install --quiet --no-cache-dir \
            --disable-pip-version-check --only-binary :all: -r "$pins" &&
        cp "$pins" "$home/pins.txt" &&
        say "installed $name in $((SECONDS - started)) s"
}

ready=()
for peer in $PEERS; do
    if install "$peer"; then ready+=("$peer"); else say "skipped: $peer did not install"; fi
done
[ ${#ready[@]} -gt 0 ] || { say "no peer could be installed"; exit 1; }

data=results/data
runs=results/runs.jsonl
mkdir -p "$data"
wanted="$EVENTS $BARS $SEED $(cksum <generate.py)"
if [ "$(cat "$data/made-from" 2>/dev/null)" != "$wanted" ]; then
    say "generating $EVENTS events and $BARS bars"
    # Any peer's environment has the numpy that the generator needs.
    ".venv/${ready[0]}/bin/python" generate.py --out "$data" \
        --events "$EVENTS" --bars "$BARS" --seed "$SEED" >"$data/digests.jsonl"
    printf '%s' "$wanted" >"$data/made-from"
fi
say "$(cat "$data/digests.jsonl")"

tercel=()
if [ ! -x "$TERCEL" ]; then
    say "skipped: tercel, no binary at $TERCEL (cargo build --release)"
elif ! "$TERCEL" bench peers --help >/dev/null 2>&1; then
    say "skipped: tercel, this binary has no 'bench peers'"
else
    tercel=("$TERCEL" bench peers --ticks "$data/ticks.npz" --bars "$data/bars.csv" --json)
fi

# A failed run is reported and leaves the others standing, but not the exit code.
failures=0
measure() {
    local line
    if line=$("$@" 2>results/last-error.txt | grep '^{'); then
        printf '%s\n' "$line" | tee -a "$runs" >&2
    else
        say "failed: $*"
        tail -n 5 results/last-error.txt >&2
        failures=$((failures + 1))
    fi
}

peer() {
    local name=$1
    shift
    measure ".venv/$name/bin/python" "peer_$name.py" "$@"
}

: >"$runs"
load_before=$(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || echo unknown)
# Runs alternate, so that a slow minute of a shared machine falls on all peers alike.
for round in $(seq "$RUNS"); do
    say "round $round of $RUNS"
    for name in "${ready[@]}"; do
        case $name in
        hftbacktest)
            peer "$name" --ticks "$data/ticks.npz" --variant flat
            peer "$name" --ticks "$data/ticks.npz" --variant hash
            ;;
        nautilus)
            peer "$name" --ticks "$data/ticks.npz" --limit "$NAUTILUS_EVENTS"
            peer "$name" --bars "$data/bars.csv" --limit "$NAUTILUS_BARS"
            ;;
        vectorbt)
            peer "$name" --bars "$data/bars.csv" --variant numba
            peer "$name" --bars "$data/bars.csv" --variant rust
            ;;
        esac
    done
    [ ${#tercel[@]} -eq 0 ] || measure "${tercel[@]}"
done
load_after=$(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null || echo unknown)

"$PYTHON" report.py "$runs" --load "$load_before before, $load_after after" | tee results/table.md
[ "$failures" -eq 0 ] || { say "$failures runs failed"; exit 1; }
