#!/usr/bin/env bash
# Installs what is missing (Debian packages), builds in build/test-*, and runs every test, in rows beside each other: plain by
# gcc, with warnings as errors; all under ASan and UBSan with coverage against its floors; the kernels' for AArch64, and with
# PRENORM_WHOLE=yes for every set of x86; the checks of the sources (tests/tidy); and once plain is through, the threaded ones
# under TSan by clang, with warnings as errors; the installation and the files of deploy/; and clients from PyPI where that can
# be reached.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs=$root/build/logs
cores=$(nproc)
# Many tests wait most of their time: for a timeout, or for a client that stalls.
tests_at_once=$((cores + 2))
results=()
# The sanitizers cannot live with every layout of the address space that the kernel may draw, so without its
# randomisation where the system allows that.
without_random_layout=()
if setarch -R true 2>/dev/null; then without_random_layout=(setarch -R); fi
failures=0
programs_passed=0
programs_failed=0
# shellcheck source=deploy/packages/install.sh
source "$root/deploy/packages/install.sh"

# What talks to a daemon, which has threads; but for programs that start one dozens of times only to see it refuse something,
# or one command after another: each start is the same few seconds of loading, which test_http_loading and test_api_open go
# through as well. And of what may have threads of its own those that have started one in the plain run
# (tests/support/note_threads.c): where there is none nothing races.
may_have_threads='^test_(base_|forward_|sched_|api_|server_|http_)'
only_starts='^test_http_(bench|command_line|check|convert|model_name|option_mistakes|address_space|cut_files)$'
# A minute of the same few threads, while each allocation in turn fails, which the other sanitizers see as well.
too_long='^test_api_failing_allocation$'
threads_noted=$root/build/test-plain/threads_noted

