#!/usr/bin/env bash
# Checks the sources: house rules, includes, format, cppcheck, clang-tidy. Each failure says how to mend it.
# Usage: check.sh BUILD_FOLDER (configured by clang; its compile_commands.json is read)
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$1" && pwd)
cores=$(nproc)
failures=0
cd "$root" || exit 1

# check NAME FIX COMMAND...
check() {
    local name=$1 fix=$2
    shift 2
    echo "-- $name"
    "$@" && return
    echo "$name failed; to mend it: $fix"
    failures=$((failures + 1))
}

sources() { git ls-files --cached --others --exclude-standard "$@"; }

format() { sources '*.c' '*.h' | xargs -P "$cores" -n 40 clang-format --dry-run -Werror; }

run_cppcheck() {
    cppcheck --project="$build/compile_commands.json" --enable=warning,performance,portability --inline-suppr --quiet \
        --suppressions-list=tests/tidy/cppcheck_suppressions.txt --error-exitcode=1 -j "$cores"
}

run_clang_tidy() {
    sources 'config/*.c' 'engine/*.c' 'server/*.c' | grep -v '/arm/' |
        xargs -P "$cores" -n 8 clang-tidy --quiet -p "$build" 2>/dev/null
}

check "house rules" "edit what is named; a well-founded exception goes to tests/tidy/exceptions.txt" \
    python3 tests/tidy/tidy.py
check "includes" "move what two folders share below both" python3 tests/tidy/check_includes.py
check "log lines" "add a row to docs/operations.md: what the line says, and what to do" python3 tests/tidy/check_log_lines.py
check "format" "git ls-files '*.[ch]' | xargs clang-format -i" format
check "cppcheck" "edit, or add a reason to tests/tidy/cppcheck_suppressions.txt" run_cppcheck
check "clang-tidy" "clang-tidy --fix -p $build FILE" run_clang_tidy
((failures == 0))
