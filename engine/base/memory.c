#include "engine/base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "engine/base/cgroup.h"
#include "engine/base/thread.h"

#define MEMORY_ALIGN     64
#define MEMORY_HUGE_PAGE ((size_t)2 << 20)
/* From this size on a block is worth whole huge pages: weights are streamed at memory speed, and with small
 * pages the walks of the page table cost a good part of it. */
#define MEMORY_HUGE_FROM   (4 * MEMORY_HUGE_PAGE)
#define MEMORY_STACK_BYTES ((size_t)8 << 20)
/* Heaps of glibc: beside the main one, one for the pool that reads requests and one for the rest. */
#define MEMORY_HEAPS_MAX 2
/* Blocks from this size on are mapped by themselves, and given back when they are freed. */
#define MEMORY_MAP_FROM (256 << 10)

void *memory_aligned_unset(size_t count, size_t size, const char *what, struct error *e) {
    size_t bytes;
    if (!memory_multiply(count, size, &bytes) || bytes > PTRDIFF_MAX - MEMORY_HUGE_PAGE) {
        error_set(e, STATUS_NO_MEMORY, what, "%zu elements of %zu bytes are more than a size can express",
                  count, size);
        return NULL;
    }
    bool huge = bytes >= MEMORY_HUGE_FROM;
    void *block = NULL;
    if (posix_memalign(&block, huge ? MEMORY_HUGE_PAGE : MEMORY_ALIGN, bytes ? bytes : 1) != 0) {
        error_set(e, STATUS_NO_MEMORY, what, "cannot allocate %zu bytes", bytes);
        return NULL;
    }
    /* A wish: where it is refused small pages serve as well. */
    if (huge) madvise(block, bytes, MADV_HUGEPAGE);
    return block;
}

void *memory_aligned(size_t count, size_t size, const char *what, struct error *e) {
    void *block = memory_aligned_unset(count, size, what, e);
    if (block) memset(block, 0, count * size);
    return block;
}

/* The number after "key:" in a /proc file whose lines say "key:   number kB"; 0 when it is not there. */
static size_t read_kilobytes(const char *path, const char *key) {
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    char line[256];
    size_t length = strlen(key);
    unsigned long long kilobytes = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) != 0 || line[length] != ':') continue;
        kilobytes = strtoull(line + length + 1, NULL, 10);
        break;
    }
    fclose(file);
    return (size_t)kilobytes * 1024;
}

size_t memory_anonymous_bytes(void) {
    return read_kilobytes("/proc/self/status", "RssAnon");
}

/* What a limit of the process leaves, if that is less than *left. */
static void take_limit(int resource, const char *used_key, size_t *left) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    size_t used = read_kilobytes("/proc/self/status", used_key);
    size_t here = limit.rlim_cur > used ? (size_t)limit.rlim_cur - used : 0;
    if (here < *left) *left = here;
}

size_t memory_available_bytes(void) {
    size_t machine = read_kilobytes("/proc/meminfo", "MemAvailable"), group;
    size_t left = machine > 0 ? machine : SIZE_MAX;
    if (cgroup_memory_left("", &group) && group < left) left = group;
    take_limit(RLIMIT_AS, "VmSize", &left);
    take_limit(RLIMIT_DATA, "VmData", &left);
    if (left == SIZE_MAX) return 0;
    return left > 0 ? left : 1;
}

static bool is_limited(int resource) {
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

size_t memory_thread_bytes(size_t used) {
    struct rlimit stack;
    if (!is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA)) return used;
    /* As thread_start has it. */
    if (getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur == RLIM_INFINITY) return MEMORY_STACK_BYTES;
    return stack.rlim_cur > THREAD_STACK_BYTES ? (size_t)stack.rlim_cur : THREAD_STACK_BYTES;
}

void memory_process_init(void) {
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, MEMORY_HEAPS_MAX);
    mallopt(M_MMAP_THRESHOLD, MEMORY_MAP_FROM);
    mallopt(M_TRIM_THRESHOLD, MEMORY_MAP_FROM);
#endif
}

void memory_give_back(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
