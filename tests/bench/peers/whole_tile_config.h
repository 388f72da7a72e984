/* For the build of llama.cpp. GCC 12's _tile_loadconfig tells the compiler that it reads 8 of the 64 bytes,
 * so the others are optimised away and llama.cpp's AMX products end in a segmentation fault, a known defect
 * of theirs (ggml-org/llama.cpp, pull request 26954). With this they run, and are measured as they are meant. */
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

static inline void load_whole_tile_config(const void *config) {
    __asm__ volatile("ldtilecfg %0" : : "m"(*(const char(*)[64])config));
}
#define _tile_loadconfig load_whole_tile_config
#endif
