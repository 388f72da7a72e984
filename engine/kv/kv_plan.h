/* How many pages the cache gets. A pure function, so that its rules can be tested without a machine of every
 * size. */
#pragma once

#include "engine/kv/kv_pool.h"

struct kv_demand {
    struct kv_layout layout;
    size_t context;         /* positions of the longest sequence: the pool must hold one such */
    size_t sequences;       /* that run at once: more than so many full contexts are never used */
    size_t bytes_wanted;    /* the option; 0: from available_bytes */
    size_t available_bytes; /* memory that is left; 0: not known */
    size_t reserved_bytes;  /* of it: what others are promised */
};

/* Share of the memory that is left which the cache takes at most when no option says how much; and never what
 * is reserved. */
#define KV_PLAN_SHARE_PERCENT 75
/* What it takes then where nobody knows what is left. */
#define KV_PLAN_BYTES_UNKNOWN ((size_t)1 << 30)

/* Bytes of memory that one page takes, with what is kept about it. The layout is one that kv_page_bytes
 * accepts. */
size_t kv_plan_page_bytes(const struct kv_layout *layout);

/* STATUS_OPTION ("kv-cache-mib"): bytes_wanted are too few for one full context, or more than is left. STATUS_LIMIT ("memory"):
 * what is left is too little for one full context. STATUS_INVALID_ARGUMENT as kv_pool_init. */
enum status kv_plan_pages(const struct kv_demand *demand, size_t *pages, struct error *e);
