#!/usr/bin/env bash
# Measures, in one run and one table, the raw token beside the same operation through libkeyvault:
# mutual TLS, role token, permission, audit record on disk before the answer, as shipped.
#
#   scripts/bench.sh [--seconds S] [--rounds N] [--build DIR] [--json FILE]
#
# The token's rows use Cryptoki directly on a copy of the server's token folder, with as many
# threads as the server has workers for it. Runs of token and server alternate; each number is the
# median of the rounds. Machines are noisy: look at the ratios.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=2
rounds=3
build=build/bench
json=
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --json) json=$2; shift 2 ;;
    -h | --help) sed -n '2,11p' "$0" | cut -c3-; exit 0 ;;
    *) echo "bench.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
done

if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd kvctl kv_bench >/dev/null
fi
build=$(cd "$build" && pwd)

work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault-bench.XXXXXX")
server=
cleanup() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
    rm -rf "$work"
}
trap cleanup EXIT

# shellcheck source=scripts/demo_lib.sh
. scripts/demo_lib.sh
demo_files "$work" "$build"
demo_init
demo_start
server=$DEMO_SERVER
demo_person operator user vault-operator /
demo_person officer user certificate-officer /vaults/bench
demo_person crypto user crypto-officer /vaults/bench
demo_person secrets user secrets-officer /vaults/bench
demo_person app service certificate-user /vaults/bench crypto-user /vaults/bench \
    secrets-user /vaults/bench
kv operator vault create --name bench >/dev/null

kv officer certificate create --vault bench --name web --subject CN=web.example.org \
    --dns-name web.example.org --issuer Self >/dev/null
kv crypto key create --vault bench --name p256 --key-type EC --curve P-256 >/dev/null
kv crypto key create --vault bench --name rsa2048 --key-type RSA --key-size 2048 >/dev/null
printf %s 0123456789abcdef0123456789abcdef |
    kv secrets secret set --vault bench --name secret --file - >/dev/null

cp -r "$work/tokens" "$work/tokens.copy"
sed "s|$work/tokens|$work/tokens.copy|" "$work/softhsm2.conf" >"$work/copy.conf"

raw() { # what parallel
    SOFTHSM2_CONF="$work/copy.conf" "$build/tests/bench/speed/kv_bench" raw --what "$1" \
        --parallel "$2" --seconds "$seconds" --module "$DEMO_MODULE" --token "$3" \
        --pin-file "$work/home/pins/${3#kv-}"
}
served() { # what parallel name
    "$build/tests/bench/speed/kv_bench" served --what "$1" --parallel "$2" --seconds "$seconds" \
        --endpoint "localhost:$DEMO_PORT" --ca "$work/home/tls/server.pem" \
        --certificate "$work/people/app.pem" --key "$work/people/app.key" --vault bench --name "$3"
}

results=$work/results
for round in $(seq "$rounds"); do
    for spec in p256:p256:kv-keys rsa2048:rsa2048:kv-keys secret:secret:kv-system \
        certificate:web:; do
        IFS=: read -r what name token <<<"$spec"
        if [ -n "$token" ]; then
            for threads in 1 2; do
                line=$(raw "$what" "$threads" "$token")
                echo "$what raw $threads $line" >>"$results"
            done
        fi
        for flight in 1 16 64; do
            line=$(served "$what" "$flight" "$name")
            echo "$what served $flight $line" >>"$results"
        done
        echo "round $round: $what done" >&2
    done
done
python3 scripts/bench_table.py "$results" "$work" ${json:+"$json"}
