#include "engine/kv/kv_plan.h"

#include "engine/base/memory.h"
#include "engine/kv/kv_prefix.h"

size_t kv_plan_page_bytes(const struct kv_layout *layout) {
    size_t bytes = 0;
    struct error unused;
    enum status status = kv_page_bytes(layout, &bytes, &unused);
    return status == STATUS_OK ? bytes + kv_pool_index_bytes() + kv_prefix_index_bytes(layout->page_tokens)
                               : 0;
}

static size_t unreserved(const struct kv_demand *d) {
    return d->available_bytes > d->reserved_bytes ? d->available_bytes - d->reserved_bytes : 0;
}

static size_t budget_bytes(const struct kv_demand *d) {
    if (d->available_bytes == 0) return KV_PLAN_BYTES_UNKNOWN;
    size_t share = d->available_bytes / 100 * KV_PLAN_SHARE_PERCENT, rest = unreserved(d);
    return share < rest ? share : rest;
}

static enum status refuse_context(const struct kv_demand *d, size_t needed, size_t budget, struct error *e) {
    return error_set(
        e, d->bytes_wanted > 0 ? STATUS_OPTION : STATUS_LIMIT,
        d->bytes_wanted > 0 ? "kv-cache-mib" : "memory",
        "one full context of %zu tokens takes %zu MiB of cache, and there are %zu MiB for it; make the "
        "context smaller, use a narrower kv-type or weights, lower what is reserved for requests, or give "
        "more memory",
        d->context, (needed >> 20) + 1, budget >> 20);
}

enum status kv_plan_pages(const struct kv_demand *d, size_t *pages, struct error *e) {
    const struct kv_layout *l = &d->layout;
    size_t page_bytes, most;
    enum status status = kv_page_bytes(l, &page_bytes, e);
    if (status != STATUS_OK) return status;
    size_t context_pages = kv_pages_for(d->context, l->page_tokens), whole = kv_plan_page_bytes(l);
    if (!memory_multiply(context_pages, d->sequences, &most) || most == 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "kv cache", "its size is beyond what can be addressed");
    size_t affordable = d->bytes_wanted > 0 ? d->bytes_wanted / page_bytes : budget_bytes(d) / whole;
    if (affordable < context_pages)
        return refuse_context(d, context_pages * page_bytes,
                              d->bytes_wanted > 0 ? d->bytes_wanted : budget_bytes(d), e);
    *pages = affordable < most ? affordable : most;
    if (d->bytes_wanted == 0 || d->available_bytes == 0 || *pages <= unreserved(d) / whole) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "kv-cache-mib",
                     "a cache of %zu MiB does not fit: of %zu MiB of memory that are left, %zu MiB are "
                     "reserved; ask for less, lower what is reserved for requests, or give more memory",
                     *pages * page_bytes >> 20, d->available_bytes >> 20, d->reserved_bytes >> 20);
}
