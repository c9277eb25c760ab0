# shellcheck shell=bash
# What the scripts share that use a server through the programs of tests/live: their help, their
# arguments, the build and the environment. Sourced from the top of the tree, not run.

live_name=$(basename "$0")

live_die() { # what is wrong with the arguments
    echo "$live_name: $*; try --help" >&2
    exit 2
}

# The comment at the top of the script.
live_help() {
    sed -n '2,/^[^#]/{/^[^#]/d;s/^# \{0,1\}//p}' "$0"
    exit 0
}

# The value of an option: live_value "$@".
live_value() {
    [ $# -ge 2 ] || live_die "$1 needs a value"
    printf '%s\n' "$2"
}

# live_number WHAT VALUE: dies unless it is a whole number from 1 on.
live_number() {
    [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || live_die "$1 must be a number from 1 on, not '$2'"
}

# live_prepare BUILD TARGET...: makes the programs, unless BUILD is a build of somebody else, and
# installs the packages of the JavaScript tests. Sets what those read; what is set already stays.
live_prepare() {
    local build=$1 node
    shift
    if [ "$build" = build/bench ]; then
        scripts/install_packages.sh build
        cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
        cmake --build "$build" --target "$@" >/dev/null
    fi
    build=$(cd "$build" && pwd)
    node=${KV_LIVE_NODE:-$build/tests/live/node}
    sh tests/live/npm.sh "$node" >/dev/null
    KEYVAULTD=$build/server/keyvaultd
    KV_LIVE_NODE=$(cd "$node" && pwd)
    KV_SHIM=${KV_SHIM:-$build/tests/support/kv_p11_shim.so}
    KV_VERIFY_LOG=${KV_VERIFY_LOG:-$build/tests/live/tamper/verify_log}
    export KEYVAULTD KV_LIVE_NODE KV_SHIM KV_VERIFY_LOG
}
