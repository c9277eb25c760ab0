# shellcheck shell=bash
# The measurements of bench.sh. Sourced after demo_lib.sh, with its variables: work, build, bench,
# out, seconds, rounds, processes, part.
#
# A row of OUT/PART.csv: side, in flight, connections, operations a second, p50, p99 and p99.9 in
# microseconds, processor time an operation of the load and of the server in microseconds.

: "${work:?}" "${build:?}" "${bench:?}" "${out:?}" "${seconds:?}" "${rounds:?}"

P11_KIT_CLIENT_NAME=p11-kit-client.so

bench_install() {
    demo_files "$work" "$build"
    demo_init
    demo_start
    processes+=("$DEMO_SERVER")
    demo_person operator user vault-operator /
    demo_person officer user certificate-officer /vaults/bench
    demo_person crypto user crypto-officer /vaults/bench
    demo_person secrets user secrets-officer /vaults/bench
    demo_person app service certificate-user /vaults/bench crypto-user /vaults/bench \
        secrets-user /vaults/bench
    kv operator vault create --name bench >/dev/null
    cp -r "$work/tokens" "$work/tokens.copy"
    sed "s|$work/tokens|$work/tokens.copy|" "$work/softhsm2.conf" >"$work/copy.conf"
}

# The same kind of key on the server, and on the copy of its token.
bench_make_key() { # what
    local token=keys
    case $1 in
    p256) kv crypto key create --vault bench --name p256 --key-type EC --curve P-256 >/dev/null ;;
    p384) kv crypto key create --vault bench --name p384 --key-type EC --curve P-384 >/dev/null ;;
    rsa*)
        kv crypto key create --vault bench --name "$1" --key-type RSA --key-size "${1#rsa}" \
            >/dev/null
        ;;
    ed25519) kv crypto key create --vault bench --name ed25519 --key-type OKP >/dev/null ;;
    gcm) kv crypto key create --vault bench --name gcm --key-type oct --key-size 256 >/dev/null ;;
    secret)
        printf %s 0123456789abcdef0123456789abcdef |
            kv secrets secret set --vault bench --name secret --file - >/dev/null
        token=system
        ;;
    certificate)
        kv officer certificate create --vault bench --name certificate \
            --subject CN=web.example.org --dns-name web.example.org --issuer Self >/dev/null
        return
        ;;
    create) return ;;
    esac
    bench_on_copy prepare "$1" "$token" 1
}

bench_on_copy() { # command what token parallel options...
    local command=$1 what=$2 token=$3 parallel=$4
    shift 4
    SOFTHSM2_CONF=$work/copy.conf "$bench" "$command" --what "$what" --parallel "$parallel" \
        --seconds "$seconds" --module "$DEMO_MODULE" --token "kv-$token" \
        --pin-file "$work/home/pins/$token" --name "bench-$what" "$@"
}

# Adds a row: the command's line, commas between its words.
bench_row() { # side parallel connections command...
    local side=$1 parallel=$2 connections=$3 line
    shift 3
    line=$("$@")
    # shellcheck disable=SC2154 # bench.sh says which part it is
    echo "$side,$parallel,$connections,${line// /,}" >>"$out/$part.csv.new"
}

bench_served() { # command person what parallel connections name options...
    local command=$1 person=$2 what=$3 parallel=$4 connections=$5 name=$6
    shift 6
    "$bench" "$command" --what "$what" --parallel "$parallel" --connections "$connections" \
        --seconds "$seconds" --endpoint "localhost:$DEMO_PORT" --server "$DEMO_SERVER" \
        --ca "$work/home/tls/server.pem" --certificate "$work/people/$person.pem" \
        --key "$work/people/$person.key" --vault bench --name "$name" "$@"
}

bench_p11_kit() { # parallel processes
    local address
    address=unix:path=$work/p11-kit.socket
    P11_KIT_SERVER_ADDRESS=$address "$bench" raw --what p256 --parallel "$1" --processes "$2" \
        --seconds "$seconds" --module "$bench_p11_kit_client" --token kv-keys \
        --pin-file "$work/home/pins/keys" --name bench-p256
}

