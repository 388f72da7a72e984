#include "tests/support/failing_malloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What the linker's --wrap makes of a call of f: __wrap_f; and how the true one is called then: __real_f. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__real_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);

static _Atomic size_t left; /* allocations until the one that fails, that one included; 0: none will */
static size_t armed, taken;
static _Atomic bool failed;

static bool fails(void) {
    size_t now = atomic_load(&left);
    do {
        if (now == 0) return false;
    } while (!atomic_compare_exchange_weak(&left, &now, now - 1));
    if (now > 1) return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

void failing_malloc_arm(size_t n) {
    atomic_store(&failed, false);
    armed = n;
    atomic_store(&left, n);
}

bool failing_malloc_disarm(void) {
    taken = armed - atomic_exchange(&left, 0);
    return atomic_load(&failed);
}

size_t failing_malloc_count(void) {
    return taken;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size) {
    return fails() ? NULL : __real_reallocarray(old, count, size);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size) {
    return fails() ? ENOMEM : __real_posix_memalign(out, alignment, size);
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t length) {
    return fails() ? NULL : __real_strndup(text, length);
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    return fails() ? MAP_FAILED : __real_mmap(address, length, protection, flags, file, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context) {
    return fails() ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}
