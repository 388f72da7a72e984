# The folder of this architecture joins the library of engine/kernel. Instruction sets are chosen at run time: only its
# files may be compiled beyond the baseline, with the flags of their rows in kernels.def.
set(kernel_folder ${PROJECT_SOURCE_DIR}/engine/kernel)
set(kernel_rooms scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND kernel_rooms x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(APPEND kernel_rooms arm)
endif()
list(TRANSFORM kernel_rooms REPLACE "(.+)" "${kernel_folder}/\\1/*.c" OUTPUT_VARIABLE kernel_globs)
file(GLOB kernel_files CONFIGURE_DEPENDS ${kernel_globs})
target_sources(prenorm_kernel PRIVATE ${kernel_files})

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${kernel_folder}/kernels.def)
file(STRINGS ${kernel_folder}/kernels.def kernel_rows REGEX "^KERNEL_FLAGS\\(")
foreach(row IN LISTS kernel_rows)
  if(NOT row MATCHES "^KERNEL_FLAGS\\(([a-z0-9]+), ([a-z0-9]+), \"([^\"]+)\"\\)$")
    message(FATAL_ERROR "kernels.def: cannot read '${row}'")
  endif()
  set(set ${CMAKE_MATCH_1})
  separate_arguments(own UNIX_COMMAND "${CMAKE_MATCH_3}")
  set(kernel_flags_${set} ${kernel_flags_${CMAKE_MATCH_2}} ${own})
  foreach(file IN LISTS kernel_files)
    if(file MATCHES "/(lowp_|peak_|attention_)?${set}\\.c$")
      set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS ${kernel_flags_${set}})
    endif()
  endforeach()
endforeach()

# The files that may take numbers for finite: without it the compiler makes no vectors of their minima and maxima.
set(finite_files ${PROJECT_SOURCE_DIR}/engine/pack/panels/int4_group.c ${PROJECT_SOURCE_DIR}/engine/pack/panels/feedback.c)
foreach(name panel int4 int8)
  list(APPEND finite_files ${PROJECT_SOURCE_DIR}/engine/calibrate/round_${name}.c)
endforeach()
set_source_files_properties(${finite_files} PROPERTIES
  COMPILE_OPTIONS "-ffinite-math-only;-fno-signed-zeros;-fno-trapping-math")

# The scalar kernels are plain loops: inlining around them gains nothing and takes most of a minute to compile.
foreach(name scalar lowp_scalar)
  set_property(SOURCE ${kernel_folder}/scalar/${name}.c APPEND PROPERTY COMPILE_DEFINITIONS KERNEL_OUTLINED)
endforeach()
# In functions that stay apart gcc does not see how many there are of what is set and read; of the other sets it does.
set_property(SOURCE ${kernel_folder}/scalar/scalar.c APPEND PROPERTY
  COMPILE_OPTIONS "$<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-array-bounds>")

# Under the address sanitizer their many small functions stay functions, and four checks are left out, which it makes itself
# or which unaligned loads do not need: inlined, or with these checks, a file takes minutes to compile. The thread
# sanitizer is told of each operation as a whole (template/announce.h).
if(PRENORM_SANITIZE STREQUAL "address")
  # So of the loops that each load of a model goes through, which take half of its time with them.
  set(loading_files ${PROJECT_SOURCE_DIR}/engine/checkpoint/dtype.c ${PROJECT_SOURCE_DIR}/engine/pack/pack_rows.c
    ${PROJECT_SOURCE_DIR}/engine/pack/panels/panels.c)
  foreach(name rotation folded_linear row_squares)
    list(APPEND loading_files ${PROJECT_SOURCE_DIR}/engine/fold/${name}.c)
  endforeach()
  set_property(SOURCE ${kernel_files} ${finite_files} ${loading_files} APPEND PROPERTY
    COMPILE_OPTIONS -fno-sanitize=null,alignment,object-size,pointer-overflow)
  # Without it gcc leaves wide registers uncleared at -O1, and on Intel's cores scalar code behind that takes 20 times as long:
  # all that uses them (WIDEST) has it.
  set(wide_files ${PROJECT_SOURCE_DIR}/engine/calibrate/refine_row.c ${PROJECT_SOURCE_DIR}/engine/tools/bench_bounds.c)
  set_property(SOURCE ${kernel_files} ${finite_files} ${loading_files} ${wide_files} APPEND PROPERTY
    COMPILE_OPTIONS $<$<C_COMPILER_ID:GNU>:-fexpensive-optimizations>)
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_DEFINITIONS KERNEL_OUTLINED)
  # Registers of a function are given out at once, not loop by loop: on that gcc 12 spends 31 of the 35 s of lowp_scalar.c.
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_OPTIONS $<$<C_COMPILER_ID:GNU>:-fira-region=one>)
elseif(PRENORM_SANITIZE STREQUAL "thread")
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=thread)
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_DEFINITIONS KERNEL_ANNOUNCED)
endif()
# What clang says of loops that it did not unroll is nothing to mend where little is optimised.
if(PRENORM_SANITIZE)
  set_property(SOURCE ${kernel_files} APPEND PROPERTY COMPILE_OPTIONS $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>)
endif()
