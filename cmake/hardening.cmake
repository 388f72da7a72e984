# What a mistake in memory can lead to is bounded in every build, as Debian's dpkg-buildflags do it; checked from the
# built files by tests/programs. It costs a few instructions a call: the inner loops of the kernels stay as they are.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

add_library(prenorm_hardening INTERFACE)

# Each is asked for: not every compiler has all.
function(prenorm_harden flag)
  string(MAKE_C_IDENTIFIER "PRENORM_HAS${flag}" has)
  check_c_compiler_flag(-Werror\ ${flag} ${has})
  if(${has})
    target_compile_options(prenorm_hardening INTERFACE ${flag})
  endif()
endfunction()

# Not beside the sanitizers, which look after the stack themselves: with both, gcc 12 gives frames on the address sanitizer's
# own stack less alignment than vectors of 64 bytes need.
if(NOT PRENORM_SANITIZE)
  prenorm_harden(-fstack-protector-strong)
  prenorm_harden(-fstack-clash-protection)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  prenorm_harden(-fcf-protection)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  prenorm_harden(-mbranch-protection=standard)
endif()

# Needs optimisation, and the sanitizers check more than it does. Level 3 where the library has it, else 2.
if(NOT PRENORM_SANITIZE AND NOT PRENORM_FUZZ)
  set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
  check_c_source_compiles("
    #include <stdlib.h>
    #if !defined __USE_FORTIFY_LEVEL || __USE_FORTIFY_LEVEL < 3
    #error not known
    #endif
    int main(void) { return 0; }" PRENORM_HAS_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  set(level $<IF:$<BOOL:${PRENORM_HAS_FORTIFY_3}>,3,2>)
  target_compile_options(prenorm_hardening INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=${level}>)
endif()

# A program whose place is drawn anew at each start, whose tables of functions are read-only once it runs, and whose
# stack is no code.
target_compile_options(prenorm_hardening INTERFACE -fPIE)
target_link_options(prenorm_hardening INTERFACE -pie LINKER:-z,relro,-z,now,-z,noexecstack)

# Libraries come from where the system looks for them, and from nowhere else: a path of our own in the programs is only
# what CMAKE_INSTALL_RPATH says.
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
