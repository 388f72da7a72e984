#include "engine/blas/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/thread.h"

#define BLAS_LIBRARY "libopenblas.so.0"

/* OpenBLAS 0.3.21 on x86-64 with 1, 2 and 8 threads takes 42 MiB for itself and 128 MiB for each thread
 * beside its stack; other builds take less. */
#define LIBRARY_BYTES ((size_t)64 << 20)
#define THREAD_BYTES  ((size_t)136 << 20)
/* Where the limit on stacks is "unlimited", or cannot be read. */
#define STACK_BYTES ((size_t)8 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all below */
static struct blas routines;
static bool loaded;
static size_t threads_started; /* the library never ends one */

static size_t stack_bytes(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return STACK_BYTES;
    return limit.rlim_cur;
}

size_t blas_address_space(size_t threads) {
    return LIBRARY_BYTES + threads * (THREAD_BYTES + stack_bytes());
}

/* The library starts a thread for each processor when it is loaded. */
static size_t threads_at_start(void) {
    long processors = sysconf(_SC_NPROCESSORS_CONF);
    return processors > 0 ? (size_t)processors : 1;
}

/* Whether it can start so many more threads, tried out, since it does not report what it fails at. Mapping
 * without touching costs no memory, and obeys every limit there is. */
static enum status check_room(size_t threads, struct error *e) {
    size_t bytes = blas_address_space(threads);
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return error_set(e, STATUS_NO_MEMORY, "OpenBLAS",
                         "needs %zu MiB of address space for %zu threads, which a limit of this process "
                         "(ulimit -v, LimitAS=) does not leave",
                         bytes >> 20, threads);
    munmap(room, bytes);
    int problem = thread_try(threads);
    if (!problem) return STATUS_OK;
    return error_set(e, STATUS_LIMIT, "OpenBLAS", "its %zu threads cannot be started: %s", threads,
                     strerror(problem));
}

void blas_process_init(void) {
#if defined(__x86_64__)
    const char *core = NULL;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) core = "Haswell";
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        core = "SkylakeX";
    if (core) setenv("OPENBLAS_CORETYPE", core, 0); /* a choice of the user's stays */
#endif
}

static bool find(void *library, const char *name, void *routine) {
    void *symbol = dlsym(library, name);
    memcpy(routine, &symbol, sizeof symbol);
    return symbol != NULL;
}

static enum status load(struct error *e) {
    void *library = dlopen(BLAS_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) return error_set(e, STATUS_UNSUPPORTED, "OpenBLAS", "cannot be loaded: %s", dlerror());
    if (find(library, "cblas_sgemm", &routines.sgemm) && find(library, "cblas_dgemm", &routines.dgemm) &&
        find(library, "openblas_set_num_threads", &routines.set_threads))
        return STATUS_OK;
    return error_set(e, STATUS_UNSUPPORTED, "OpenBLAS", "%s lacks a routine: %s", BLAS_LIBRARY, dlerror());
}

/* It allocates what its threads need when they first work: now, while the room is known to be there. */
static enum status warm_up(struct error *e) {
    enum { N = 256 }; /* large enough to be spread over threads */
    double *a = calloc(2 * N * N, sizeof *a);
    if (!a) return error_set(e, STATUS_NO_MEMORY, "OpenBLAS", "cannot allocate a first matrix");
    routines.dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1, a, N, a, N, 0, a + N * N, N);
    free(a);
    return STATUS_OK;
}

static enum status open_locked(size_t threads, struct error *e) {
    size_t first = threads_at_start(), wanted = threads > first ? threads : first;
    enum status status = STATUS_OK;
    if (wanted > threads_started) status = check_room(wanted - threads_started, e);
    if (status == STATUS_OK && !loaded) status = load(e);
    if (status != STATUS_OK) return status;
    loaded = true;
    routines.set_threads((int)wanted);
    if (wanted > threads_started) status = warm_up(e);
    threads_started = wanted > threads_started ? wanted : threads_started;
    routines.set_threads((int)threads);
    return status;
}

enum status blas_open(size_t threads, const struct blas **out, struct error *e) {
    pthread_mutex_lock(&lock);
    enum status status = open_locked(threads, e);
    pthread_mutex_unlock(&lock);
    *out = status == STATUS_OK ? &routines : NULL;
    return status;
}
