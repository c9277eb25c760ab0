#!/usr/bin/env bash
# Formats the C sources with clang-format.
#
#   scripts/format.sh           rewrites what is not formatted
#   scripts/format.sh --check   names what is not formatted and fails
set -euo pipefail
cd "$(dirname "$0")/.."

sources() {
    find server pkcs11 client tests -name node_modules -prune -o -name '*.[ch]' -print0
}

case ${1:-} in
"") sources | xargs -0 -r clang-format -i ;;
--check) sources | xargs -0 -r clang-format --dry-run -Werror ;;
*)
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
