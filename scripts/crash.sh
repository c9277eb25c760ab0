#!/usr/bin/env bash
# Kills the server at random instants of mixed load, thousands of times, and checks after each start
# that nothing acknowledged was lost and nothing half-done stayed (tests/live/crash).
#
#   scripts/crash.sh [--build DIR] [ROUNDS [SEED]]
#
# 2000 rounds by default, in series of 250 with a new server and seed each. SEED is that of the
# first series; every series prints its own, and how to run it again. A round takes half a second.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,9p' "$0" | cut -c3-; exit 0 ;;
    -*) echo "crash.sh: unknown option '$1'" >&2; exit 2 ;;
    *) break ;;
    esac
done
rounds=${1:-2000}
seed=${2:-$((RANDOM << 15 | RANDOM))}
series=250

if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd verify_log >/dev/null
fi
node=$build/tests/live/node
sh tests/live/npm.sh "$node" >/dev/null
KEYVAULTD=$(pwd)/$build/server/keyvaultd
KV_LIVE_NODE=$(cd "$node" && pwd)
KV_VERIFY_LOG=$(pwd)/$build/tests/live/tamper/verify_log
export KEYVAULTD KV_LIVE_NODE KV_VERIFY_LOG

while [ "$rounds" -gt 0 ]; do
    node tests/live/crash/crash.mjs $((rounds < series ? rounds : series)) "$seed"
    rounds=$((rounds - series))
    seed=$((seed + 1))
done
