#include "engine/base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/cgroup.h"

#define MEMORY_ALIGN     64
#define MEMORY_HUGE_PAGE ((size_t)2 << 20)
/* From this size on a block is worth whole huge pages: weights are streamed at memory speed, and with small
 * pages the walks of the page table cost a good part of it. */
#define MEMORY_HUGE_FROM (4 * MEMORY_HUGE_PAGE)

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

size_t memory_available_bytes(void) {
    size_t machine = read_kilobytes("/proc/meminfo", "MemAvailable"), group;
    if (cgroup_memory_left("", &group) && group < machine) return group;
    return machine;
}
