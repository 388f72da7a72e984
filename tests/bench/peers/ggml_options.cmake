# Read after ggml's project(): CMAKE_PROJECT_ggml_INCLUDE.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include ${CMAKE_CURRENT_LIST_DIR}/whole_tile_config.h>")
