#!/usr/bin/env bash
# Installs the Debian packages that building, running and testing need. Does nothing when they are
# all there, so every script may call it first.
#
#   scripts/install_packages.sh              both groups
#   scripts/install_packages.sh build        what building and running the server needs
#   scripts/install_packages.sh test         what the tests need on top of it
#   scripts/install_packages.sh coverage     what scripts/coverage.sh needs, not in both
#   scripts/install_packages.sh --list ...   prints what is missing, installs nothing
#
# KV_SKIP_PACKAGES=1: trust that everything is there (other distributions, machines without a net).
set -euo pipefail

build_packages=(
    build-essential gcc cmake ninja-build ccache pkg-config python3 git ca-certificates
    libssl-dev libevent-dev libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler
    protobuf-compiler libprotobuf-dev libsqlite3-dev libjansson-dev libinih-dev uthash-dev
    libcurl4-openssl-dev libpsl-dev publicsuffix libjemalloc-dev
    libp11-kit-dev p11-kit-modules softhsm2 opensc openssl sqlite3 jq
)
test_packages=(
    fakeroot gnutls-bin libnss3-tools man-db mandoc nginx systemd zsh
    golang-go openjdk-17-jdk-headless
    mold clang clang-format clang-tidy llvm libclang-rt-14-dev cppcheck shellcheck libcmocka-dev
    pebble caddy iproute2 python3-cryptography-vectors python3-grpcio python3-protobuf
    bind9 bind9-dnsutils p11-kit
)

coverage_packages=(gcovr)

usage() {
    sed -n '2,10s/^# \{0,1\}//p' "$0"
}

# Prints those of its arguments that are not installed.
missing_of() {
    local installed
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        sed -n 's/ installed$//p') || :
    printf '%s\n' "$@" | grep -vxF -e "$installed" || :
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "install_packages.sh: these need root or sudo: ${missing[*]}" >&2
        exit 1
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

wanted=()
list_only=
for argument in "$@"; do
    case $argument in
    build) wanted+=("${build_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    coverage) wanted+=("${coverage_packages[@]}") ;;
    --list) list_only=1 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done
if [ ${#wanted[@]} -eq 0 ]; then
    wanted=("${build_packages[@]}" "${test_packages[@]}")
    set -- test
fi
# Node may come from elsewhere than Debian; then its packages are called otherwise.
case " $* " in
*" test "*)
    command -v node >/dev/null || wanted+=(nodejs)
    command -v npm >/dev/null || wanted+=(npm)
    ;;
esac

[ "${KV_SKIP_PACKAGES:-0}" = 0 ] || exit 0
if ! command -v dpkg-query >/dev/null; then
    echo "install_packages.sh: this is no Debian. Install the equivalents of: ${wanted[*]}" >&2
    echo "and set KV_SKIP_PACKAGES=1." >&2
    exit 1
fi

mapfile -t missing < <(missing_of "${wanted[@]}")
[ ${#missing[@]} -gt 0 ] || exit 0
if [ -n "$list_only" ]; then
    printf '%s\n' "${missing[@]}"
    exit 0
fi
# Servers that the tests start themselves must not become services of this machine: Debian asks this
# file before it starts one, and what was not there before is not started at the next boot either.
services=()
for service in caddy named nginx; do
    [ -e "/lib/systemd/system/$service.service" ] || services+=("$service")
done
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2016 # written as it is
    as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 0755 "$1"' sh "$policy"
    trap 'as_root rm -f "$policy"' EXIT
fi
echo "installing ${#missing[@]} packages: ${missing[*]}"
apt_get update >/dev/null
apt_get install --no-install-recommends "${missing[@]}" >/dev/null
if [ ${#services[@]} -gt 0 ] && command -v systemctl >/dev/null; then
    as_root systemctl disable "${services[@]}" >/dev/null 2>&1 || : # those that came
fi
mapfile -t missing < <(missing_of "${wanted[@]}")
if [ ${#missing[@]} -gt 0 ]; then
    echo "install_packages.sh: still missing: ${missing[*]}" >&2
    exit 1
fi
