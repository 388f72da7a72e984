/* Which rows of a step attention takes together, and its tiles. Entries whose page tables begin alike are a unit, so
 * that their common keys and values are read once for several of them; any other entry is a unit by itself. A unit's
 * tiles are (key/value head, block of rows), or, where a step has few tiles for its threads, (key/value head, chunk of
 * keys). Where these are still fewer than threads, the query heads that share a key/value head are split too, so that
 * several threads read its keys and values. No bit of a result depends on any of this. */
#include <assert.h>

#include "engine/forward/state.h"

/* Rows of a tile of one entry: enough to use a block of keys several times, few enough to split a prefill over the
 * threads. Entries of more are not joined to others. */
#define TILE_ROWS 32
/* Queries of a tile of several entries: what makes reading keys once worth it, and what some kernels take at once, where
 * there are tiles enough. */
#define TILE_QUERIES      8
#define TILE_QUERIES_MANY 32
/* Positions in common that are worth a unit. */
#define SHARED_POSITIONS_MIN 64
/* Where a step has fewer tiles for each thread, those of few rows are split by chunks. */
#define TILES_PER_THREAD 4
/* States of chunks beside those of one row of the longest context: of rows of drafts, and of other sequences. */
#define MORE_STATES 64

static size_t chunks_of(size_t positions) {
    return (positions + KERNEL_ATTENTION_CHUNK - 1) / KERNEL_ATTENTION_CHUNK;
}

size_t attention_states(const struct model_description *d, size_t threads) {
    return threads > 1 ? chunks_of(d->context) + MORE_STATES + TILES_PER_THREAD * threads : 0;
}

size_t attention_state_floats(const struct model_description *d) {
    return d->heads * kernel_attention_state(d->head_dim);
}

static bool is_short(const struct step_entry *entry) {
    return entry->count <= TILE_ROWS;
}

/* ---- units ---------------------------------------------------------------------------------------------- */

static bool is_free(const struct forward *f, size_t entry) {
    return f->entry_unit[entry] == SIZE_MAX;
}

static size_t common_pages(const struct kv_table *a, const struct kv_table *b) {
    size_t most = a->count < b->count ? a->count : b->count, count = 0;
    while (count < most && a->pages[count] == b->pages[count]) count++;
    return count;
}

/* Pages that each entry behind `leader` has in common with it; 0 where it does not join. */
static void find_common(struct forward *f, size_t leader) {
    for (size_t i = leader + 1; i < f->entry_count; i++) {
        size_t pages = 0;
        if (is_free(f, i) && is_short(&f->entries[i]))
            pages = common_pages(f->entries[leader].table, f->entries[i].table);
        f->common_pages[i] = pages * f->pool->layout.page_tokens < SHARED_POSITIONS_MIN ? 0 : pages;
    }
}

/* So many pages that reading them once saves most; 0: none. */
static size_t choose_pages(const struct forward *f, size_t leader) {
    size_t best = 0, saved = 0;
    for (size_t i = leader + 1; i < f->entry_count; i++) {
        size_t pages = f->common_pages[i], entries = 0;
        if (pages == best) continue;
        for (size_t j = leader + 1; j < f->entry_count; j++) entries += f->common_pages[j] >= pages;
        if (entries * pages <= saved) continue;
        best = pages;
        saved = entries * pages;
    }
    return best;
}

static void add_entry(struct forward *f, struct attention_unit *unit, size_t entry) {
    const struct step_entry *e = &f->entries[entry];
    for (size_t r = 0; r < e->count; r++) {
        size_t row = f->first_row[entry] + r, at = unit->first + unit->rows++;
        f->attention_order[at] = (uint32_t)row;
        f->attention_rows[at] = (struct attention_row){.q = f->qkv + row * f->qkv_stride,
                                                       .out = f->heads + row * f->heads_stride,
                                                       .pages = e->table->pages,
                                                       .position = e->first_position + r};
        if (unit->positions < e->first_position + r + 1) unit->positions = e->first_position + r + 1;
    }
    f->entry_unit[entry] = f->unit_count;
    unit->single_rows &= e->count == 1;
}

static void add_joining(struct forward *f, struct attention_unit *unit, size_t leader) {
    find_common(f, leader);
    size_t pages = choose_pages(f, leader);
    if (pages == 0) return;
    unit->shared = pages * f->pool->layout.page_tokens;
    for (size_t i = leader + 1; i < f->entry_count; i++)
        if (f->common_pages[i] >= pages) add_entry(f, unit, i);
}

