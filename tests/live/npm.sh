#!/bin/sh
# npm.sh <folder> - installs what the lock file beside this script lists into <folder>, outside the
# source tree. Does nothing when it is there already; any number may run at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
exec 9>npm.lock
flock 9
if ! cmp -s "$here/package-lock.json" installed.json; then
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" .
    npm ci --ignore-scripts --no-audit --no-fund
    cp package-lock.json installed.json
fi
