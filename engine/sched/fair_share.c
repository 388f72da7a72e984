#include "engine/sched/fair_share.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/sample/generator.h"

/* A power of two. */
static size_t bucket_count_for(size_t capacity) {
    size_t count = 1;
    while (count < capacity) count *= 2;
    return count;
}

size_t turns_memory_bytes(size_t capacity) {
    if (capacity == 0) return 0;
    return capacity * (sizeof(struct turns_level) + sizeof(struct turns_flow)) +
           bucket_count_for(capacity) * (sizeof(struct turns_level *) + sizeof(struct turns_flow *));
}

enum status turns_init(struct turns *turns, size_t capacity, struct error *e) {
    *turns = (struct turns){.capacity = capacity, .bucket_count = bucket_count_for(capacity)};
    if (capacity == 0) return STATUS_OK;
    turns->hash_seed = (uint64_t)generator_draw_seed();
    turns->levels = calloc(capacity, sizeof *turns->levels);
    turns->flows = calloc(capacity, sizeof *turns->flows);
    turns->level_buckets = calloc(turns->bucket_count, sizeof *turns->level_buckets);
    turns->flow_buckets = calloc(turns->bucket_count, sizeof *turns->flow_buckets);
    if (turns->levels && turns->flows && turns->level_buckets && turns->flow_buckets) return STATUS_OK;
    turns_deinit(turns);
    return error_set(e, STATUS_NO_MEMORY, "fair shares", "turns of %zu sequences", capacity);
}

void turns_deinit(struct turns *turns) {
    free(turns->levels);
    free(turns->flows);
    free(turns->level_buckets);
    free(turns->flow_buckets);
    *turns = (struct turns){0};
}

/* ---- levels and flows ---------------------------------------------------------------------------------- */

static size_t bucket_of(const struct turns *turns, int priority, uint64_t client) {
    uint64_t hash = turns->hash_seed ^ (uint32_t)priority;
    for (int i = 0; i < 2; i++) {
        hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
        if (i == 0) hash ^= client;
    }
    return (size_t)(hash >> 32 ^ hash) & (turns->bucket_count - 1);
}

static struct turns_level *level_of(struct turns *turns, int priority) {
    struct turns_level **bucket = &turns->level_buckets[bucket_of(turns, priority, 0)], *level = *bucket;
    while (level && level->priority != priority) level = level->chain;
    if (level) return level;
    level = turns->free_level;
    assert(level || turns->levels_used < turns->capacity);
    if (level)
        turns->free_level = level->chain;
    else
        level = &turns->levels[turns->levels_used++];
    *level = (struct turns_level){.priority = priority, .chain = *bucket};
    return *bucket = level;
}

static struct turns_flow *flow_of(struct turns *turns, int priority, uint64_t client) {
    struct turns_flow **bucket = &turns->flow_buckets[bucket_of(turns, priority, client)], *flow = *bucket;
    while (flow && (flow->client != client || flow->level->priority != priority)) flow = flow->chain;
    if (flow) return flow;
    flow = turns->free_flow;
    assert(flow || turns->flows_used < turns->capacity);
    if (flow)
        turns->free_flow = flow->chain;
    else
        flow = &turns->flows[turns->flows_used++];
    *flow = (struct turns_flow){.client = client, .level = level_of(turns, priority), .chain = *bucket};
    return *bucket = flow;
}

static void forget_level(struct turns *turns, struct turns_level *level) {
    struct turns_level **at = &turns->level_buckets[bucket_of(turns, level->priority, 0)];
    while (*at != level) at = &(*at)->chain;
    *at = level->chain;
    level->chain = turns->free_level;
    turns->free_level = level;
}

static void forget_flow(struct turns *turns, struct turns_flow *flow) {
    struct turns_level *level = flow->level;
    struct turns_flow **at = &turns->flow_buckets[bucket_of(turns, level->priority, flow->client)];
    while (*at != flow) at = &(*at)->chain;
    *at = flow->chain;
    flow->chain = turns->free_flow;
    turns->free_flow = flow;
    if (!level->first) forget_level(turns, level);
}

/* ---- the ring ------------------------------------------------------------------------------------------ */

static void append_flow(struct turns_flow *flow) {
    struct turns_level *level = flow->level;
    flow->next = NULL;
    flow->previous = level->last;
    if (level->last)
        level->last->next = flow;
    else
        level->first = flow;
    level->last = flow;
}

static void take_flow_out(struct turns_flow *flow) {
    struct turns_level *level = flow->level;
    if (flow->next)
        flow->next->previous = flow->previous;
    else
        level->last = flow->previous;
    if (flow->previous)
        flow->previous->next = flow->next;
    else
        level->first = flow->next;
}

void turns_add(struct turns *turns, struct sequence *s) {
    struct turns_flow *flow = flow_of(turns, s->request->priority, s->request->client);
    if (!flow->first) append_flow(flow);
    s->flow = flow;
    s->flow_next = NULL;
    s->flow_previous = flow->last;
    if (flow->last)
        flow->last->flow_next = s;
    else
        flow->first = s;
    flow->last = s;
}

static void leave_flow(struct turns_flow *flow, struct sequence *s) {
    if (s->flow_next)
        s->flow_next->flow_previous = s->flow_previous;
    else
        flow->last = s->flow_previous;
    if (s->flow_previous)
        s->flow_previous->flow_next = s->flow_next;
    else
        flow->first = s->flow_next;
    s->flow_previous = s->flow_next = NULL;
    s->flow = NULL;
}

void turns_remove(struct turns *turns, struct sequence *s, bool has_turn) {
    struct turns_flow *flow = s->flow;
    leave_flow(flow, s);
    if (flow->first && !has_turn) return;
    take_flow_out(flow);
    if (flow->first)
        append_flow(flow);
    else
        forget_flow(turns, flow);
}