static void make_units(struct forward *f) {
    size_t rows = 0;
    f->unit_count = 0;
    for (size_t i = 0; i < f->entry_count; i++) f->entry_unit[i] = SIZE_MAX;
    for (size_t i = 0; i < f->entry_count; i++) {
        if (!is_free(f, i)) continue;
        struct attention_unit *unit = &f->units[f->unit_count];
        *unit =
            (struct attention_unit){.first = rows, .block_rows = TILE_ROWS, .splits = 1, .single_rows = true};
        add_entry(f, unit, i);
        if (is_short(&f->entries[i])) add_joining(f, unit, i);
        rows += unit->rows;
        f->unit_count++;
    }
    assert(rows == f->row_count);
}

/* ---- tiles ---------------------------------------------------------------------------------------------- */

size_t attention_parts(const struct attention_unit *unit) {
    return unit->chunks ? unit->chunks : (unit->rows + unit->block_rows - 1) / unit->block_rows;
}

static size_t number_tiles(struct forward *f) {
    size_t tiles = 0;
    for (size_t i = 0; i < f->unit_count; i++) {
        f->units[i].tile = tiles;
        tiles += attention_parts(&f->units[i]) * f->units[i].splits * f->description->kv_heads;
    }
    return f->attention_tiles = tiles;
}

static size_t group_of(const struct forward *f) {
    return f->description->heads / f->description->kv_heads;
}

/* Tiles of several entries have so many queries. */
static void set_tile_queries(struct forward *f, size_t queries) {
    for (size_t i = 0; i < f->unit_count; i++)
        if (f->units[i].shared && f->units[i].single_rows)
            f->units[i].block_rows = (queries + group_of(f) - 1) / group_of(f);
}

/* Units that have more than one chunk, as long as there is memory for their states. */
static void split_units(struct forward *f) {
    size_t left = f->states_max;
    for (size_t i = 0; i < f->unit_count; i++) {
        struct attention_unit *unit = &f->units[i];
        size_t chunks = chunks_of(unit->positions), states = unit->rows * chunks;
        if (chunks < 2 || states > left) continue;
        left -= states;
        unit->chunks = chunks;
        unit->states = left;
    }
}

/* The fewest parts of equal size of a group of query heads that make `tiles` tiles at least `wanted`, or all of them. */
static size_t splits_for(size_t group, size_t tiles, size_t wanted) {
    size_t splits = 1;
    while (splits < group && (group % splits != 0 || tiles * splits < wanted)) splits++;
    return splits;
}

static void split_groups(struct forward *f, size_t threads) {
    const size_t splits = splits_for(group_of(f), number_tiles(f), threads);
    for (size_t i = 0; i < f->unit_count; i++) f->units[i].splits = splits;
}

size_t attention_merges(const struct forward *f) {
    return splits_for(group_of(f), f->unit_count * f->description->kv_heads, workers_count(f->workers));
}

/* A row's keys and values can be stored by its tile where no other tile reads them. */
static bool must_store_first(const struct attention_unit *unit) {
    return unit->chunks || unit->splits > 1 || (attention_parts(unit) > 1 && !unit->single_rows);
}

struct row_run attention_row_run(const struct forward *f, size_t row, size_t most) {
    const size_t of_entry = f->first_row[f->rows[row].entry + 1] - row,
                 of_block = KERNEL_LANES - f->rows[row].position % KERNEL_LANES,
                 count = of_entry < of_block ? of_entry : of_block;
    return (struct row_run){.first = row, .count = count < most ? count : most};
}

/* A run by a key/value head is a tile. Where those of whole blocks could be fewer than threads, runs are shorter. */
static void list_runs(struct forward *f, size_t threads) {
    const size_t most = (f->row_count * f->description->kv_heads + threads - 1) / threads;
    f->run_count = 0;
    for (size_t row = 0; row < f->row_count;) {
        const struct row_run run = attention_row_run(f, row, most);
        if (f->units[f->entry_unit[f->rows[row].entry]].stores_first) f->runs[f->run_count++] = run;
        row += run.count;
    }
}

void attention_plan(struct forward *f) {
    const size_t threads = workers_count(f->workers);
    make_units(f);
    set_tile_queries(f, TILE_QUERIES_MANY);
    if (number_tiles(f) < TILES_PER_THREAD * threads) set_tile_queries(f, TILE_QUERIES);
    if (threads > 1 && number_tiles(f) < TILES_PER_THREAD * threads) split_units(f);
    if (threads > 1 && number_tiles(f) < threads) split_groups(f, threads);
    number_tiles(f);
    f->any_chunks = false;
    for (size_t i = 0; i < f->unit_count; i++) {
        f->units[i].stores_first = must_store_first(&f->units[i]);
        f->any_chunks |= f->units[i].chunks > 0;
    }
    list_runs(f, threads);
}
