#!/usr/bin/env bash
# Opens very many idle connections to a server and leaves very many handshakes in the middle, while
# calls go on: all are answered, the handshakes are ended in time, and what each idle connection
# costs in memory is printed, with how long calls took.
#
#   scripts/storm.sh [--build DIR] [--idle N] [--handshakes N]
#
# 10,000 and 1,000 unless said otherwise; as many files must be allowed to be open (ulimit -Hn).
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/bench
idle=10000
handshakes=1000
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --idle) idle=$2; shift 2 ;;
    --handshakes) handshakes=$2; shift 2 ;;
    -h | --help) sed -n '2,8p' "$0" | cut -c3-; exit 0 ;;
    *) echo "storm.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
done

ulimit -Sn "$(ulimit -Hn)"
files=$(ulimit -n)
if [ "$files" != unlimited ] && [ "$files" -lt $((idle + handshakes + 1000)) ]; then
    echo "storm.sh: only $files files may be open" >&2
    exit 1
fi
if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd >/dev/null
fi
node=$build/tests/live/node
sh tests/live/npm.sh "$node" >/dev/null

KEYVAULTD=$(cd "$build" && pwd)/server/keyvaultd KV_LIVE_NODE=$(cd "$node" && pwd) \
    KV_STORM_IDLE=$idle KV_STORM_HANDSHAKES=$handshakes \
    node tests/live/attack/storm.mjs | grep -E '^# (in|while|with|[0-9])|^not ok|^ok|rror' || {
    echo "storm.sh: failed" >&2
    exit 1
}
