/* A sequence's page table. Owned by the scheduler thread. */
#include "engine/kv/kv_pool.h"

#include <assert.h>
#include <stdlib.h>

enum status kv_table_init(struct kv_table *table, size_t capacity, struct error *e) {
    *table = (struct kv_table){0};
    table->pages = calloc(capacity ? capacity : 1, sizeof *table->pages);
    if (!table->pages) return error_set(e, STATUS_NO_MEMORY, "page table", "of %zu pages", capacity);
    table->capacity = capacity;
    return STATUS_OK;
}

void kv_table_deinit(struct kv_table *table) {
    assert(table->count == 0);
    free(table->pages);
    *table = (struct kv_table){0};
}

enum status kv_table_reserve(struct kv_table *table, struct kv_pool *pool, size_t positions) {
    size_t pages = kv_pages_for(positions, pool->layout.page_tokens);
    assert(pages <= table->capacity);
    if (pages <= table->count) return STATUS_OK;
    if (pages - table->count > kv_pool_available(pool)) return STATUS_LIMIT;
    while (table->count < pages) {
        enum status status = kv_pool_take_page(pool, &table->pages[table->count]);
        assert(status == STATUS_OK);
        (void)status;
        table->count++;
    }
    return STATUS_OK;
}

void kv_table_adopt(struct kv_table *table, struct kv_pool *pool, const uint32_t *pages, size_t count) {
    assert(table->count == 0 && count <= table->capacity);
    for (size_t i = 0; i < count; i++) {
        kv_pool_retain_page(pool, pages[i]);
        table->pages[table->count++] = pages[i];
    }
}

void kv_table_shrink(struct kv_table *table, struct kv_pool *pool, size_t positions) {
    size_t pages = kv_pages_for(positions, pool->layout.page_tokens);
    while (table->count > pages) kv_pool_release_page(pool, table->pages[--table->count]);
}
