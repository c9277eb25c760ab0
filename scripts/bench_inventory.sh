#!/usr/bin/env bash
# Measures a page of the inventory and a start with more and more certificates in the store.
#
#   scripts/bench_inventory.sh [--build DIR] [NUMBER...]
#
# Default numbers: 1000 10000 100000. 1000000 takes a quarter of an hour where nothing waits for a
# disk (TMPDIR=/dev/shm), hours where it does, and 10 GB below TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/bench
numbers=()
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,7p' "$0" | cut -c3-; exit 0 ;;
    [1-9]*) numbers+=("$1"); shift ;;
    *) echo "bench_inventory.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
done
[ ${#numbers[@]} -gt 0 ] || numbers=(1000 10000 100000)
if [ "$build" = build/bench ]; then
    scripts/install_packages.sh
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target kv_bench_inventory >/dev/null
fi
exec "$build/tests/bench/inventory/kv_bench_inventory" "${numbers[@]}"
