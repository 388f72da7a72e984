# The rooms of engine/kernel join its library. Instruction sets are chosen at run time: only files in the room of an
# architecture may be compiled beyond the baseline.
file(GLOB kernel_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/kernel/*/*.c)
target_sources(prenorm_kernel PRIVATE ${kernel_files})

function(kernel_flags file)
  set_property(SOURCE ${PROJECT_SOURCE_DIR}/engine/kernel/${file} APPEND PROPERTY COMPILE_OPTIONS ${ARGN})
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(avx2 -mavx2 -mfma -mf16c)
  # prfchw: lines that are written next are prefetched for writing.
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprfchw -mprefer-vector-width=512)
  kernel_flags(x86/avx2.c ${avx2})
  kernel_flags(x86/lowp_avx2.c ${avx2})
  kernel_flags(x86/lowp_avxvnni.c ${avx2} -mavxvnni)
  kernel_flags(x86/avx512.c ${avx512})
  kernel_flags(x86/lowp_avx512.c ${avx512})
  kernel_flags(x86/lowp_avx512vnni.c ${avx512} -mavx512vnni)
  kernel_flags(x86/lowp_avx512bf16.c ${avx512} -mavx512bf16)
  kernel_flags(x86/lowp_amx.c ${avx512} -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # gcc's scheduling ahead of the allocation of registers runs out of them.
  kernel_flags(arm/neon.c $<$<C_COMPILER_ID:GNU>:-fno-schedule-insns>)
  kernel_flags(arm/lowp_neon.c $<$<C_COMPILER_ID:GNU>:-fno-schedule-insns> -march=armv8.2-a+dotprod)
endif()

# The one file that may take numbers for finite: without it the compiler makes no vectors of its minima and maxima.
set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/pack/panels/int4_group.c PROPERTIES
  COMPILE_OPTIONS "-ffinite-math-only;-fno-signed-zeros;-fno-trapping-math")

# Their loops over registers are unrolled wholly: with these three checks, which the address sanitizer makes too or which
# unaligned loads do not need, a file takes minutes to compile.
if(PRENORM_SANITIZE STREQUAL "address")
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=null,alignment,object-size)
endif()
