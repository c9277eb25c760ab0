#!/usr/bin/env bash
# Measures, in one run, how many certificates a second the local authority issues through the
# whole server (ordered over mutual TLS, permitted, linted, signed on the token, stored, recorded,
# durable) beside `openssl x509 -req` in a loop and `cfssl serve` (Debian: golang-cfssl), which
# keep nothing.
#
#   scripts/bench_issuance.sh [--seconds S] [--rounds N] [--build DIR]
#
# The authority's key is P-256 everywhere. "new key": each certificate has a key of its own, made
# for it; "same key": only the certificate is new. Runs alternate; each number is the median of the
# rounds. Machines are noisy: look at the ratios.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=3
rounds=3
build=build/bench
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    -h | --help) sed -n '2,12p' "$0" | cut -c3-; exit 0 ;;
    *) echo "bench_issuance.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
done

command -v cfssl >/dev/null || { echo "bench_issuance.sh: needs golang-cfssl" >&2; exit 1; }
if [ "$build" = build/bench ]; then
    scripts/install_packages.sh build
    cmake --preset release -B "$build" -DKV_TESTS=ON >/dev/null
    cmake --build "$build" --target keyvaultd kvctl kv_bench_issuance >/dev/null
fi
build=$(cd "$build" && pwd)

work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault-bench.XXXXXX")
server=
cfssl=
cleanup() {
    set +e # one that has ended already must not keep the rest from being cleaned up
    for process in $server $cfssl; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
    done
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
demo_person issuers user issuer-officer /vaults/bench
demo_person officer user certificate-officer /vaults/bench
kv operator vault create --name bench >/dev/null
kv issuers ca create --vault bench --name tls --type root --subject 'CN=Bench' --curve P256 \
    >/dev/null

# The others' authority, and what they are asked to sign.
peer=$work/peer
mkdir -p "$peer"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 900 -subj /CN=Bench \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$peer/ca.key" -out "$peer/ca.pem" \
    2>/dev/null
cat >"$peer/leaf.ext" <<'EXTENSIONS'
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:b.example.org
authorityKeyIdentifier = keyid
subjectKeyIdentifier = hash
EXTENSIONS
algorithm() { # ec|rsa
    case $1 in
    ec) echo EC -pkeyopt ec_paramgen_curve:P-256 ;;
    rsa) echo RSA -pkeyopt rsa_keygen_bits:2048 ;;
    esac
}
for what in ec rsa; do
    # shellcheck disable=SC2046
    openssl genpkey -algorithm $(algorithm $what) -out "$peer/$what.key" 2>/dev/null
    openssl req -new -key "$peer/$what.key" -subj /CN=b.example.org -out "$peer/$what.csr"
done
cat >"$peer/config.json" <<'CONFIG'
{"signing": {"default": {"expiry": "8760h",
  "usages": ["digital signature", "server auth", "client auth"]}}}
CONFIG
cfssl_port=$(python3 scripts/bench_cfssl.py --free-port)
cfssl serve -address 127.0.0.1 -port "$cfssl_port" -ca "$peer/ca.pem" -ca-key "$peer/ca.key" \
    -config "$peer/config.json" >"$peer/log" 2>&1 &
cfssl=$!
python3 scripts/bench_cfssl.py --wait "$cfssl_port"

ours() { # what keys parallel
    "$build/tests/bench/issuance/kv_bench_issuance" --what "$1" --keys "$2" --parallel "$3" \
        --seconds "$seconds" --endpoint "localhost:$DEMO_PORT" --ca "$work/home/tls/server.pem" \
        --certificate "$work/people/officer.pem" --key "$work/people/officer.key" --vault bench \
        --name tls
}
of_openssl() { # what keys
    local began now count=0
    began=$(date +%s%N)
    while :; do
        if [ "$2" = new ]; then
            # shellcheck disable=SC2046
            openssl genpkey -algorithm $(algorithm "$1") -out "$peer/new.key" 2>/dev/null
            openssl req -new -key "$peer/new.key" -subj /CN=b.example.org -out "$peer/new.csr"
        else
            cp "$peer/$1.csr" "$peer/new.csr"
        fi
        openssl x509 -req -in "$peer/new.csr" -CA "$peer/ca.pem" -CAkey "$peer/ca.key" -days 365 \
            -set_serial "0x40$(openssl rand -hex 15)" -extfile "$peer/leaf.ext" \
            -out "$peer/new.pem" 2>/dev/null
        count=$((count + 1))
        now=$(date +%s%N)
        [ $((now - began)) -lt $((seconds * 1000000000)) ] || break
    done
    python3 -c "print($count / (($now - $began) / 1e9), 0, 0)"
}
of_cfssl() { # what keys parallel
    python3 scripts/bench_cfssl.py "$cfssl_port" "$1" "$2" "$3" "$seconds" "$peer/$1.csr"
}

results=$work/results
for round in $(seq "$rounds"); do
    for what in ec rsa; do
        for keys in same new; do
            for flight in 1 8; do
                echo "$what $keys keyvault $flight $(ours $what $keys $flight)" >>"$results"
                echo "$what $keys cfssl $flight $(of_cfssl $what $keys $flight)" >>"$results"
            done
            echo "$what $keys openssl 1 $(of_openssl $what $keys)" >>"$results"
            echo "round $round: $what, $keys key: done" >&2
        done
    done
done
python3 scripts/bench_cfssl.py --table "$results"
