#!/usr/bin/env bash
# Which lines the tests reach: builds with gcov's counters, runs unit, contract and replay tests,
# and writes build/coverage/report.txt (every file, with the lines that nobody reached) and
# index.html.
#
#   scripts/coverage.sh [--live]
#
# --live: the tests with a real server too, which takes some ten minutes more. A server that is
# killed does not count what it did. Ends with the share of lines of each folder; what is left in
# server/auth, server/audit and pkcs11 is explained in docs/coverage.md.
set -euo pipefail
cd "$(dirname "$0")/.."

kinds='unit|contract|replay'
case ${1:-} in
--live) kinds+='|live' ;;
-h | --help) sed -n '2,10p' "$0" | cut -c3-; exit 0 ;;
'') ;;
*) echo "coverage.sh: unknown option '$1'" >&2; exit 2 ;;
esac

scripts/install_packages.sh build test coverage
build=build/coverage
jobs=${KV_JOBS:-2}
# Threads count, too: without atomic counters some end below zero, which gcovr cannot read.
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS="--coverage -fprofile-update=atomic" >/dev/null
cmake --build "$build" -j "$jobs" >"$build/build.log" || {
    tail -n 50 "$build/build.log" >&2
    exit 1
}
find "$build" -name '*.gcda' -delete
ctest --test-dir "$build" -L "^($kinds)\$" -j "$jobs" --timeout 600 --output-on-failure |
    tail -n 4

report() {
    gcovr --root . --object-directory "$build" --filter server/ --filter pkcs11/ --filter client/ \
        --exclude-unreachable-branches --gcov-ignore-parse-errors "$@"
}
report --txt "$build/report.txt" --html-details "$build/index.html" --json-summary \
    "$build/report.json"
jq -r '[.files[] | {folder: (.filename | split("/")[:-1] | join("/")), all: .line_total,
        reached: .line_covered}] | group_by(.folder)[] |
    [.[0].folder, (map(.reached) | add), (map(.all) | add)] |
    "\(.[0]) \(.[1]) of \(.[2]) lines, \(1000 * .[1] / .[2] | round / 10) %"' "$build/report.json"
echo "report: $build/report.txt, $build/index.html"
