#!/usr/bin/env bash
# Kills the server at random instants of mixed load, thousands of times, and checks after each start
# that nothing acknowledged was lost and nothing half-done stayed (tests/live/crash).
#
#   scripts/crash.sh [--build DIR] [--at-a-time N] [ROUNDS [SEED]]
#
# 2000 rounds by default, in series of at most 250 with a new server and seed each. SEED is that of
# the first series; every series prints its own, and how to run it again. A round takes half a
# second, most of it spent waiting: with --at-a-time, N series run beside each other. All of them
# run to their end, and it fails if one did, or if thousands of calls were answered in all of them
# and a method that changes something is not among these.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/live_lib.sh
. scripts/live_lib.sh

build=build/bench
at_a_time=1
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$(live_value "$@"); shift 2 ;;
    --at-a-time) at_a_time=$(live_value "$@"); shift 2 ;;
    -h | --help) live_help ;;
    -*) live_die "unknown option '$1'" ;;
    *) break ;;
    esac
done
[ $# -le 2 ] || live_die "too many arguments"
rounds=${1:-2000}
seed=${2:-$((RANDOM << 15 | RANDOM))}
live_number --at-a-time "$at_a_time"
live_number ROUNDS "$rounds"
[[ $seed =~ ^[0-9]{1,9}$ ]] || live_die "SEED must be a number, not '$seed'"

live_prepare "$build" keyvaultd verify_log

KV_CRASH_CALLED=$(mktemp)
export KV_CRASH_CALLED
trap 'rm -f "$KV_CRASH_CALLED"' EXIT

# Series of the same size, one for each that runs at a time at least.
series=$(((rounds + at_a_time - 1) / at_a_time))
[ "$series" -le 250 ] || series=250
while [ "$rounds" -gt 0 ]; do
    echo "$((rounds < series ? rounds : series)) $seed"
    rounds=$((rounds - series))
    seed=$((seed + 1))
done | xargs -L 1 -P "$at_a_time" node tests/live/crash/crash.mjs
node tests/live/crash/crash.mjs --called "$KV_CRASH_CALLED"
