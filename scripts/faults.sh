#!/usr/bin/env bash
# Lets every Cryptoki call that the server makes fail in every way while it is used, and writes what
# came of it to build/faults.md: calls that failed, answers, refusals, how long the way back took.
#
#   scripts/faults.sh [--build DIR]
#
# Takes some twenty minutes. Ends with an error when an answer was wrong or late, when the server
# did not find back by itself, or when a key was lost or left over.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,8p' "$0" | cut -c3-; exit 0 ;;
    *) echo "faults.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
done

if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd kv_p11_shim >/dev/null
fi
node=$build/tests/live/node
sh tests/live/npm.sh "$node" >/dev/null

KEYVAULTD=$(pwd)/$build/server/keyvaultd KV_LIVE_NODE=$(cd "$node" && pwd) \
    KV_SHIM=$(pwd)/$build/tests/support/kv_p11_shim.so \
    node tests/live/faults/faults.mjs --all build/faults.md
cat build/faults.md
