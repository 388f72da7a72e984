# Instruction sets are chosen at run time: only these files may be compiled beyond the baseline.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  file(GLOB avx2_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/kernel/*_avx2.c)
  file(GLOB avx512_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/kernel/*_avx512.c)
  # prfchw: lines that are written next are asked for as such.
  set(avx512_flags "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprfchw;-mprefer-vector-width=512")
  set_source_files_properties(${avx2_files} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/narrow_avxvnni.c PROPERTIES
    COMPILE_OPTIONS "-mavx2;-mfma;-mf16c;-mavxvnni")
  set_source_files_properties(${avx512_files} PROPERTIES
    COMPILE_OPTIONS "${avx512_flags}")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/narrow_avx512vnni.c PROPERTIES
    COMPILE_OPTIONS "${avx512_flags};-mavx512vnni")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/narrow_avx512bf16.c PROPERTIES
    COMPILE_OPTIONS "${avx512_flags};-mavx512bf16")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/narrow_amx.c PROPERTIES
    COMPILE_OPTIONS "${avx512_flags};-mavx512bf16;-mamx-tile;-mamx-int8;-mamx-bf16")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # gcc's scheduling ahead of the allocation of registers runs out of them.
  set(neon_flags "$<$<C_COMPILER_ID:GNU>:-fno-schedule-insns>")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/kernel_neon.c PROPERTIES
    COMPILE_OPTIONS "${neon_flags}")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/narrow_neon.c PROPERTIES
    COMPILE_OPTIONS "${neon_flags};-march=armv8.2-a+dotprod")
endif()

# The one file that may take numbers for finite: without it the compiler makes no vectors of its minima and maxima.
set_source_files_properties(${PROJECT_SOURCE_DIR}/engine/kernel/pack_int4.c PROPERTIES
  COMPILE_OPTIONS "-ffinite-math-only;-fno-signed-zeros;-fno-trapping-math")

# Their loops over registers are unrolled wholly: with these three checks, which the address sanitizer makes too or which
# unaligned loads do not need, a file takes minutes to compile.
if(PRENORM_SANITIZE STREQUAL "address")
  file(GLOB kernel_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/kernel/*.c)
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=null,alignment,object-size)
endif()
