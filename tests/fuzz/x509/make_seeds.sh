#!/usr/bin/env bash
# Makes the seeds of the fuzz targets of this folder and pending.h, with the openssl program. Run it
# again only to change them: keys, and with them all bytes, are new every time.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p corpus/fuzz_{pfx,pem,merge,csr,certificate}

# option byte, files: one seed on standard output
seed() {
    # shellcheck disable=SC2059
    printf "$1"
    shift
    cat "$@"
}

array() { # name, file
    echo "static const uint8_t $1[] = {"
    od -An -v -tx1 "$2" | sed 's/ \(..\)/ 0x\1,/g; s/^ /    /'
    echo "};"
}

make_pki() {
    for name in root ca leaf; do
        openssl genpkey -quiet -algorithm ec -pkeyopt ec_paramgen_curve:P-256 \
            -out "$work/$name.key"
    done
    openssl req -x509 -new -key "$work/root.key" -subj /CN=Root -days 36500 -out "$work/root.pem" \
        -addext keyUsage=critical,keyCertSign 2>/dev/null
    openssl req -new -key "$work/ca.key" -subj /CN=CA -out "$work/ca.csr"
    printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' >"$work/ca.ext"
    openssl x509 -req -in "$work/ca.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -days 36500 \
        -extfile "$work/ca.ext" -out "$work/ca.pem" 2>/dev/null
    openssl req -new -key "$work/leaf.key" -subj /CN=a.b.example -out "$work/leaf.csr" \
        -addext subjectAltName=DNS:a.b.example,IP:192.0.2.1,email:a@b.example,URI:https://a.b/
    printf '%s\n' 'subjectAltName=DNS:a.b.example,IP:192.0.2.1,email:a@b.example,URI:https://a.b/' \
        'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth,clientAuth' \
        >"$work/leaf.ext"
    openssl x509 -req -in "$work/leaf.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 36500 \
        -extfile "$work/leaf.ext" -out "$work/leaf.pem" 2>/dev/null
    cat "$work/leaf.pem" "$work/ca.pem" "$work/root.pem" >"$work/chain.pem"
}

pfx() { # option byte, name, password, more options of openssl pkcs12
    local byte=$1 name=$2 password=$3
    shift 3
    openssl pkcs12 -export -in "$work/chain.pem" -inkey "$work/leaf.key" -passout "pass:$password" \
        -out "$work/pfx" "$@"
    seed "$byte" "$work/pfx" >"corpus/fuzz_pfx/$name"
}

pfx_seeds() {
    pfx '\005' plain p -nomac -certpbe NONE -keypbe NONE
    pfx '\004' plain-no-password '' -nomac -certpbe NONE -keypbe NONE -name x -caname y
    pfx '\005' mac p -iter 1 -certpbe NONE -keypbe NONE
    pfx '\005' aes p -iter 1
    pfx '\004' aes-no-password '' -iter 1
    pfx '\005' legacy p -iter 1 -legacy
    pfx '\005' sealed-no-mac p -nomac -iter 1
    pfx '\007' refused p -iter 1 -legacy
    pfx '\005' key-only p -nocerts -nomac -keypbe NONE
    pfx '\005' certificates-only p -nokeys -nomac -certpbe NONE
}

pem_seeds() {
    local key=$work/leaf.key
    seed '\0' "$key" "$work/chain.pem" >corpus/fuzz_pem/pkcs8
    openssl ec -in "$key" -out "$work/sec1" 2>/dev/null
    seed '\0' "$work/chain.pem" "$work/sec1" >corpus/fuzz_pem/sec1
    openssl ec -in "$key" -aes128 -passout pass:p -out "$work/old" 2>/dev/null
    seed '\001' "$work/old" "$work/leaf.pem" >corpus/fuzz_pem/sealed-sec1
    openssl pkcs8 -topk8 -in "$key" -iter 1 -passout pass:p -out "$work/new"
    seed '\001' "$work/new" "$work/leaf.pem" >corpus/fuzz_pem/sealed-pkcs8
    openssl pkcs8 -topk8 -in "$key" -scrypt -scrypt_N 16 -passout pass:p -out "$work/new"
    seed '\001' "$work/new" "$work/leaf.pem" >corpus/fuzz_pem/scrypt
    openssl crl2pkcs7 -nocrl -certfile "$work/chain.pem" -out "$work/p7b"
    seed '\0' "$key" "$work/p7b" >corpus/fuzz_pem/pkcs7
    openssl x509 -in "$work/leaf.pem" -trustout -addtrust serverAuth -out "$work/trusted"
    seed '\0' "$key" "$work/trusted" >corpus/fuzz_pem/trusted
    cat "$key" "$work/leaf.pem" | base64 >"$work/base64"
    seed '\0' "$work/base64" >corpus/fuzz_pem/base64
}

merge_seeds() {
    seed '\0' "$work/chain.pem" >corpus/fuzz_merge/pem
    openssl crl2pkcs7 -nocrl -certfile "$work/chain.pem" -outform DER -out "$work/p7"
    seed '\0' "$work/p7" >corpus/fuzz_merge/pkcs7
    base64 "$work/p7" >"$work/p7.64"
    seed '\037' "$work/p7.64" >corpus/fuzz_merge/base64
    base64 "$work/p7.64" >"$work/p7.64.64"
    seed '\040' "$work/p7.64.64" >corpus/fuzz_merge/double-base64
    for name in leaf ca root; do
        openssl x509 -in "$work/$name.pem" -outform DER -out "$work/$name.der"
        cp "$work/$name.der" "corpus/fuzz_certificate/$name"
    done
    printf '|||' >"$work/bar"
    seed '\0' "$work/root.der" "$work/bar" "$work/leaf.der" "$work/bar" "$work/ca.der" \
        >corpus/fuzz_merge/pieces
    seed '\0' "$work/ca.der" >corpus/fuzz_merge/another
}

make_pki
pfx_seeds
pem_seeds
merge_seeds
for name in leaf ca; do
    openssl req -in "$work/$name.csr" -outform DER -out "corpus/fuzz_csr/$name"
done
openssl pkey -in "$work/leaf.key" -pubout -outform DER -out "$work/spki"
{
    echo '/* pending.h - the operation that fuzz_merge completes. Made by make_seeds.sh. */'
    printf '#pragma once\n\n#include <stdint.h>\n\n'
    array pending_spki "$work/spki"
    echo
    array pending_csr corpus/fuzz_csr/leaf
} >pending.h
