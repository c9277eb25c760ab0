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

build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,8p' "$0" | cut -c3-; exit 0 ;;
    -*) echo "soak.sh: unknown option '$1'" >&2; exit 2 ;;
    *) break ;;
    esac
done

if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd kv_p11_shim verify_log >/dev/null
fi
node=$build/tests/live/node
sh tests/live/npm.sh "$node" >/dev/null

KEYVAULTD=$(pwd)/$build/server/keyvaultd KV_LIVE_NODE=$(cd "$node" && pwd) \
    KV_SHIM=$(pwd)/$build/tests/support/kv_p11_shim.so \
    KV_VERIFY_LOG=$(pwd)/$build/tests/live/tamper/verify_log \
    node tests/live/soak/soak.mjs "${1:-3600}"
