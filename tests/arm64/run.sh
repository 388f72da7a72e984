#!/usr/bin/env bash
# Cross-compiles for AArch64 in build/arm64, and runs under qemu-user: the tests of the kernels, which compare NEON with
# the scalar table bit by bit, and of what packs for them, and prenormd itself with both. What it needs of AArch64's
# libraries is unpacked into a folder of its own; of the system, only the cross compiler and qemu are installed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$root/build/arm64
sysroot=$folder/sysroot
libraries=$sysroot/usr/lib/aarch64-linux-gnu
# Of packing and folding those whose loops are written for vectors.
tests='^test_(kernels_|pack_(panels|packed_model)$|fold_(rotation|folded_linear)$)'
emulator=(qemu-aarch64 -L "$sysroot")
# shellcheck source=deploy/packages/install.sh
source "$root/deploy/packages/install.sh"

# apt for another architecture, with state and cache of its own: the system's are left alone.
foreign_apt() {
    apt_failed=yes
    APT_CONFIG=$folder/apt.conf apt-get -q -y "$@" && apt_failed=
}

# The libraries that the other lists of packages name, and what they depend on.
make_sysroot() {
    local names package
    names=$(sort -u "$root"/deploy/packages/{build,test} | grep '^lib')
    [[ ! -f $sysroot/.names || $(<"$sysroot/.names") != "$names" ]] || return 0
    rm -rf "$sysroot" "$folder/apt"
    mkdir -p "$sysroot" "$folder"/apt/{state/lists,cache/archives}/partial
    : >"$folder/apt/status"
    cat >"$folder/apt.conf" <<CONF
Dir::State "$folder/apt/state";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt/cache";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
CONF
    foreign_apt update
    # shellcheck disable=SC2086 # one word a package
    foreign_apt install --download-only $names
    for package in "$folder"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
    # Which an installation would do by update-alternatives.
    ln -s openblas-pthread/libopenblas.so.0 "$libraries/libopenblas.so.0"
    echo "$names" >"$sysroot/.names"
}

build() {
    local targets emulation=("${emulator[@]}" -cpu max)
    export PKG_CONFIG_LIBDIR=$libraries/pkgconfig:$libraries/openblas-pthread/pkgconfig:$sysroot/usr/share/pkgconfig
    export PKG_CONFIG_SYSROOT_DIR=$sysroot
    [[ -f $folder/tree/build.ninja ]] || rm -rf "$folder/tree"
    cmake -G Ninja -S "$root" -B "$folder/tree" -DPRENORM_WHOLE="${PRENORM_WHOLE:-OFF}" -DPRENORM_WERROR=ON \
        -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
        -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_SYSROOT="$sysroot" \
        -DCMAKE_CROSSCOMPILING_EMULATOR="$(IFS=';' && echo "${emulation[*]}")"
    targets=$(ctest --test-dir "$folder/tree" -N -R "$tests" | sed -n 's/^ *Test *#[0-9]*: //p')
    [[ -n $targets ]] || fail "no tests of the kernels"
    # shellcheck disable=SC2086 # one word a target
    cmake --build "$folder/tree" --parallel "$(nproc)" --target prenormd $targets
}

# generate CPU OPTION...: some words of the bundled model.
generate() {
    "${emulator[@]}" -cpu "$1" "$folder/tree/prenormd" generate --model "$root/deploy/models/tales" --seed 7 \
        --max-tokens 24 --step-tokens 16 "${@:2}" "Once upon a time"
}

# The whole program: the same text from both tables.
compare_tables() {
    local weights scalar neon
    for weights in f32 bf16 int8 int4; do
        scalar=$(generate max --weights "$weights" --isa scalar)
        neon=$(generate max --weights "$weights" --isa neon)
        [[ -n $neon && $neon == "$scalar" ]] || fail "$weights: '$neon' by neon, '$scalar' by scalar"
        echo "$weights: the same text"
    done
}

# Without dot products there is no table for NEON, and the program runs all the same.
try_old_processor() {
    local refusal
    "${emulator[@]}" -cpu cortex-a53 "$folder/tree/tests/test_kernels_dispatch"
    refusal=$(generate cortex-a53 --isa neon 2>&1) && fail "a Cortex-A53 took neon"
    [[ $refusal == *"expected one of: auto, scalar"* ]] || fail "a Cortex-A53 refused neon with '$refusal'"
    [[ -n $(generate cortex-a53) ]] || fail "no text on a Cortex-A53"
}

# A machine that cannot have the packages (no network, a mirror without AArch64) is told so, by the status that means
# "not run" to ctest and automake too. What else fails is a failure.
without_packages() {
    local status=$?
    ((status != 0)) && [[ -n $apt_failed ]] || return 0
    echo "not run: the packages for AArch64 cannot be had here (status $status)"
    exit 77
}

apt_failed=
trap without_packages EXIT
install_packages arm64
make_sysroot
trap - EXIT
build
# The program beside the tests, the last of which would leave the other processors idle.
programs=$folder/programs.log
{
    compare_tables
    try_old_processor
} >"$programs" 2>&1 &
status=0
ctest --test-dir "$folder/tree" --parallel "$(nproc)" --output-on-failure --no-tests=error -R "$tests" || status=$?
wait $! || status=$?
cat "$programs"
exit "$status"
