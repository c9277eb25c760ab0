#!/usr/bin/env bash
# From a bare Debian 12 to a running key vault that has done its main job, checked by other tools.
#
#   scripts/quickstart.sh [--once] [--folder DIR] [--listen HOST:PORT]
#
# Installs packages, builds, makes SoftHSM tokens in a private folder, starts the server and tells
# the story with kvctl commands, printed as they run. Then the server stays in the foreground until
# Ctrl-C; with --once everything ends with the story and is removed.
set -euo pipefail
cd "$(dirname "$0")/.."

once=
folder=
DEMO_LISTEN=127.0.0.1:8443
# Somebody else's port: any free one then.
if (: <"/dev/tcp/${DEMO_LISTEN/:/\/}") 2>/dev/null; then DEMO_LISTEN=127.0.0.1:0; fi
while [ $# -gt 0 ]; do
    case $1 in
    --once) once=yes DEMO_LISTEN=127.0.0.1:0; shift ;;
    --folder) folder=$2; shift 2 ;;
    --listen) DEMO_LISTEN=$2; shift 2 ;;
    -h | --help) sed -n '2,8p' "$0" | cut -c3-; exit 0 ;;
    *) echo "quickstart.sh: unknown option '$1'; try --help" >&2; exit 2 ;;
    esac
done
export DEMO_LISTEN

# --- what it needs -------------------------------------------------------------------------------

scripts/install_packages.sh build
began=$SECONDS
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
# A release, if there is one; else the same objects, linked without a minute of optimisation.
build=build/release
[ -f "$build/build.ninja" ] || build=build/quickstart
[ -f "$build/build.ninja" ] || cmake --preset release -B "$build" -DKV_LTO=OFF >/dev/null
cmake --build "$build" --target keyvaultd kvctl

if [ -n "$folder" ]; then
    mkdir -p "$folder"
    [ -z "$(ls -A "$folder")" ] || { echo "quickstart.sh: '$folder' is not empty" >&2; exit 2; }
    work=$(cd "$folder" && pwd)
else
    work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault.XXXXXX")
fi
chmod 700 "$work"

