/* For plain loops outside of engine/kernel: compiled for several instruction sets where the loader can choose between
 * them. The same operations, none of them fused, so the same bits. */
#pragma once

#include <stdint.h> /* __GLIBC__ */

/* The thread sanitizer is not ready when the loader chooses. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define WIDEST_NARROW
#endif
#endif
#if defined __x86_64__ && defined __GLIBC__ && !defined __SANITIZE_THREAD__ && !defined WIDEST_NARROW
#define WIDEST __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDEST
#endif

/* A part of such a function. */
#define WIDEST_INLINE static inline __attribute__((always_inline))
