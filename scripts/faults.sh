#!/usr/bin/env bash
# Lets every Cryptoki call that the server makes fail in every way while it is used, with the module
# in process and in a process of its own, and puts what came of it into docs/faults.md: calls that
# failed, answers, refusals, callers that waited too long, wrong answers, how long it was away.
#
#   scripts/faults.sh [--build DIR] [--every-code] [--fresh] [--no-docs]
#
# Takes some fifty minutes; what was interrupted goes on where it was, unless --fresh. --every-code:
# not one code of each class, but all. Ends with an error when an answer was wrong or late, when the
# server did not find back by itself, or when a key was lost or left over.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/bench
more=()
fresh=
docs=1
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --every-code) more+=(--every-code); shift ;;
    --fresh) fresh=1; shift ;;
    --no-docs) docs=; shift ;;
    -h | --help) sed -n '2,11p' "$0" | cut -c3-; exit 0 ;;
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
export KEYVAULTD KV_LIVE_NODE KV_SHIM
KEYVAULTD=$(pwd)/$build/server/keyvaultd
KV_LIVE_NODE=$(cd "$node" && pwd)
KV_SHIM=$(pwd)/$build/tests/support/kv_p11_shim.so
[ -z "$fresh" ] || rm -f build/faults-process.md build/faults-isolated.md

outcome=0
tables=(build/faults-process.md build/faults-isolated.md)
matrix=(node tests/live/faults/faults.mjs "${more[@]}")
"${matrix[@]}" --all "${tables[0]}" || outcome=1
"${matrix[@]}" --all "${tables[1]}" --isolated || outcome=1
[ -z "$docs" ] || scripts/faults_table.py docs/faults.md "${tables[@]}"
exit $outcome
