#include "engine/kv/kv_plan.h"

#include "engine/base/memory.h"

static size_t budget_bytes(const struct kv_demand *d) {
    if (d->bytes_wanted > 0) return d->bytes_wanted;
    if (d->available_bytes == 0) return KV_PLAN_BYTES_UNKNOWN;
    return d->available_bytes / 100 * KV_PLAN_SHARE_PERCENT;
}

enum status kv_plan_pages(const struct kv_demand *d, size_t *pages, struct error *e) {
    const struct kv_layout *l = &d->layout;
    size_t page_bytes, most;
    enum status status = kv_page_bytes(l, &page_bytes, e);
    if (status != STATUS_OK) return status;
    size_t context_pages = kv_pages_for(d->context, l->page_tokens);
    if (!memory_multiply(context_pages, d->sequences, &most) || most == 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "kv cache", "its size is beyond what can be addressed");
    size_t affordable = budget_bytes(d) / page_bytes;
    if (affordable < context_pages)
        return error_set(
            e, STATUS_LIMIT, d->bytes_wanted > 0 ? "kv_cache_mib" : "memory",
            "one full context of %zu tokens takes %zu MiB of cache, and there are %zu MiB for it; make the "
            "context smaller or give more memory",
            d->context, (context_pages * page_bytes >> 20) + 1, budget_bytes(d) >> 20);
    *pages = affordable < most ? affordable : most;
    return STATUS_OK;
}
