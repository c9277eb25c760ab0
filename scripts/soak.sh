#!/usr/bin/env bash
# Uses a server for long, by everybody at once, while the token's module fails now and then, and
# fails when memory, file descriptors or latency grow, an answer is wrong, or the audit chain, the
# keys or what was acknowledged are not whole at the end (tests/live/soak).
#
#   scripts/soak.sh [--build DIR] [SECONDS]
#
# An hour by default; a minute proves the script.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/live_lib.sh
. scripts/live_lib.sh

build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$(live_value "$@"); shift 2 ;;
    -h | --help) live_help ;;
    -*) live_die "unknown option '$1'" ;;
    *) break ;;
    esac
done
[ $# -le 1 ] || live_die "too many arguments"
live_number SECONDS "${1:-3600}"

live_prepare "$build" keyvaultd kv_p11_shim verify_log
node tests/live/soak/soak.mjs "${1:-3600}"
