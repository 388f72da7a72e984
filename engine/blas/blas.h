/* OpenBLAS, loaded only when it is asked for: by `--matmul openblas` and by the reference pass in double
 * precision. The program is not linked with it, for it starts threads
 * and maps memory as soon as it is loaded, and where an address-space limit leaves too little for that it
 * waits for ever: in its allocator, and again in its exit handler. */
#pragma once

#include <stddef.h>

#include <cblas.h>

#include "engine/base/error.h"

struct blas {
    __typeof__(cblas_sgemm) *sgemm;
    __typeof__(cblas_dgemm) *dgemm;
    __typeof__(openblas_set_num_threads) *set_threads;
};

/* For main, before any thread starts: names the kernels that the library is to run, by the instructions of this CPU. It
 * knows CPUs by their models, and on one that is newer than itself falls back to kernels of SSE3, some ten times slower. */
void blas_process_init(void);

/* The library's routines into *out, in static storage; it is loaded by the first call and stays. Sets the
 * number of threads of its GEMMs, for the whole process. Fails with STATUS_UNSUPPORTED where there is no
 * such library, and with STATUS_NO_MEMORY or STATUS_LIMIT where it could not start. Any thread, but not while
 * a GEMM runs. */
enum status blas_open(size_t threads, const struct blas **out, struct error *e);

/* Bytes of address space that the library may take with so many threads. */
size_t blas_address_space(size_t threads);
