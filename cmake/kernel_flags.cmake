# Instruction sets are chosen at run time: only these files may be compiled beyond the baseline.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  file(GLOB avx2_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/kernel/*_avx2.c)
  file(GLOB avx512_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/kernel/*_avx512.c)
  set_source_files_properties(${avx2_files} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
  set_source_files_properties(${avx512_files} PROPERTIES
    COMPILE_OPTIONS "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprefer-vector-width=512")
endif()
