#!/usr/bin/env bash
# Builds and tests the whole tree, the same on a laptop as before a change lands.
#
#   scripts/test.sh            everything; the last lines are those of the complete ctest run
#   scripts/test.sh LABEL      builds what changed and runs one kind of test in the dev build:
#                              unit, contract, replay, live or fuzz
#   scripts/test.sh STEP...    only these steps, of: static cppcheck dev clang tidy tsan release
#                              libfuzzer
#
# Steps     static     clang-format, layers, shape, shellcheck
#           cppcheck   over server, pkcs11 and client
#           dev        gcc with AddressSanitizer and UBSan: every test
#           clang      clang with both sanitizers, warnings as errors: unit tests
#           tidy       clang-tidy over server, pkcs11 and client; what has passed and is the same is
#                      not looked at again (scripts/tidy.py)
#           tsan       gcc with ThreadSanitizer: every test not labelled no-tsan
#           release    optimised and hardened: the tests labelled release, against its programs, and
#                      KV_CRASH_ROUNDS kills of its server (scripts/crash.sh)
#           libfuzzer  clang: every fuzz target
#
# What waits and what computes run beside each other: clang-tidy beside the tests with sanitizers,
# the fuzz targets beside those of a release, with what processor these leave. A
# fuzz target runs for KV_FUZZ_SECONDS of wall clock, KV_FUZZ_JOBS of them at a time, so it has a
# part of a processor only; build/log/libfuzzer.txt says how many inputs each has tried.
# KV_FUZZ_JOBS=2 on two processors is a minute of processor for each, and takes ten minutes more.
#
# Environment   KV_FUZZ_SECONDS=60     how long each fuzz target runs
#               KV_FUZZ_JOBS=11        fuzz targets at a time
#               KV_CRASH_ROUNDS=200    rounds of the crash driver, 4 series beside each other
#               KV_JOBS=2              compilers at a time
#               KV_TEST_JOBS=4         tests at a time, if not two more: many of them wait
#               KV_SKIP_PACKAGES=1     install nothing
#
# Builds are in build/<preset>, the output of each step in build/log.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/.."

jobs=${KV_JOBS:-2}
test_jobs=${KV_TEST_JOBS:-$((jobs + 2))}
fuzz_seconds=${KV_FUZZ_SECONDS:-60}
fuzz_jobs=${KV_FUZZ_JOBS:-11}
crash_rounds=${KV_CRASH_ROUNDS:-200}
# What one clone has compiled, the next one need not.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export ASAN_OPTIONS=strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=print_suppressions=0
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
[ ! -f tests/support/lsan.supp ] || LSAN_OPTIONS+=":suppressions='$PWD/tests/support/lsan.supp'"
[ ! -f tests/support/tsan.supp ] || TSAN_OPTIONS+=":suppressions='$PWD/tests/support/tsan.supp'"

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$self"
}

# run NAME COMMAND...: the seconds it took, or all it said and the end.
run() {
    local name=$1 log=build/log/${1//[^a-z_-]/-}.log begin=$SECONDS
    shift
    printf '%-42s' "$name"
    if ! "$@" >"$log" 2>&1; then
        printf 'FAILED after %d s\n\n' $((SECONDS - begin))
        tail -n 400 "$log"
        printf '\nscripts/test.sh: FAILED: %s (%s)\n' "$name" "$log"
        exit 1
    fi
    printf '%5d s\n' $((SECONDS - begin))
}

# beside STEP NICE: starts it with what processor the following steps leave; join STEP waits for it.
# What is beside dies with this script.
declare -A beside=()
beside() {
    set -m
    (
        renice -n "$2" "$BASHPID" >/dev/null
        "step_$1"
    ) </dev/null >"build/log/beside-$1.log" 2>&1 &
    set +m
    beside[$1]=$!
}

join() {
    local outcome=0
    wait "${beside[$1]}" || outcome=$?
    unset "beside[$1]"
    cat "build/log/beside-$1.log"
    [ "$outcome" -eq 0 ] || exit 1
}

end_those_beside() {
    local group
    for group in "${beside[@]}"; do
        kill -- "-$group" 2>/dev/null || :
    done
}
trap end_those_beside EXIT

# build PRESET [TARGET]: configures once; Ninja configures again when it has to.
build() {
    local preset=$1 target=${2:-all} directory=build/$1
    if [ ! -f "$directory/build.ninja" ]; then
        case $preset in
        release) run "$preset: configure" cmake --preset "$preset" -DKV_TESTS=OFF ;;
        *) run "$preset: configure" cmake --preset "$preset" ;;
        esac
    fi
    run "$preset: build" cmake --build "$directory" -j "$jobs" --target "$target"
}

ctest_in() {
    local directory=$1
    shift
    ctest --test-dir "$directory" --output-on-failure -j "$test_jobs" --timeout 300 "$@"
}

# gcc's ThreadSanitizer cannot place its shadow where the kernel randomises too widely.
without_aslr() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}

# The JavaScript peers of the live tests.
npm_packages() {
    local lock folder
    find tests -name node_modules -prune -o -name package-lock.json -print | while read -r lock; do
        folder=$(dirname "$lock")
        if [ ! "$folder/node_modules/.package-lock.json" -nt "$lock" ]; then
            npm --prefix "$folder" ci --no-audit --no-fund || exit 1
            touch "$folder/node_modules/.package-lock.json"
        fi
    done
}

packages() {
    run "packages" scripts/install_packages.sh
    run "packages: npm" npm_packages
}

