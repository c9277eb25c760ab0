#!/usr/bin/env bash
# simulate.sh - five years of renewals of 100,000 certificates, decided by the functions that the
# server runs, on a clock of their own; a histogram as SVG. Fails if a certificate was not followed
# in time, if more was ordered than needed, or if a herd came to an issuer.
#
#     scripts/simulate.sh [CERTIFICATES [YEARS [HISTOGRAM.svg]]]
#
# Takes a minute or two. docs/renewal.md says what the world does to the server meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

certificates=${1:-100000}
years=${2:-5}
histogram=${3:-build/renewals.svg}

cmake --preset release >/dev/null
cmake --build build/release --target simulate >/dev/null
build/release/tests/contract/simulate/simulate "$certificates" "$years" "$histogram"
echo "histogram: $histogram"
