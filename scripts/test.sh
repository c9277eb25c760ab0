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
#           tidy       clang-tidy over server, pkcs11 and client
#           tsan       gcc with ThreadSanitizer: every test not labelled no-tsan
#           release    optimised and hardened: the tests labelled release, against its programs
#           libfuzzer  clang: every fuzz target for KV_FUZZ_SECONDS
#
# Environment   KV_FUZZ_SECONDS=3      how long each fuzz target runs
#               KV_JOBS=2              compilers and tests at a time
#               KV_TEST_JOBS=3         tests at a time, if not one more: many of them wait
#               KV_SKIP_PACKAGES=1     install nothing
#
# Builds are in build/<preset>, the output of each step in build/log.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$self")/.."

jobs=${KV_JOBS:-2}
test_jobs=${KV_TEST_JOBS:-$((jobs + 1))}
fuzz_seconds=${KV_FUZZ_SECONDS:-3}
# What one clone has compiled, the next one need not.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
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

# The build of the fuzz targets is clang's, so that everything is compiled by it once.
step_clang() {
    build fuzz
    run "clang: unit tests" ctest_in build/fuzz -L '^unit$' --no-tests=error
}

# The analyser does not know attribute cleanup: what it calls a leak is none. LeakSanitizer looks
# for real ones.
tidy_one() {
    local file=$1 name outcome=0 text
    name=$(basename "$file" .c)
    text=$(timeout 120 clang-tidy -p build/fuzz --quiet --extra-arg=-include \
        --extra-arg="$PWD/scripts/tidy_model.h" --extra-arg="-DKV_TIDY_$name" "$file" 2>&1) ||
        outcome=$?
    if [ "$outcome" -ne 0 ]; then
        if [ "$outcome" -ne 1 ] ||
            grep ' error: ' <<<"$text" | grep -v 'Potential leak of memory' >/dev/null; then
            printf '%s\n' "$text"
            return 1
        fi
    fi
}

tidy() {
    export -f tidy_one
    # shellcheck disable=SC2016 # expanded by the inner shell
    find server pkcs11 client -name '*.c' -print0 |
        xargs -0 -r -n 1 -P "$jobs" bash -c 'tidy_one "$1"' _
}

step_tidy() {
    build fuzz
    run "clang-tidy" tidy
}

step_tsan() {
    # Long, and about files, tokens or parsers rather than threads: the dev step has them.
    local long='test_vectors|test_token_import|test_token_key|test_vault_faults|test_vault_deletion'
    long+='|live_matrix|live_tamper_.*|live_init|live_extraction|live_canary|live_management'
    long+='|live_bad_input|live_token_moved|clone_and_readme|test_audit_verify_each|test_pkits'
    long+='|bench_inventory|live_acme_ends|live_acme_smallstep|live_storm|live_oidc_login'
    long+='|live_certificates_verifiers|live_certificates_recipe|live_crypto_corpus|live_explain'
    long+='|live_certificates_import|live_certificates_rollover|live_acme_awkward|live_backup'
    long+='|live_notify_contacts|test_pb_spellings'
    build tsan
    run "tsan: ctest" without_aslr ctest --test-dir build/tsan --output-on-failure -j "$test_jobs" \
        --timeout 300 -L '^(unit|contract|replay|live)$' -LE '^no-tsan$' -E "^($long)\$" \
        --no-tests=error
}

# These tests start programs, and take them from KV_BUILD when it is set.
step_release() {
    build release
    build dev
    KV_BUILD=$PWD/build/release run "release: ctest" ctest_in build/dev -L '^release$' \
        --no-tests=ignore
}

# Seeds are in tests/fuzz/<folder>/corpus/<target>; what is found on top stays under build/fuzz.
fuzz_one() {
    local target=${1:?there are no fuzz targets} name seeds log
    name=$(basename "$target")
    seeds=$(find tests/fuzz -type d -path "*/corpus/$name" | head -n 1)
    mkdir -p "build/fuzz/found/$name"
    log=build/log/libfuzzer-$name.log
    if ! "$target" "build/fuzz/found/$name" ${seeds:+"$seeds"} -max_total_time="$fuzz_seconds" \
        -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
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
        xargs -0 -n 1 -P "$jobs" bash -c 'fuzz_one "$1"' _
}

step_libfuzzer() {
    build fuzz fuzz_targets
    run "libfuzzer: every target" fuzz_all
}

everything() {
    packages
    for step in static cppcheck dev clang tidy tsan release libfuzzer; do
        "step_$step"
    done
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