# step NAME COMMAND...: runs it with its output in a log, which is shown where it fails. Status 77: it could not be run
# here, as its last line says.
step() {
    local name=$1 start=$SECONDS log status=0 left
    log=$logs/${name//[, ]/-}.log
    shift
    echo "== $name"
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if ((status == 0)); then
        # What a step leaves out for want of something it says by lines that begin so.
        left=$(grep -c '^NOT RUN ' "$log")
        results+=("passed  $name  ($((SECONDS - start)) s)$( ((left)) && echo ", but for $left that were NOT RUN, see $log")")
        count "$log" 1 0
    elif ((status == 77)); then
        results+=("NOT RUN $name: $(tail -n 1 "$log")")
    else
        results+=("FAILED  $name  ($((SECONDS - start)) s), see $log")
        failures=$((failures + 1))
        count "$log" 0 1
        tail -n 80 "$log"
    fi
}

# count LOG PASSED FAILED: adds the test programs that ctest ran, or what is given where it did not get to run any.
count() {
    local line
    line=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$1")
    if [[ -n $line ]]; then
        programs_failed=$((programs_failed + ${line% *}))
        programs_passed=$((programs_passed + ${line#* } - ${line% *}))
    else
        programs_passed=$((programs_passed + $2))
        programs_failed=$((programs_failed + $3))
    fi
}

# Ninja: with make, a fifth of the time of a build goes to a process for each of its two hundred targets. A folder that
# make or another compiler was configured for is begun anew.
configure() {
    local folder=$1 cache=$1/CMakeCache.txt
    shift
    if ! grep -qsx 'CMAKE_GENERATOR:INTERNAL=Ninja' "$cache" ||
        { [[ -n ${CC:-} ]] && ! grep -qs "^CMAKE_C_COMPILER:[A-Z]*=.*/${CC##*/}$" "$cache"; }; then rm -rf "$folder"; fi
    cmake -G Ninja -S "$root" -B "$folder" -DPRENORM_TESTS=ON -DPRENORM_WHOLE="${PRENORM_WHOLE:-OFF}" "$@"
}

run_tests() {
    local folder=$1
    shift
    "${without_random_layout[@]}" ctest --test-dir "$folder" --parallel "$tests_at_once" --output-on-failure --no-tests=error "$@"
}

plain() {
    local folder=$root/build/test-plain
    configure "$folder" -DCMAKE_BUILD_TYPE=Release -DPRENORM_WERROR=ON &&
        cmake --build "$folder" --parallel "$cores" || return
    rm -f "$threads_noted"
    TEST_THREADS_NOTED=$threads_noted run_tests "$folder"
}

# Of binutils, and twice as fast as the usual one, which has some 250 programs of five megabytes to link. The plain build, which is
# what is shipped, has the usual one.
linker=()
if command -v ld.gold >/dev/null; then linker=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=gold); fi

# Warnings are not errors here: what the sanitizers insert makes gcc see uninitialised variables.
# One build and one run for both: counting lines changes nothing of what is checked.
address_and_coverage() {
    local folder=$root/build/test-address
    configure "$folder" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g1" -DPRENORM_WERROR=OFF \
        -DPRENORM_SANITIZE=address -DPRENORM_COVERAGE=ON "${linker[@]}" &&
        cmake --build "$folder" --parallel "$cores" || return
    # What an earlier run has counted.
    find "$folder" -name '*.gcda' -delete
    ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 run_tests "$folder" &&
        bash "$root/tests/tidy/coverage.sh" "$folder"
}

# Sets threaded_tests, which ctest takes. nightly.sh leaves out none.
choose_threaded() {
    local noted
    threaded_tests=(-R "$may_have_threads")
    [[ -z ${PRENORM_WHOLE:-} ]] || return 0
    noted=$(sort -u "$threads_noted" | grep -E "$may_have_threads" | paste -sd '|')
    # It joins all that it starts.
    if [[ "|$noted|" != *'|test_base_workers|'* ]]; then
        echo "what starts threads is not known: $threads_noted has '$noted'"
        return 1
    fi
    threaded_tests=(-R "^(test_http_.*|$noted)$" -E "$only_starts|$too_long")
}

# By clang, whose warnings are errors: every file is compiled for them, and of the programs only those linked that "threads" runs.
# What the thread sanitizer needs costs hardly more than the compiling alone, and its runs less than those of gcc's.
clang_build() {
    local folder=$root/build/test-thread programs objects linker=() threaded_tests
    choose_threaded || return
    # gold does not read what clang writes of lines.
    if command -v ld.lld >/dev/null; then linker=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld); fi
    CC=clang configure "$folder" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g1" -DPRENORM_WERROR=ON \
        -DPRENORM_SANITIZE=thread "${linker[@]}" || return
    programs=$(ctest --test-dir "$folder" -N "${threaded_tests[@]}" | sed -n 's/^ *Test *#[0-9]*: //p')
    objects=$(ninja -C "$folder" -t targets all | sed -n 's/^\(.*\.c\.o\): C_COMPILER.*/\1/p')
    [[ -n $programs && -n $objects ]] || return
    # shellcheck disable=SC2086 # one word a target
    ninja -C "$folder" -j "$cores" $programs $objects
}

thread() {
    local threaded_tests
    choose_threaded || return
    TSAN_OPTIONS=halt_on_error=1 run_tests "$root/build/test-thread" "${threaded_tests[@]}"
}

# Only configured: what the checks read is how each file is compiled, by clang and without what a sanitizer changes.
sources() {
    local folder=$root/build/test-clang
    CC=clang configure "$folder" -DCMAKE_BUILD_TYPE=Debug && bash "$root/tests/tidy/check.sh" "$folder"
}

# Rows that others wait for, or that wait for most of their time, go before those that compute all the time: these have what is
# left, so that no processor is idle while a test waits.
in_background() { renice -n $(($(nice) + 5)) -p "$BASHPID" >/dev/null; }

# after NAME: waits until that row has ended, also by a signal.
after() {
    until [[ -e $logs/lane-$1 ]] || ! kill -0 "${rows[$1]}" 2>/dev/null; do sleep 1; done
}

shipped() { step "plain" plain; }

sanitized() {
    in_background
    step "address, undefined behaviour and coverage" address_and_coverage
}

arm64() {
    in_background
    step "arm64" bash "$root/tests/arm64/run.sh"
    step "sources" sources
}

# What starts threads is known by the plain run.
threaded() {
    after shipped
    step "clang" clang_build
    step "threads" thread
}

# What is installed and deployed, one step after the other: each waits most of its time.
installed() {
    after shipped
    step "installation" bash "$root/tests/install/test_install.sh" "$root/build/test-plain"
    step "package" bash "$root/tests/install/test_package.sh" "$root/build/test-plain"
    step "systemd" bash "$root/tests/deploy/test_systemd.sh" "$root/build/test-plain"
    step "deployment files" bash "$root/tests/deploy/test_deploy.sh" "$root/build/test-plain/prenormd"
}

# What asks a daemon of the plain build.
asked() {
    local program=$root/build/test-plain/prenormd
    after shipped
    step "kubernetes" python3 "$root/tests/deploy/test_kubernetes.py" "$program"
    step "haproxy" python3 "$root/tests/deploy/test_haproxy.py" "$program"
    step "dashboard" python3 "$root/tests/deploy/test_dashboard.py" "$program"
    # Only where there is a browser: it takes longer to install than all of this to run. nightly.sh has one.
    step "page" python3 "$root/tests/page/test_page.py" "$program"
    # Before those that need packages from PyPI; what it cannot fetch they say they miss.
    step "packages of PyPI" python3 "$root/tests/clients/pypi.py"
    step "examples" python3 "$root/tests/clients/examples.py" "$program"
    step "description of the API" python3 "$root/tests/clients/openapi_document.py" "$program"
    step "clients" python3 "$root/tests/clients/openai_conformance.py" "$program"
    step "other clients" python3 "$root/tests/clients/other_clients.py" "$program"
    step "lm_eval" python3 "$root/tests/clients/lm_eval_check.py" "$program"
}

# lane NAME: the steps of that function, in a process of its own, which leaves what it counted in a file.
lane() {
    results=() failures=0 programs_passed=0 programs_failed=0
    "$1"
    declare -p results failures programs_passed programs_failed >"$logs/lane-$1"
}

# take_lane NAME: adds what it has counted; one that left nothing has failed.
take_lane() {
    local earlier=("${results[@]}") counted=("$failures" "$programs_passed" "$programs_failed")
    results=("FAILED  $1, see $logs/lane-$1.out") failures=1 programs_passed=0 programs_failed=0
    cat "$logs/lane-$1.out"
    # shellcheck source=/dev/null # just written
    if [[ -s $logs/lane-$1 ]]; then source <(sed 's/^declare -[-a]* //' "$logs/lane-$1"); fi
    results=("${earlier[@]}" "${results[@]}")
    failures=$((failures + counted[0]))
    programs_passed=$((programs_passed + counted[1]))
    programs_failed=$((programs_failed + counted[2]))
}

# beside NAME...: such functions at once; and what each says, in this order, as soon as it has ended.
beside() {
    local name
    declare -A rows=()
    echo "== at once: $*"
    rm -f "$logs"/lane-*
    # A process in the background does not hear an interrupt.
    trap 'trap - INT && kill 0' INT
    for name in "$@"; do
        lane "$name" >"$logs/lane-$name.out" 2>&1 &
        rows[$name]=$!
    done
    for name in "$@"; do
        wait "${rows[$name]}"
        take_lane "$name"
    done
    trap - INT
}

# Minutes, most of them of the compiler: nightly.sh has it.
emulated() {
    in_background
    [[ -z ${PRENORM_WHOLE:-} ]] || step "emulated" bash "$root/tests/emulated/run.sh"
}

main() {
    local line
    install_packages build test gates
    # Before anything copies the system; where they cannot be had, the step says so.
    (install_packages arm64) || true
    mkdir -p "$logs" || fail "cannot make $logs"
    beside shipped threaded installed asked sanitized arm64 emulated
    echo
    echo "== summary ($SECONDS s)"
    for line in "${results[@]}"; do echo "$line"; done
    echo "$programs_passed passed, $programs_failed failed"
    ((failures == 0))
}

main
