#!/usr/bin/env bash
# Measures, in one run and one table, the server as shipped (mutual TLS, role token, permission,
# audit record on disk before the answer) beside what else could do the same work: the token's own
# objects through Cryptoki, session copies of them, `p11-kit server` over a Unix socket on the same
# token (which permits everything and records nothing), and OpenSSL with the key in memory.
#
#   scripts/bench.sh [--seconds S] [--rounds N] [--build DIR] [--out DIR] [--counts "N ..."]
#                    [--picture FILE] [PART ...]
#
# Parts: p256 p384 rsa2048 rsa4096 ed25519 gcm secret certificate create connect keys; all by
# default. Each writes OUT/PART.csv anew, so that they can be run one by one; the table is made of
# all that are there. `keys` makes installations with so many keys (10 1000 10000; try 50000, it
# takes its time). OUT is BUILD/results by default.
#
# Load and server share the machine. Runs of all sides alternate, on a copy of the server's token
# folder where they need one, and each number is the median of the rounds. Machines are noisy: look
# at the ratios.
set -euo pipefail
cd "$(dirname "$0")/.."

all="p256 p384 rsa2048 rsa4096 ed25519 gcm secret certificate create connect keys"
seconds=1.5
rounds=3
build=build/bench
out=
counts="10 1000 10000"
picture=
parts=
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --counts) counts=$2; shift 2 ;;
    --picture) picture=$2; shift 2 ;;
    -h | --help) sed -n '2,20p' "$0" | cut -c3-; exit 0 ;;
    *)
        [[ " $all " == *" $1 "* ]] || { echo "bench.sh: unknown option or part '$1'" >&2; exit 2; }
        parts="$parts $1"
        shift
        ;;
    esac
done
parts=${parts:-$all}

if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd kvctl kv_bench >/dev/null
fi
build=$(cd "$build" && pwd)
bench=$build/tests/bench/speed/kv_bench
out=${out:-$build/results}
mkdir -p "$out"

work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault-bench.XXXXXX")
processes=()
cleanup() {
    local one
    for one in "${processes[@]}"; do
        kill "$one" 2>/dev/null || :
    done
    wait || :
    rm -rf "$work"
}
trap cleanup EXIT

# shellcheck source=scripts/demo_lib.sh
. scripts/demo_lib.sh
# shellcheck source=scripts/bench_lib.sh
. scripts/bench_lib.sh

for part in $parts; do
    [ "$part" = keys ] || { bench_install; break; }
done
for part in $parts; do
    : >"$out/$part.csv.new"
    case $part in
    keys) bench_keys "$counts" ;;
    connect) bench_connect ;;
    *)
        bench_make_key "$part"
        for round in $(seq "$rounds"); do
            bench_operation "$part"
            echo "$part: round $round of $rounds" >&2
        done
        ;;
    esac
    mv "$out/$part.csv.new" "$out/$part.csv"
done
python3 scripts/bench_table.py "$out"
[ -z "$picture" ] || python3 scripts/bench_picture.py "$out" "$picture"
