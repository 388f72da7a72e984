#!/usr/bin/env bash
# Runs the tests of the kernels for every set of x86/ on any processor with AVX2: those of AVX-512, AVX-VNNI and AMX are
# built for AVX2, by avx512.h. In build/emulated lies a copy of the sources, in which their intrinsics and assembly are
# calls of its functions; all else is compiled as it is. What avx512.h does not have yet fails to compile.
# shellcheck disable=SC2016 # what stands in quotes is for perl
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$root/build/emulated
copy=$folder/source
tests='^test_kernels_'
# Emulation takes more of the stack than the instructions do.
left_out='^test_kernels_stack$'

# edit FILE SCRIPT: puts a file into the copy as perl changes it. What stays the same is not built again.
edit() {
    local to=$copy/$1
    perl -0pe "$2" "$root/$1" >"$to.new"
    if [[ ! -L $to ]] && cmp -s "$to.new" "$to"; then rm "$to.new"; else mv "$to.new" "$to"; fi
}

intrinsics='
s/(#include <immintrin\.h>\n)/$1#include "tests\/emulated\/avx512.h"\n/;
s/\b(?=_mm512_|_mm(256)?_maskz_|_tile_)/emulated/g;
s/__asm__( volatile)?\("ldtilecfg %0" : : "m"\((.*?)\)\);/emulated_ldtilecfg(&($2));/g;
s/__asm__\("vpmaddubsw [^"]*vpaddw [^"]*"\s*: "\+v"\((.*?)\), "=&v"\((\w+)\)\s*: "v"\((.*?)\), "v"\((.*?)\)\);/$2 = emulated_mm512_maddubs_epi16($3, $4), $1 = emulated_mm512_add_epi16($1, $2);/g;
s/__asm__\("(%\{vex%\} )?(v\w+) %2, %1, %0" : "\+[vx]"\((.*?)\) : "[vx]"\((.*?)\), "[vx]"\((.*?)\)\);/emulated_$2(&($3), $4, $5);/g;
'
# What measures peaks need not compute anything.
no_peaks='s/__m(256|512)i pairs;//g; s/__asm__ volatile\([^;]*;/(void)sum;/g;'
# Each set is compiled for AVX2, and each is there.
flags='s/^(KERNEL_FLAGS\(avx512, )none, "[^"]*"/$1avx2, "-Wno-psabi"/gm; s/"(-mavx(?!2)|-mamx)[^"]*"/"-Wno-psabi"/g;'
features='
s/(__x86_64__.*?unsigned cpu_features\(void\) \{).*?\n\}/$1
    unsigned found = 0;
    for (size_t i = 0; i < sizeof rows \/ sizeof *rows; i++) found |= rows[i].feature;
    return found;
}/s;
'

make_copy() {
    local file
    mkdir -p "$copy"
    (cd "$root" && cp -rsn "$root"/{CMakeLists.txt,cmake,config,deploy,engine,server,tests} "$copy")
    find "$copy" -xtype l -delete
    for file in "$copy"/engine/kernel/x86/*; do
        file=engine/kernel/x86/${file##*/}
        case $file in
        */peak_avx2.c) ;;
        */peak_*) edit "$file" "$intrinsics$no_peaks" ;;
        *) edit "$file" "$intrinsics" ;;
        esac
    done
    edit engine/kernel/kernels.def "$flags"
    edit engine/kernel/cpu.c "$features"
}

build() {
    local targets
    cmake -G Ninja -S "$copy" -B "$folder/tree" -DCMAKE_BUILD_TYPE=Release -DPRENORM_TESTS=ON \
        -DCMAKE_C_FLAGS="-Wno-psabi -Wno-unused-function"
    targets=$(ctest --test-dir "$folder/tree" -N -R "$tests" -E "$left_out" | sed -n 's/^ *Test *#[0-9]*: //p')
    # shellcheck disable=SC2086 # one word a target
    cmake --build "$folder/tree" --parallel "$(nproc)" --target $targets
}

if [[ $(uname -m) != x86_64 ]] || ! grep -qwm 1 avx2 /proc/cpuinfo; then
    echo "not run: this takes a processor with AVX2"
    exit 77
fi
make_copy
build
ctest --test-dir "$folder/tree" --parallel "$(nproc)" --output-on-failure --no-tests=error -R "$tests" -E "$left_out"
