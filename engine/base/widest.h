/* For plain loops outside of engine/kernel: compiled for several instruction sets where the loader can choose between
 * them. The same operations, none of them fused, so the same bits. */
#pragma once

#include <stdint.h> /* __GLIBC__ */

/* gcov does not count the lines of such loops: threads that run one wait for each other's counters, some twenty times as
 * long as it takes. clang does not take this beside target_clones. */
#ifdef __clang__
#define UNCOUNTED
#else
#define UNCOUNTED __attribute__((no_profile_instrument_function))
#endif

/* The thread sanitizer is not ready when the loader chooses. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define WIDEST_NARROW
#endif
#endif
#if defined __x86_64__ && defined __GLIBC__ && !defined __SANITIZE_THREAD__ && !defined WIDEST_NARROW
#define WIDEST UNCOUNTED __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDEST UNCOUNTED
#endif

/* A part of such a function. */
#define WIDEST_INLINE UNCOUNTED static inline __attribute__((always_inline))
