#!/usr/bin/env bash
# Clones into an empty folder and runs the two fenced commands of the README word for word: the
# first until its story is told and the server waits, the second as its `static` part (the whole
# would contain this test), and one unit test in a build where every source that is named is there.
set -euo pipefail
source=$1

work=$(mktemp -d "${TMPDIR:-/tmp}/keyvault clone.XXXXXX")
quickstart=
cleanup() {
    if [ -n "$quickstart" ] && kill -INT "$quickstart" 2>/dev/null; then
        wait "$quickstart" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT

git clone --quiet "$source" "$work/keyvault"
cd "$work/keyvault"
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

# The lines between the first two pairs of fences.
mapfile -t commands < <(awk '/^```/ { inside = !inside; next } inside' README.md)
if [ "${#commands[@]}" -ne 2 ] || [ "${commands[1]}" != scripts/test.sh ]; then
    echo "the README has other commands: ${commands[*]}"
    exit 1
fi

echo "--- ${commands[0]}"
# A process of its own group, as in a terminal, so that Ctrl-C reaches it and nobody else.
setsid bash -c "${commands[0]}" >"$work/quickstart.log" 2>&1 &
quickstart=$!
for _ in $(seq 600); do
    if grep -q 'The server goes on in the foreground' "$work/quickstart.log"; then break; fi
    kill -0 "$quickstart" 2>/dev/null || break
    sleep 1
done
grep -q 'The server goes on in the foreground' "$work/quickstart.log" || {
    cat "$work/quickstart.log"
    echo "the story was not told, or not within ten minutes"
    exit 1
}
[ "$(grep -c '  ok: ' "$work/quickstart.log")" -ge 8 ] || { cat "$work/quickstart.log"; exit 1; }
grep 'Done in' "$work/quickstart.log"
kill -TERM -- "-$quickstart"
wait "$quickstart" || true
quickstart=

echo "--- ${commands[1]} static"
bash -c "${commands[1]} static"
cmake --preset dev >/dev/null
cmake --build build/dev --target test_text
ctest --test-dir build/dev -R '^test_text$' --no-tests=error
