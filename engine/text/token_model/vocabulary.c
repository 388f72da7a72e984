#include "engine/text/token_model/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 256 };

void vocabulary_deinit(struct vocabulary *v) {
    text_buffer_deinit(&v->text);
    free(v->entries);
    free(v->slots);
    *v = (struct vocabulary){0};
}

static uint64_t hash_bytes(const char *bytes, size_t length) {
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a, and a final mix for the low bits */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3u;
    return hash ^ hash >> 32;
}

static bool entry_is(const struct vocabulary *v, int32_t id, const char *content, size_t length) {
    const struct vocabulary_entry *entry = &v->entries[id];
    return entry->length == length && memcmp(v->text.bytes + entry->offset, content, length) == 0;
}

/* The slot that holds the content, or the free one where it belongs. */
static size_t find_slot(const struct vocabulary *v, const char *content, size_t length) {
    size_t mask = v->slot_count - 1, at = hash_bytes(content, length) & mask;
    while (v->slots[at] >= 0 && !entry_is(v, v->slots[at], content, length)) at = (at + 1) & mask;
    return at;
}

static bool grow_slots(struct vocabulary *v) {
    if (v->slot_count > 2 * v->count + 1) return true;
    int32_t *old = v->slots;
    size_t old_count = v->slot_count, count = old_count ? 2 * old_count : SLOTS_FIRST;
    int32_t *slots = malloc(count * sizeof *slots);
    if (!slots) return false;
    memset(slots, 0xFF, count * sizeof *slots);
    v->slots = slots;
    v->slot_count = count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] < 0) continue;
        const struct vocabulary_entry *entry = &v->entries[old[i]];
        v->slots[find_slot(v, v->text.bytes + entry->offset, entry->length)] = old[i];
    }
    free(old);
    return true;
}

static bool grow_entries(struct vocabulary *v, size_t id_end) {
    if (id_end <= v->id_end) return true;
    if (!array_reserve(&v->entries, &v->entry_capacity, id_end)) return false;
    memset(v->entries + v->id_end, 0, (id_end - v->id_end) * sizeof *v->entries);
    v->id_end = id_end;
    return true;
}

enum status vocabulary_add(struct vocabulary *v, const char *content, size_t length, int32_t id,
                           struct error *e) {
    if (length > UINT32_MAX || !grow_slots(v) || !grow_entries(v, (size_t)id + 1)) return text_no_memory(e);
    size_t offset = v->text.length, slot = find_slot(v, content, length);
    text_buffer_append(&v->text, content, length);
    text_buffer_append_byte(&v->text, '\0');
    if (v->text.failed) return text_no_memory(e);
    v->count++;
    v->slots[slot] = id;
    v->entries[id] = (struct vocabulary_entry){.offset = offset, .length = (uint32_t)length, .present = true};
    return STATUS_OK;
}

int32_t vocabulary_find(const struct vocabulary *v, const char *content, size_t length) {
    return v->count ? v->slots[find_slot(v, content, length)] : -1;
}

const char *vocabulary_content(const struct vocabulary *v, int32_t id, size_t *length) {
    if (id < 0 || (size_t)id >= v->id_end || !v->entries[id].present) return NULL;
    if (length) *length = v->entries[id].length;
    return v->text.bytes + v->entries[id].offset;
}