shell_scripts() {
    shellcheck .ci/run scripts/*.sh
}

step_static() {
    run "static: format" scripts/format.sh --check
    run "static: layers" scripts/check_layers.py
    run "static: shape" scripts/check_shape.py
    run "static: shellcheck" shell_scripts
}

step_cppcheck() {
    run "cppcheck" cppcheck --enable=warning,performance,portability --error-exitcode=1 --quiet \
        --inline-suppr --suppressions-list=scripts/cppcheck.txt --std=c11 --library=posix \
        --library=scripts/cppcheck.cfg -D__GNUC__ -D_GNU_SOURCE -I . -j "$jobs" \
        server pkcs11 client
}

step_dev() {
    build dev
    local begin=$SECONDS
    echo "dev: ctest"
    if ! ctest_in build/dev --no-tests=error 2>&1 | tee build/log/dev-ctest.log; then
        printf '\nscripts/test.sh: FAILED: dev: ctest (build/log/dev-ctest.log)\n'
        exit 1
    fi
    printf '%-42s%5d s\n' "dev: ctest" $((SECONDS - begin))
}

# What is used after its function has returned costs a sixth of all time to find: the build that has
# the unit tests and the fuzz targets looks for it.
thorough() {
    ASAN_OPTIONS+=:detect_stack_use_after_return=1 "$@"
}

# The build of the fuzz targets is clang's, so that everything is compiled by it once.
step_clang() {
    build fuzz
    run "clang: unit tests" thorough ctest_in build/fuzz -L '^unit$' --no-tests=error
}

step_tidy() {
    build fuzz
    run "clang-tidy" scripts/tidy.py --jobs "$jobs" build/fuzz
}

step_tsan() {
    build tsan
    run "tsan: ctest" without_aslr ctest --test-dir build/tsan --output-on-failure -j "$test_jobs" \
        --timeout 300 -L '^(unit|contract|replay|live)$' -LE '^no-tsan$' --no-tests=error
}

# These tests start programs, and take them from KV_BUILD when it is set.
release_tests() {
    KV_BUILD=$PWD/build/release run "release: ctest" ctest_in build/dev -L '^release$' \
        --no-tests=error
    KV_VERIFY_LOG=$PWD/build/dev/tests/live/tamper/verify_log \
        KV_LIVE_NODE=$PWD/build/dev/tests/live/node \
        run "release: crash rounds" \
        scripts/crash.sh --build build/release --at-a-time 4 "$crash_rounds"
}

step_release() {
    build release
    build dev
    release_tests
}

# Seeds are in tests/fuzz/<folder>/corpus/<target>; what is found on top stays under build/fuzz. The
# time an input may take is of the clock's, while a target has a thirtieth of a processor.
fuzz_one() {
    local target=${1:?there are no fuzz targets} name seeds log
    name=$(basename "$target")
    seeds=$(find tests/fuzz -type d -path "*/corpus/$name" | head -n 1)
    mkdir -p "build/fuzz/found/$name"
    log=build/log/libfuzzer-$name.log
    if ! "$target" "build/fuzz/found/$name" ${seeds:+"$seeds"} -max_total_time="$fuzz_seconds" \
        -timeout=300 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" >"$log" 2>&1; then
        printf '%s\n' "$name"
        tail -n 200 "$log"
        return 1
    fi
}

fuzz_all() {
    export -f fuzz_one
    export fuzz_seconds
    # shellcheck disable=SC2016 # expanded by the inner shell
    find build/fuzz/tests/fuzz -type f -name 'fuzz_*' -perm -u+x -print0 | sort -z |
        xargs -0 -n 1 -P "$fuzz_jobs" bash -c 'fuzz_one "$1"' _
}

# How many inputs each target tried, the fewest first.
fuzz_report() {
    grep -H '^stat::number_of_executed_units' build/log/libfuzzer-fuzz_*.log |
        sed 's|.*/libfuzzer-\(.*\)\.log:[^ ]* *\([0-9]*\)|\2 \1|' | sort -n \
        >build/log/libfuzzer.txt
    awk 'NR == 1 { least = $1 " by " $2 } { sum += $1 }
        END { printf "  %d targets tried %d inputs, the fewest %s\n", NR, sum, least }' \
        build/log/libfuzzer.txt
}

step_libfuzzer() {
    build fuzz fuzz_targets
    rm -f build/log/libfuzzer-fuzz_*.log
    run "libfuzzer: every target" thorough fuzz_all
    fuzz_report
}

everything() {
    packages
    step_static
    step_cppcheck
    build dev
    step_clang
    beside tidy 15
    step_dev
    build tsan
    step_tsan
    build release
    join tidy
    beside libfuzzer 10
    step_release
    join libfuzzer
    printf '\nall steps in %d s; the complete run (dev, ASan and UBSan) ended with:\n\n' "$SECONDS"
    sed -n '/% tests passed/,$p' build/log/dev-ctest.log
}

mkdir -p build/log
case ${1:-everything} in
everything) everything ;;
-h | --help) usage ;;
unit | contract | replay | live | fuzz)
    run "packages" scripts/install_packages.sh
    if [ "$1" = unit ]; then
        build dev unit_tests
    else
        run "packages: npm" npm_packages
        build dev
    fi
    ctest_in build/dev -L "^$1\$" --no-tests=error
    ;;
*)
    for step in "$@"; do
        if ! declare -F "step_$step" >/dev/null; then
            usage >&2
            exit 2
        fi
    done
    packages
    for step in "$@"; do
        "step_$step"
    done
    ;;
esac
