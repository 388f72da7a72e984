#!/usr/bin/env bash
# Lines that the tests run, for each folder, against the floors of coverage_floors.txt. Kernels are not instrumented (their
# loops would take minutes to build), nor are the loops of WIDEST (engine/base/widest.h); every variant of them is compared bit
# for bit by its own tests.
# Usage: coverage.sh BUILD_FOLDER, built with PRENORM_COVERAGE and tested
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1
gcovr --root "$root" --filter "$root/config/" --filter "$root/engine/" --filter "$root/server/" \
    --object-directory "$build" -j "$(nproc)" --gcov-ignore-parse-errors --json-summary "$build/coverage.json" "$build"
python3 "$root/tests/tidy/coverage.py" "$build/coverage.json" "$root/tests/tidy/coverage_floors.txt"
