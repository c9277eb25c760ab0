#!/usr/bin/env bash
# Reports whether the time of a refusal tells what was wrong with a ciphertext or a MAC: through the
# whole server (tests/live/crypto/timing.mjs) and on the token layer alone (report_timing).
#
#   scripts/timing.sh [--calls N] [--build DIR]
#
# Takes a few minutes; a quiet machine says more.
set -euo pipefail
cd "$(dirname "$0")/.."

calls=2000
build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --calls) calls=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,7p' "$0" | cut -c3-; exit 0 ;;
    *) echo "timing.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
done

if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd report_timing >/dev/null
fi
node=$build/tests/live/node
sh tests/live/npm.sh "$node" >/dev/null

KEYVAULTD=$(pwd)/$build/server/keyvaultd KV_LIVE_NODE=$(cd "$node" && pwd) KV_TIMING_CALLS=$calls \
    node tests/live/crypto/timing.mjs
echo
"$build/tests/contract/pkcs11/report_timing" "$calls"
