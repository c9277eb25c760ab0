#!/usr/bin/env bash
# Reports whether the time of a refusal tells what was wrong with a ciphertext or a MAC: through the
# whole server (tests/live/crypto/timing.mjs) and on the token layer alone (report_timing).
#
#   scripts/timing.sh [--calls N] [--build DIR]
#
# Takes a few minutes; a quiet machine says more.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/live_lib.sh
. scripts/live_lib.sh

calls=2000
build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --calls) calls=$(live_value "$@"); shift 2 ;;
    --build) build=$(live_value "$@"); shift 2 ;;
    -h | --help) live_help ;;
    *) live_die "unknown option '$1'" ;;
    esac
done
live_number --calls "$calls"

live_prepare "$build" keyvaultd report_timing
KV_TIMING_CALLS=$calls node tests/live/crypto/timing.mjs
echo
"$build/tests/contract/pkcs11/report_timing" "$calls"
