# shellcheck shell=bash
# What quickstart.sh and bench.sh share: an installation with SoftHSM tokens in a folder of its own,
# a running server, and people with certificates. Sourced, not run.
#
# After demo_files WORK BUILD: DEMO_MODULE. After demo_start: DEMO_SERVER (process), DEMO_PORT.

demo_die() {
    echo "$*" >&2
    exit 1
}

# Where Debian puts the SoftHSM module, on any architecture.
demo_find_module() {
    local path
    for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
        [ -e "$path" ] && echo "$path" && return
    done
    demo_die "SoftHSM's module libsofthsm2.so was not found"
}

demo_files() { # work build
    DEMO_WORK=$1
    DEMO_BUILD=$2
    DEMO_MODULE=$(demo_find_module)
    export SOFTHSM2_CONF=$DEMO_WORK/softhsm2.conf
    mkdir -p "$DEMO_WORK/tokens" "$DEMO_WORK/people"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' \
        "$DEMO_WORK/tokens" >"$SOFTHSM2_CONF"
    {
        printf '[server]\nhome = %s\nlisten = %s\n\n' "$DEMO_WORK/home" \
            "${DEMO_LISTEN:-127.0.0.1:0}"
        printf '[tls]\nkey = pkcs11:token=kv-tls\n\n'
        printf '[audit]\nsegment_bytes = 16777216\n'
        local duty
        for duty in keys ca system tls; do
            printf '\n[token.%s]\nmodule = %s\nuri = pkcs11:token=kv-%s\npin_file = pins/%s\n' \
                "$duty" "$DEMO_MODULE" "$duty" "$duty"
        done
    } >"$DEMO_WORK/keyvaultd.conf"
}

# A person or program with a key and a self-signed certificate.
demo_certificate() { # name
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
        -keyout "$DEMO_WORK/people/$1.key" -out "$DEMO_WORK/people/$1.pem" 2>/dev/null
}

demo_init() {
    demo_certificate admin
    "$DEMO_BUILD/server/keyvaultd" init --config "$DEMO_WORK/keyvaultd.conf" --create-tokens \
        --administrator "admin=$DEMO_WORK/people/admin.pem"
}

demo_start() {
    local tries=0
    rm -f "$DEMO_WORK/home/port"
    "$DEMO_BUILD/server/keyvaultd" run --config "$DEMO_WORK/keyvaultd.conf" \
        2>"$DEMO_WORK/keyvaultd.log" &
    DEMO_SERVER=$!
    until [ -s "$DEMO_WORK/home/port" ]; do
        kill -0 "$DEMO_SERVER" 2>/dev/null || demo_die "keyvaultd did not start:
$(cat "$DEMO_WORK/keyvaultd.log")"
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || demo_die "keyvaultd did not listen within 30 seconds"
        sleep 0.1
    done
    DEMO_PORT=$(cat "$DEMO_WORK/home/port")
}

# kvctl as one of the people: kv officer certificate list --vault shop
kv() { # person arguments...
    local person=$1
    shift
    "$DEMO_BUILD/client/kvctl" --endpoint "localhost:$DEMO_PORT" \
        --ca "$DEMO_WORK/home/tls/server.pem" --certificate "$DEMO_WORK/people/$person.pem" \
        --key "$DEMO_WORK/people/$person.key" "$@"
}

# A principal with its certificate; then ROLE SCOPE pairs.
demo_person() { # name kind role scope ...
    local name=$1 kind=$2
    shift 2
    demo_certificate "$name"
    kv admin principal create --name "$name" --kind "$kind" >/dev/null
    kv admin principal credential add --principal "$name" \
        --certificate-file "$DEMO_WORK/people/$name.pem" >/dev/null
    while [ $# -gt 0 ]; do
        kv admin role assign --principal "$name" --role "$1" --scope "$2" >/dev/null
        shift 2
    done
}
