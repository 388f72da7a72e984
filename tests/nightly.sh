#!/usr/bin/env bash
# What takes hours: long fuzzing of every target, the static analyzer, soak, load and flood over HTTP, all families with other
# checkpoints, speed beside the bounds and the peers. Usage: nightly.sh [SECONDS_A_FUZZ_TARGET]
# PRENORM_TRANSFORMERS: a python with torch, transformers and safetensors, which makes the other checkpoints; without it that
# part is left out.
# PRENORM_PEERS: arguments for tests/bench/peers/run.py, which is left out without them.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=${1:-600}
logs=$root/build/nightly
failures=0
# shellcheck source=deploy/packages/install.sh
source "$root/deploy/packages/install.sh"

# part NAME COMMAND... Status 77: it could not be run here, as its last line says.
part() {
    local name=$1 start=$SECONDS status=0
    shift
    echo "== $name"
    "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
    if ((status == 0)); then
        echo "   passed ($((SECONDS - start)) s)"
    elif ((status == 77)); then
        echo "   NOT RUN: $(tail -n 1 "$logs/$name.log")"
    else
        echo "   FAILED ($((SECONDS - start)) s), see $logs/$name.log"
        failures=$((failures + 1))
    fi
}

build() {
    cmake --preset "$1" -S "$root" && cmake --build "$root/build/$1" --parallel "$(nproc)"
}

# fuzz TARGET: what it finds is kept in build/nightly/TARGET, what fails beside it.
fuzz() {
    local target=$1 seeds=$root/tests/fuzz/corpus/$1 folders
    mkdir -p "$logs/$target"
    folders=("$logs/$target")
    [[ ! -d $seeds ]] || folders+=("$seeds")
    "$root/build/fuzz/tests/fuzz/$target" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 \
        -artifact_prefix="$logs/$target-" "${folders[@]}"
}

# families PYTHON: golden cases with weights that nobody has seen yet; today's day is the seed.
families() {
    local cases=$logs/families
    rm -rf "$cases"
    mkdir -p "$cases"
    PRENORM_CASE_SEED=$(date +%s | awk '{print int($1 / 86400) * 100}') \
        "$1" "$root/tests/golden/make_family_case.py" "$cases" &&
        PRENORM_TEST_MODELS=$cases "$root/build/release/tests/test_golden_forward"
}

analyze() {
    cd "$root" || return
    git ls-files 'config/*.c' 'engine/*.c' 'server/*.c' | grep -v '/arm/' |
        xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/clang --checks='-*,clang-analyzer-*' 2>/dev/null
}

main() {
    local source
    install_packages build test gates browser load
    mkdir -p "$logs"
    part packages python3 "$root/tests/clients/pypi.py" --all
    part tests env PRENORM_WHOLE=yes "$root/tests/run.sh"
    part build-fuzz build fuzz
    for source in "$root"/tests/fuzz/fuzz_*.c; do part "$(basename "$source" .c)" fuzz "$(basename "$source" .c)"; done
    part build-clang build clang
    part analyzer analyze
    part build-release build release
    part soak python3 "$root/tests/bench/soak.py" "$root/build/release/prenormd" "$root/deploy/models/tales"
    part load python3 "$root/tests/bench/load/run" --program "$root/build/release/prenormd"
    part flood python3 "$root/tests/bench/flood.py" "$root/build/release/prenormd" "$root/deploy/models/tales"
    part manifests python3 "$root/tests/deploy/test_kubernetes.py" "$root/build/release/prenormd" --tools
    part haproxy python3 "$root/tests/bench/haproxy.py" "$root/build/release/prenormd" "$root/deploy/models/tales"
    [[ -z ${PRENORM_TRANSFORMERS:-} ]] || part families families "$PRENORM_TRANSFORMERS"
    part bench "$root/build/release/prenormd" bench --shape gpt2-124m
    # shellcheck disable=SC2086 # several words
    [[ -z ${PRENORM_PEERS:-} ]] || part peers python3 "$root/tests/bench/peers/run.py" $PRENORM_PEERS
    echo "$failures failed"
    ((failures == 0))
}

main
