/* The pool's memory and its stack of free pages. It does not know what a page holds or whose it is. */
#include "engine/kv/kv_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/memory.h"
#include "engine/kv/kv_prefix.h"

/* Pages of SPREAD_FROM bytes and more are an odd multiple of SPREAD_BYTES apart, so that they use different
 * cache sets. */
#define SPREAD_FROM  ((size_t)64 << 10)
#define SPREAD_BYTES ((size_t)4 << 10)

static size_t aligned(size_t bytes) {
    return (bytes + KERNEL_ALIGN - 1) / KERNEL_ALIGN * KERNEL_ALIGN;
}

/* Bytes of the keys or of the values of one head. */
static size_t elements_bytes(const struct kv_layout *l) {
    return aligned(l->page_tokens * kv_stored_dim(l->type, l->head_dim) * kv_type_bytes(l->type));
}

static size_t scales_bytes(const struct kv_layout *l) {
    return l->type == KV_TYPE_INT8 ? aligned(l->page_tokens * sizeof(float)) : 0;
}

static size_t head_bytes(const struct kv_layout *l) {
    return 2 * (elements_bytes(l) + scales_bytes(l));
}

enum status kv_page_bytes(const struct kv_layout *l, size_t *bytes, struct error *e) {
    if (l->layers == 0 || l->kv_heads == 0 || l->head_dim == 0 || l->page_tokens == 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "kv cache",
                         "%zu layers, %zu heads of %zu, %zu positions a page: none of them may be 0",
                         l->layers, l->kv_heads, l->head_dim, l->page_tokens);
    enum status status = kv_page_tokens_check(l->page_tokens, e);
    if (status != STATUS_OK) return status;
    /* What four times as many floats need can be addressed, and so can padding and scales beside them. */
    size_t heads, elements, most;
    if (!memory_multiply(l->layers, l->kv_heads, &heads) ||
        !memory_multiply(l->head_dim, l->page_tokens, &elements) ||
        !memory_multiply(heads, elements, &most) || !memory_multiply(most, 8 * sizeof(float), &most) ||
        most > PTRDIFF_MAX)
        return error_set(e, STATUS_INVALID_ARGUMENT, "kv cache",
                         "a page of %zu positions is more than can be addressed", l->page_tokens);
    *bytes = heads * head_bytes(l);
    /* The same head of page after page is read in a row: pages a multiple of a large power of two apart would
     * meet in few sets of the caches. */
    if (*bytes >= SPREAD_FROM && *bytes % (2 * SPREAD_BYTES) == 0) *bytes += SPREAD_BYTES;
    return STATUS_OK;
}

struct kv_head kv_head_of(const struct kv_layout *l, size_t layer, size_t head) {
    size_t keys = (layer * l->kv_heads + head) * head_bytes(l), values = keys + elements_bytes(l);
    return (struct kv_head){.type = l->type,
                            .keys = keys,
                            .values = values,
                            .key_scales = values + elements_bytes(l),
                            .value_scales = values + elements_bytes(l) + scales_bytes(l)};
}

static enum status pool_bytes(const struct kv_layout *l, size_t pages, size_t *page_bytes, size_t *bytes,
                              struct error *e) {
    enum status status = kv_page_bytes(l, page_bytes, e);
    if (status != STATUS_OK) return status;
    if (pages == 0 || pages > UINT32_MAX || !memory_multiply(*page_bytes, pages, bytes) ||
        *bytes > PTRDIFF_MAX)
        return error_set(e, STATUS_INVALID_ARGUMENT, "kv cache",
                         "%zu pages of %zu bytes: none, or more than can be addressed", pages, *page_bytes);
    return STATUS_OK;
}

/* Attention reads a few KiB here and there: with small pages of the system each read would begin with a walk
 * of the page table. So huge ones are asked for; memory is still taken only near to where something is
 * stored. */
enum status kv_pool_init(struct kv_pool *pool, const struct kv_layout *layout, size_t pages,
                         struct error *e) {
    memset(pool, 0, sizeof *pool);
    size_t page_bytes = 0, bytes = 0;
    enum status status = pool_bytes(layout, pages, &page_bytes, &bytes, e);
    if (status != STATUS_OK) return status;
    uint32_t *free_pages = calloc(pages, sizeof *free_pages);
    uint32_t *references = calloc(pages, sizeof *references);
    void *memory = MAP_FAILED;
    if (free_pages && references)
        memory =
            mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(free_pages);
        free(references);
        return error_set(e, STATUS_NO_MEMORY, "kv cache", "%zu pages of %zu bytes: %s", pages, page_bytes,
                         strerror(errno));
    }
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: see above */
    *pool = (struct kv_pool){.layout = *layout,
                             .memory = memory,
                             .page_bytes = page_bytes,
                             .mapped_bytes = bytes,
                             .page_count = (uint32_t)pages,
                             .free_count = (uint32_t)pages,
                             .free_pages = free_pages,
                             .references = references};
    /* The lowest page is on top: a pool that is hardly used touches little memory. */
    for (uint32_t i = 0; i < pool->page_count; i++) pool->free_pages[i] = pool->page_count - 1 - i;
    return STATUS_OK;
}

void kv_pool_deinit(struct kv_pool *pool) {
    if (!pool->memory) return;
    assert(kv_pool_available(pool) == pool->page_count);
    munmap(pool->memory, pool->mapped_bytes);
    free(pool->free_pages);
    free(pool->references);
    memset(pool, 0, sizeof *pool);
}

size_t kv_pool_available(const struct kv_pool *pool) {
    return pool->free_count + (pool->prefix ? pool->prefix->idle_count : 0);
}

enum status kv_pool_take_page(struct kv_pool *pool, uint32_t *page) {
    if (pool->free_count > 0)
        *page = pool->free_pages[--pool->free_count];
    else if (!pool->prefix || !kv_prefix_evict(pool->prefix, page))
        return STATUS_LIMIT;
    assert(pool->references[*page] == 0);
    pool->references[*page] = 1;
    return STATUS_OK;
}

void kv_pool_retain_page(struct kv_pool *pool, uint32_t page) {
    assert(page < pool->page_count);
    if (pool->references[page]++ > 0) return;
    assert(pool->prefix);
    kv_prefix_hold(pool->prefix, page);
}

void kv_pool_release_page(struct kv_pool *pool, uint32_t page) {
    assert(page < pool->page_count && pool->references[page] > 0);
    if (--pool->references[page] > 0) return;
    if (!pool->prefix || !kv_prefix_leave_idle(pool->prefix, page))
        pool->free_pages[pool->free_count++] = page;
}

void kv_pool_copy_page(struct kv_pool *pool, uint32_t to, uint32_t from) {
    assert(to != from && pool->references[to] == 1 && pool->references[from] > 0);
    memcpy(kv_page(pool, to), kv_page(pool, from), pool->page_bytes);
}