DEMO_SERVER=
cleanup() {
    if [ -n "$DEMO_SERVER" ] && kill "$DEMO_SERVER" 2>/dev/null; then
        wait "$DEMO_SERVER" 2>/dev/null || true
    fi
    [ -n "$folder" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=scripts/demo_lib.sh
. scripts/demo_lib.sh

# --- how the story is told -----------------------------------------------------------------------

bold='' dim='' green='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'; fi
chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
good() { printf '%s  ok: %s%s\n' "$green" "$*" "$plain"; }
shown() { printf '%s  $ %s%s\n' "$dim" "$*" "$plain"; }

# Runs kvctl as somebody, printing the command as that person would type it.
say() { # person arguments...
    local person=$1 words='' word
    for word in "${@:2}"; do
        case $word in *[\ \']*) words+=" \"$word\"" ;; *) words+=" ${word//$work\//}" ;; esac
    done
    shown "($person) kvctl$words"
    kv "$@"
}
run() {
    shown "$*" | sed "s|$work/||g"
    "$@"
}
fail() {
    echo "quickstart.sh: $*" >&2
    exit 1
}

# --- the story -----------------------------------------------------------------------------------

chapter "1. Tokens, keys of the server, the first access administrator"
demo_files "$work" "$(cd "$build" && pwd)"
shown "keyvaultd init --config keyvaultd.conf --create-tokens" \
    "--administrator admin=people/admin.pem"
demo_init
demo_start
good "keyvaultd listens on port $DEMO_PORT"

chapter "2. Four people with separate duties, and a vault"
demo_person operator user vault-operator /
demo_person officer user certificate-officer /vaults/shop
demo_person secrets user secrets-officer /vaults/shop
demo_person app service certificate-user /vaults/shop crypto-user /vaults/shop \
    secrets-user /vaults/shop
say admin role assignment list --output table
say operator vault create --name shop --output table
if kv admin role assign --principal officer --role certificate-user --scope /vaults/shop \
    2>"$work/refused"; then
    fail "the officer got a role that separation of duty forbids"
fi
good "refused: $(head -n 1 "$work/refused")"

chapter "3. A certificate whose private key never leaves the token"
say officer certificate create --vault shop --name web --subject CN=shop.example.org \
    --dns-name shop.example.org --issuer Self --key-type EC --curve P-256 --validity-months 3 \
    --output table
kv officer certificate download --vault shop --name web --format pem --file "$work/web.pem"
printf 'the document\n' >"$work/document"
say app key sign --vault shop --name web --algorithm ES256 --message-file "$work/document" \
    --der --signature-file "$work/document.sig" --output table
openssl x509 -in "$work/web.pem" -pubkey -noout >"$work/web.pub"
run openssl dgst -sha256 -verify "$work/web.pub" -signature "$work/document.sig" "$work/document"
good "openssl verifies the signature with the key from the certificate endpoint"

cp -r "$work/tokens" "$work/tokens.copy"
sed "s|/tokens|/tokens.copy|" "$SOFTHSM2_CONF" >"$work/copy.conf"
run env SOFTHSM2_CONF="$work/copy.conf" pkcs11-tool --module "$DEMO_MODULE" --token-label kv-keys \
    --login --pin "$(cat "$work/home/pins/keys")" --list-objects --type privkey 2>/dev/null |
    sed "s|--pin [0-9a-f]*|--pin ...|" | tee "$work/objects"
grep -q 'Access: *sensitive, always sensitive, never extractable, local' "$work/objects" ||
    fail "the key on the token is not what was promised"
rm -rf "$work/tokens.copy"
good "pkcs11-tool, on a copy of the token: sensitive, always sensitive, never extractable, local"

chapter "4. A certificate that the application may take with its key"
say officer certificate create --vault shop --name edge --subject CN=edge.example.org \
    --dns-name edge.example.org --issuer Self --key-type EC --curve P-256 --validity-months 2 \
    --exportable --content-type application/x-pkcs12 --output table
printf 'correct horse battery staple' >"$work/pfx.password"
chmod 600 "$work/pfx.password"
say app secret download --vault shop --name edge --format pfx --password-file "$work/pfx.password" \
    --file "$work/edge.pfx"
run openssl pkcs12 -in "$work/edge.pfx" -passin "file:$work/pfx.password" -nodes \
    -out "$work/edge.pem"
openssl pkey -in "$work/edge.pem" -pubout >"$work/edge.key.pub" 2>/dev/null
openssl x509 -in "$work/edge.pem" -pubkey -noout >"$work/edge.cert.pub"
cmp -s "$work/edge.key.pub" "$work/edge.cert.pub" || fail "the key in the PFX is another one"
good "openssl opens the PFX, and its key is the certificate's"

chapter "5. The officer who made it is refused the same"
if say officer secret download --vault shop --name edge --format pfx \
    --password-file "$work/pfx.password" --file "$work/stolen.pfx" 2>"$work/refused"; then
    fail "the certificate officer got the private key"
fi
good "refused: $(head -n 1 "$work/refused")"

chapter "6. A secret"
printf 'hunter2' |
    say secrets secret set --vault shop --name database-password --file - --output table
shown "(app) kvctl secret download --vault shop --name database-password --file password"
kv app secret download --vault shop --name database-password --file "$work/password"
[ "$(cat "$work/password")" = hunter2 ] || fail "another secret came back"
good "the application read what was set"

chapter "7. The log that proves it was not changed"
demo_person auditor user auditor /
say auditor audit verify --live
good "the chain verifies with nothing but the public key"

keeps='removed at the end; --folder DIR keeps it'
[ -z "$folder" ] || keeps='it stays'
printf '\n%sDone in %d seconds (packages apart).%s\n' "$bold" "$((SECONDS - began))" "$plain"
[ -z "$once" ] || exit 0

cat <<END

The server goes on in the foreground; Ctrl-C ends it. In another terminal:

  cd $(pwd)
  export KVCTL_ENDPOINT=localhost:$DEMO_PORT KVCTL_CA=$work/home/tls/server.pem
  export KVCTL_CERTIFICATE=$work/people/app.pem KVCTL_KEY=$work/people/app.key KVCTL_VAULT=shop
  export PATH=\$PWD/$build/client:\$PATH

  kvctl token whoami
  kvctl certificate list --output table
  kvctl secret show --name database-password
  kvctl key --help

Everything is in $work ($keeps).
Its log: $work/keyvaultd.log
END
wait "$DEMO_SERVER"
