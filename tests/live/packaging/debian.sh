#!/usr/bin/env bash
# Makes the Debian packages, installs them into an empty root and uses them there.
#
#   debian.sh BUILD
set -euo pipefail
build=$1

for tool in dpkg-deb dpkg-shlibdeps systemd-sysusers systemd-tmpfiles cpack; do
    command -v $tool >/dev/null || { echo "there is no $tool" && exit 1; }
done
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v fakeroot >/dev/null || { echo "there is no fakeroot" && exit 1; }
    as_root=(fakeroot)
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault-debian.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
umask 022

# Reads all of its input, unlike grep -q, which may leave the program before it with SIGPIPE.
has() { grep "$@" >/dev/null; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
step() { echo "--- $*"; }

step "packages"
(cd "$work" && cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/cpack") \
    >"$work/cpack.log" 2>&1 || { cat "$work/cpack.log" && fail "cpack"; }
find "$work/cpack" -maxdepth 1 -name '*.deb' -exec mv -t "$work" {} +
for name in keyvault-server keyvault-client libkeyvault0 libkeyvault-dev; do
    dpkg-deb -f "$work/${name}"_*.deb Package Version Depends || fail "there is no package $name"
done
field() { dpkg-deb -f "$work/$1"_*.deb "$2"; }
field keyvault-server Depends | has 'libevent.*libnghttp2\|libnghttp2.*libevent' ||
    fail "the server does not depend on its libraries"
field keyvault-client Depends | has libjansson4 || fail "the client does not on its"
field libkeyvault-dev Depends | has 'libkeyvault0 (= ' || fail "-dev does not on the library"
dpkg-deb -I "$work"/libkeyvault0_*.deb shlibs | has '^libkeyvault 0 libkeyvault0' ||
    fail "the library says nothing for those who link it"
dpkg-deb -I "$work"/keyvault-server_*.deb conffiles | has -x /etc/keyvault/keyvaultd.conf ||
    fail "the configuration is no conffile"

step "install"
mkdir -p "$root/var/lib/dpkg/"{info,updates} "$root/etc"
touch "$root/var/lib/dpkg/"{status,available}
# What they depend on is outside of this root.
dpkg_there() {
    "${as_root[@]}" dpkg --root="$root" --force-depends --force-not-root --force-bad-path \
        --force-script-chrootless --log="$work/dpkg.log" "$@"
}
dpkg_there -i "$work"/*.deb >"$work/install.log" 2>&1 ||
    { cat "$work/install.log" && fail "dpkg -i"; }
grep -q '^keyvault:' "$root/etc/passwd" || fail "there is no user keyvault"
[ "$(stat -c %a "$root/var/lib/keyvault")" = 700 ] || fail "the server's folder is open"
[ "$(stat -c %a "$root/etc/keyvault/pins")" = 700 ] || fail "the folder of the PINs is open"

step "use"
"$root/usr/sbin/keyvaultd" version
"$root/usr/sbin/keyvaultd" check-config --config "$root/etc/keyvault/keyvaultd.conf" |
    grep -x "home = /var/lib/keyvault" >/dev/null || fail "the packaged configuration is refused"
"$root/usr/bin/kvctl" --help | has '^kvctl NOUN VERB'
"$root/usr/bin/kvctl" key sign --help | has -- '--algorithm'
gzip -t "$root/usr/share/man/man1/kvctl.1.gz" "$root/usr/share/man/man8/keyvaultd.8.gz" \
    "$root/usr/share/man/man5/keyvaultd.conf.5.gz"

step "init and run with the packaged configuration"
umask 077
home=$work/home
mkdir -p "$home/tokens"
for file in keyvaultd.conf softhsm2.conf; do
    sed "s|/var/lib/keyvault|$home|; s|127.0.0.1:8443|127.0.0.1:0|" "$root/etc/keyvault/$file" \
        >"$work/$file"
done
export SOFTHSM2_CONF=$work/softhsm2.conf
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=admin -days 1 \
    -keyout "$work/admin.key" -out "$work/admin.pem" 2>/dev/null
"$root/usr/sbin/keyvaultd" init --config "$work/keyvaultd.conf" --create-tokens \
    --administrator "admin=$work/admin.pem" --tls-name 127.0.0.1 2>"$work/init.log" ||
    { cat "$work/init.log" && fail "init"; }
"$root/usr/sbin/keyvaultd" run --config "$work/keyvaultd.conf" 2>"$work/run.log" &
server=$!
trap 'kill -KILL $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 400); do
    [ -s "$home/port" ] && break
    sleep 0.2
done
# Nobody listens on port 1: the second endpoint answers.
"$root/usr/bin/kvctl" token whoami --endpoint "127.0.0.1:1,127.0.0.1:$(cat "$home/port")" \
    --ca "$home/tls/server.pem" --certificate "$work/admin.pem" --key "$work/admin.key" |
    has '"admin"' || { cat "$work/run.log" && fail "the packaged server does not answer"; }
kill -TERM $server
wait $server || fail "the packaged server ended badly"
umask 022

step "upgrade, remove"
echo '; a change of the administrator' >>"$root/etc/keyvault/keyvaultd.conf"
dpkg_there -i "$work"/keyvault-server_*.deb >"$work/again.log" 2>&1 </dev/null ||
    { cat "$work/again.log" && fail "dpkg -i, again"; }
grep -q '^; a change' "$root/etc/keyvault/keyvaultd.conf" || fail "the configuration was replaced"
touch "$root/var/lib/keyvault/keyvault.db"
dpkg_there --purge keyvault-server keyvault-client libkeyvault-dev libkeyvault0 \
    >"$work/purge.log" 2>&1 || { cat "$work/purge.log" && fail "dpkg --purge"; }
for gone in usr/sbin/keyvaultd etc/keyvault/keyvaultd.conf; do
    [ ! -e "$root/$gone" ] || fail "$gone is left"
done
[ -e "$root/var/lib/keyvault/keyvault.db" ] || fail "a purge destroyed what the server wrote"
echo "the packages work"
