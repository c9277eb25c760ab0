#!/bin/sh
# interop.sh <transport_server> <proto folder> <work folder> - installs the stock gRPC client from
# its lock file, outside the source tree, and runs it.
set -eu
command -v npm >/dev/null || { echo "there is no npm" && exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$3"
cp "$here"/js/package.json "$here"/js/package-lock.json "$here"/js/.npmrc "$here"/js/interop.js "$3"
cd "$3"
if ! cmp -s package-lock.json installed.json; then
    npm ci --ignore-scripts --no-audit --no-fund
    cp package-lock.json installed.json
fi
exec node interop.js "$1" "$2"
