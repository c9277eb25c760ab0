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
# shellcheck source=scripts/live_lib.sh
. scripts/live_lib.sh

build=build/bench
idle=10000
handshakes=1000
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$(live_value "$@"); shift 2 ;;
    --idle) idle=$(live_value "$@"); shift 2 ;;
    --handshakes) handshakes=$(live_value "$@"); shift 2 ;;
    -h | --help) live_help ;;
    *) live_die "unknown option '$1'" ;;
    esac
done
live_number --idle "$idle"
live_number --handshakes "$handshakes"

ulimit -Sn "$(ulimit -Hn)"
files=$(ulimit -n)
if [ "$files" != unlimited ] && [ "$files" -lt $((idle + handshakes + 1000)) ]; then
    echo "storm.sh: only $files files may be open" >&2
    exit 1
fi
live_prepare "$build" keyvaultd

KV_STORM_IDLE=$idle KV_STORM_HANDSHAKES=$handshakes node tests/live/attack/storm.mjs |
    grep -E '^# (in|while|with|[0-9])|^not ok|^ok|rror' || {
    echo "storm.sh: failed" >&2
    exit 1
}
