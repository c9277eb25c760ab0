#!/usr/bin/env bash
# Installs into an empty folder; then everything there is used: the library through pkg-config, the
# manual pages, the completions, the unit.
#
#   install.sh BUILD COMPILER        KV_CFLAGS: how the installed libraries were compiled
set -euo pipefail
here=$(dirname "$(realpath "$0")")
build=$1 compiler=$2

work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

# Reads all of its input, unlike grep -q, which may leave the program before it with SIGPIPE.
has() { grep "$@" >/dev/null; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
step() { echo "--- $*"; }

step install
DESTDIR=$root cmake --install "$build" --prefix /usr >"$work/install.log"
for file in sbin/keyvaultd bin/kvctl lib/systemd/system/keyvaultd.service \
    lib/sysusers.d/keyvault.conf lib/tmpfiles.d/keyvault.conf include/keyvault/keyvault.h \
    include/keyvault/keyvault_watch.h \
    include/keyvault/keyvault/v1/keys.pb-c.h share/keyvault/proto/keyvault/v1/keys.proto \
    share/man/man1/kvctl.1 share/man/man8/keyvaultd.8 share/man/man5/keyvaultd.conf.5; do
    [ -s "$root/usr/$file" ] || fail "$file is not installed"
done
[ ! -e "$root/usr/share/keyvault/proto/test" ] || fail "test messages are installed"
grep -q '^ExecStart=/usr/sbin/keyvaultd run ' "$root/usr/lib/systemd/system/keyvaultd.service" ||
    fail "the unit starts another program"

step "programs"
"$root/usr/sbin/keyvaultd" version | has '^keyvaultd [0-9]'
"$root/usr/bin/kvctl" --help | has '^kvctl NOUN VERB'

step "library"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$root/usr" -name keyvault.pc)")
libraries=$(dirname "$PKG_CONFIG_PATH")
readelf -d "$libraries/libkeyvault.so" | has 'SONAME.*\[libkeyvault.so.0\]' || fail "soname"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 1 \
    -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
read -ra own <<<"${KV_CFLAGS:-}"
read -ra flags <<<"$(pkg-config --cflags --libs keyvault)"
"$compiler" -Wall -Wextra -Werror -Wno-missing-braces "${own[@]}" -o "$work/shared" \
    "$here/program.c" "${flags[@]}"
LD_LIBRARY_PATH=$libraries "$work/shared" "$work/ca.pem" | has -x 'linked and run'
LD_LIBRARY_PATH=$libraries ldd "$work/shared" | has "libkeyvault.so.0 => $libraries/" ||
    fail "the shared library is not used"
# The archive, with what it needs of others still shared.
read -ra flags <<<"$(pkg-config --static --cflags --libs keyvault |
    sed "s|-lkeyvault|$libraries/libkeyvault.a|")"
"$compiler" -Wno-missing-braces "${own[@]}" -o "$work/static" "$here/program.c" "${flags[@]}"
"$work/static" "$work/ca.pem" | has -x 'linked and run'
[ "$(pkg-config --modversion keyvault)" = \
    "$("$root/usr/sbin/keyvaultd" version | sed 's/.* //')" ] || fail "two versions"

step "definitions"
protoc -I"$root/usr/share/keyvault/proto" --descriptor_set_out="$work/set" keyvault/v1/keys.proto

step "manuals"
for page in man1/kvctl.1 man8/keyvaultd.8 man5/keyvaultd.conf.5; do
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W warning "$root/usr/share/man/$page" || fail "mandoc: $page"
    fi
    if command -v man >/dev/null; then
        said=$(man --warnings -l "$root/usr/share/man/$page" 2>&1 >"$work/page")
        [ -z "$said" ] || fail "man: $page: $said"
        [ "$(wc -l <"$work/page")" -gt 30 ] || fail "$page is nearly empty"
    fi
done
while read -r section key _; do
    grep -qF ".B ${key//-/\\-}" "$root/usr/share/man/man5/keyvaultd.conf.5" ||
        fail "[$section] $key is not in keyvaultd.conf(5)"
done < <("$root/usr/sbin/keyvaultd" settings)

step "completion: bash"
# complete WORD...: what Tab would offer for the last of them.
complete_bash() {
    bash -c 'source "$1"; shift
        COMP_WORDS=(kvctl "$@"); COMP_CWORD=$#; _kvctl; echo "${COMPREPLY[@]}"' \
        _ "$root/usr/share/bash-completion/completions/kvctl" "$@"
}
expect() {
    local wanted=$1
    shift
    [ "$(complete_bash "$@")" = "$wanted" ] ||
        fail "completion of '$*' is '$(complete_bash "$@")', not '$wanted'"
}
expect "vault" v
expect "sign" key si
expect "show set" certificate policy ""
expect "--algorithm" key sign --alg
expect "--output" key sign --outp
expect "json" key sign --output j
expect "RSA" certificate create --key-type R
expect "" key sign --name ""
touch "$work/policy.json"
expect "$work/policy.json" key sign --ca "$work/pol"
# Every verb of the help is there.
while read -r noun verb; do
    complete_bash "$noun" "${verb%% *}" | has -w -- "${verb%% *}" || fail "no $noun $verb"
done < <("$root/usr/bin/kvctl" --help | sed -n 's/^  \([a-z]*\): \(.*\)/\1 \2/p' |
    awk '{ noun = $1; sub(/^[a-z]* /, ""); n = split($0, v, ", ");
           for (i = 1; i <= n; i++) print noun, v[i] }')

if command -v zsh >/dev/null; then
    step "completion: zsh"
    complete_zsh() {
        zsh -f -c 'compdef() { }
            _describe() { print -l -- ${(P)4} }
            _arguments() { print -l -- "$@" }
            source "$1"; shift
            words=(kvctl "$@"); CURRENT=$(($# + 1)); _kvctl' \
            _ "$root/usr/share/zsh/vendor-completions/_kvctl" "$@"
    }
    complete_zsh "" | has '^vault:' || fail "zsh: nouns"
    complete_zsh certificate policy "" | has '^show:what ' || fail "zsh: second words"
    complete_zsh key sign "" | has -F -- '--algorithm=[' || fail "zsh: options"
    complete_zsh key sign "" | has -F -- '--output=[' || fail "zsh: options of every verb"
fi

if command -v systemd-analyze >/dev/null; then
    step "unit"
    unit=$root/usr/lib/systemd/system/keyvaultd.service
    # The programs are not where the unit will find them: named as they are here, for this check.
    sed "s|/usr/sbin/keyvaultd|$root/usr/sbin/keyvaultd|" "$unit" >"$work/keyvaultd.service"
    said=$(systemd-analyze verify --man=no "$work/keyvaultd.service" 2>&1) || fail "unit: $said"
    [ -z "$said" ] || fail "unit: $said"
    systemd-analyze security --offline=true --threshold=15 --no-pager "$unit" >"$work/security" || {
        cat "$work/security"
        fail "the unit is not hardened enough"
    }
    tail -n 1 "$work/security"
fi
echo "installed, and all of it works"
