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
# shellcheck source=scripts/live_lib.sh
. scripts/live_lib.sh

build=build/bench
more=()
fresh=
docs=1
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$(live_value "$@"); shift 2 ;;
    --every-code) more+=(--every-code); shift ;;
    --fresh) fresh=1; shift ;;
    --no-docs) docs=; shift ;;
    -h | --help) live_help ;;
    *) live_die "unknown option '$1'" ;;
    esac
done

live_prepare "$build" keyvaultd kv_p11_shim
[ -z "$fresh" ] || rm -f build/faults-process.md build/faults-isolated.md

outcome=0
tables=(build/faults-process.md build/faults-isolated.md)
matrix=(node tests/live/faults/faults.mjs "${more[@]}")
"${matrix[@]}" --all "${tables[0]}" || outcome=1
"${matrix[@]}" --all "${tables[1]}" --isolated || outcome=1
[ -z "$docs" ] || scripts/faults_table.py docs/faults.md "${tables[@]}"
exit $outcome