# Once; nothing is done where p11-kit's server is not installed.
bench_start_p11_kit() {
    local path
    bench_p11_kit_client=
    for path in /usr/lib/*/pkcs11/"$P11_KIT_CLIENT_NAME" /usr/lib/pkcs11/"$P11_KIT_CLIENT_NAME"; do
        [ ! -e "$path" ] || bench_p11_kit_client=$path
    done
    if [ -z "$bench_p11_kit_client" ] || ! command -v p11-kit >/dev/null; then
        echo "bench.sh: p11-kit and p11-kit-modules are not installed: left out" >&2
        bench_p11_kit_client=
        return
    fi
    SOFTHSM2_CONF=$work/copy.conf p11-kit server --foreground --name "$work/p11-kit.socket" \
        --provider "$DEMO_MODULE" pkcs11:token=kv-keys >"$work/p11-kit.log" 2>&1 &
    processes+=("$!")
    until [ -S "$work/p11-kit.socket" ]; do sleep 0.05; done
}

bench_operation() { # what: one round
    local what=$1 token=keys person=app command=served name=$1 flight connections spec
    [ "$what" != secret ] || token=system
    [ "$what" != create ] || person=crypto
    bench_row sync 1 0 "$bench" sync --folder "$work/home"
    if [ "$what" != certificate ]; then
        for flight in 1 2; do
            bench_row object "$flight" 0 bench_on_copy raw "$what" "$token" "$flight"
            [ "$what" = create ] ||
                bench_row copy "$flight" 0 bench_on_copy raw "$what" "$token" "$flight" --copies
        done
    fi
    for spec in 1:1 16:1 16:4 64:1 64:4 256:1 256:4; do
        flight=${spec%:*} connections=${spec#*:}
        bench_row served "$flight" "$connections" bench_served "$command" "$person" "$what" \
            "$flight" "$connections" "$name"
    done
    case $what in
    p256)
        [ -n "${bench_p11_kit_client-unset}" ] || return 0
        [ -n "${bench_p11_kit_client-}" ] || bench_start_p11_kit
        [ -n "$bench_p11_kit_client" ] || return 0
        for spec in 1:1 4:4 16:4 16:16 64:4 64:32; do
            flight=${spec%:*} connections=${spec#*:}
            bench_row p11kit "$flight" "$connections" bench_p11_kit "$flight" "$connections"
        done
        ;;
    esac
    case $what in
    secret | certificate | create) ;;
    *) bench_row software 2 0 "$bench" software --what "$what" --parallel 2 --seconds "$seconds" ;;
    esac
}

bench_connect() {
    local flight round
    for round in $(seq "$rounds"); do
        for flight in 1 4; do
            bench_row full "$flight" 0 bench_served connect app p256 "$flight" 1 none
            bench_row resumed "$flight" 0 bench_served connect app p256 "$flight" 1 none --resume
        done
        echo "connect: round $round of $rounds" >&2
    done
}

# --- so many keys ---

# Starts the server of the folder; milliseconds until it listens.
bench_start_ms() { # folder
    local began
    rm -f "$1/home/port"
    began=$(date +%s%N)
    SOFTHSM2_CONF=$1/softhsm2.conf "$build/server/keyvaultd" run --config "$1/keyvaultd.conf" \
        2>>"$1/keyvaultd.log" &
    DEMO_SERVER=$!
    processes+=("$DEMO_SERVER")
    until [ -s "$1/home/port" ]; do
        kill -0 "$DEMO_SERVER" || demo_die "keyvaultd did not start: $(cat "$1/keyvaultd.log")"
        sleep 0.005
    done
    DEMO_PORT=$(cat "$1/home/port")
    started_ms=$((($(date +%s%N) - began) / 1000000))
}

bench_stop() { # process
    kill "$1"
    wait "$1" || :
}

bench_resident() { # process
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

bench_ticks() { # process
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# What a server does by itself after its start, such as looking at every seal, is over.
bench_settle() { # process
    local before now tries=0
    now=$(bench_ticks "$1")
    before=-100
    while [ $((now - before)) -gt 2 ] && [ "$tries" -lt 120 ]; do
        sleep 0.5
        before=$now
        now=$(bench_ticks "$1")
        tries=$((tries + 1))
    done
}

# An installation of its own with so many keys, left stopped in $work/COUNT.
bench_fill_to() { # count before
    local count=$1 before=$2
    bench_served fill crypto create 16 1 "s$count" --names $((count - before)) \
        --seconds 86400 >/dev/null
    bench_stop "$DEMO_SERVER"
    mkdir "$work/$count"
    cp -r "$work/home" "$work/tokens" "$work/$count/"
    sed "s|$work/|$work/$count/|" "$work/keyvaultd.conf" >"$work/$count/keyvaultd.conf"
    sed "s|$work/|$work/$count/|" "$work/softhsm2.conf" >"$work/$count/softhsm2.conf"
    echo "keys: $count made" >&2
    bench_start_ms "$work"
}

# Starts the server of so many keys; what was measured then, in the order of the row below.
bench_start_count() { # count
    local folder=$work/$1 raw
    raw=$(SOFTHSM2_CONF=$folder/softhsm2.conf "$bench" start --module "$DEMO_MODULE" \
        --token kv-keys --pin-file "$folder/home/pins/keys")
    bench_start_ms "$folder"
    bench_server[$1]=$DEMO_SERVER
    bench_port[$1]=$DEMO_PORT
    bench_begin[$1]="$raw $started_ms $(bench_resident "$DEMO_SERVER")"
    bench_settle "$DEMO_SERVER"
}

# One row a round and count: keys; C_Initialize and C_Login, us; its memory, KiB; start of the
# server, ms; its memory then, and after every key of the last stage was used; one key, and all of
# these keys in turn.
bench_count() { # count keys-of-the-stage
    local one all
    DEMO_SERVER=${bench_server[$1]} DEMO_PORT=${bench_port[$1]}
    one=$(bench_served served app p256 16 1 "s$1-1")
    all=$(bench_served served app p256 16 1 "s$1" --names "$2")
    echo "$1 ${bench_begin[$1]} $(bench_resident "$DEMO_SERVER") $one $all" |
        tr ' ' , >>"$out/$part.csv.new"
}

bench_keys() { # counts
    local count before=0 round
    declare -gA bench_server bench_port bench_begin
    # Nothing that another part has made may count among them.
    if [ -e "$work/keyvaultd.conf" ]; then
        bench_stop "$DEMO_SERVER"
        find "$work" -mindepth 1 -delete
    fi
    bench_install
    for count in $1; do
        bench_fill_to "$count" "$before"
        before=$count
    done
    bench_stop "$DEMO_SERVER"
    for count in $1; do bench_start_count "$count"; done
    # All servers are there at once, so that their turns come close to each other.
    for round in $(seq "$rounds"); do
        before=0
        for count in $1; do
            bench_count "$count" $((count - before))
            before=$count
        done
        echo "keys: round $round of $rounds" >&2
    done
}
