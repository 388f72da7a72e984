#include "engine/calibrate/calibrate.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/calibrate/refine_row.h"
#include "engine/calibrate/round_panel.h"
#include "engine/forward/forward.h"
#include "engine/kv/kv_pool.h"

#define LINEARS     5  /* of a layer, at most */
#define HEAD_ROWS   64 /* that the head reads at a time: a row of its logits is long */
#define PAGE_TOKENS KV_PAGE_TOKENS_STEP

/* A linear that is to be rounded: rows of `from`, all or some. */
struct job {
    const struct folded_linear *from;
    const struct packed_linear *to;
    size_t first_row;
    bool has_inputs_before; /* those of the job before: its factor serves both */
};

struct calibration {
    const struct packed_model *model;
    const struct folded_model *folded;
    const struct calibrate_text *text;
    const struct kernel_table *kernels;
    struct workers *workers;
    pack_progress_fn progress;
    void *context;
    struct kv_pool pool;
    struct kv_table table;
    struct forward *forward;
    struct hessian hessian;
    struct factor factor;
    float *stream; /* of all tokens, as the layer at work reads it */
    float *window; /* of one window of them, to be worked on */
    size_t stream_stride;
    double *rows; /* [workers][rows_stride]: of a panel, then their biases */
    size_t rows_stride;
    float *rotated; /* [window][in]: inputs of a linear that rotates its rows; NULL where there is none */
    float *scratch; /* [workers][scratch_stride] */
    size_t scratch_stride;
    const struct job *job;    /* at work */
    struct refining refining; /* of a head in int4 */
    struct head_uses uses;
    size_t first_position; /* of the rows that the head reads */
    bool refines;          /* the head's rows, in their second round */
};

/* ---- what there is to do ---- */

size_t calibrate_window(const struct model_description *d) {
    return d->context < CALIBRATE_WINDOW_MAX ? d->context : CALIBRATE_WINDOW_MAX;
}

enum status calibrate_choose(const struct model_description *d, int32_t *ids, size_t count, size_t tokens_max,
                             struct calibrate_text *out, struct error *e) {
    const size_t window = calibrate_window(d), there = count / window;
    const size_t windows = tokens_max / window < there ? tokens_max / window : there;
    if (windows * window < CALIBRATE_TOKENS_MIN)
        return error_set(e, STATUS_OPTION, "calibrate",
                         "%zu of its tokens can be used, in windows of %zu; at least %d are needed",
                         windows * window, window, CALIBRATE_TOKENS_MIN);
    for (size_t i = 0; i < windows; i++)
        memmove(ids + i * window, ids + i * there / windows * window, window * sizeof *ids);
    *out = (struct calibrate_text){.ids = ids, .count = windows * window, .window = window};
    return STATUS_OK;
}

enum status calibrate_weights_check(enum weight_type weights, struct error *e) {
    if (round_panel_rounds(weights)) return STATUS_OK;
    return error_set(
        e, STATUS_OPTION, "calibrate",
        "only int8 and int4 weights can be calibrated: what %s loses is not in how its weights are rounded",
        weight_type_name(weights));
}

enum status calibrate_check(const struct packed_model *model, struct error *e) {
    enum status status = calibrate_weights_check(model->weights, e);
    if (status != STATUS_OK) return status;
    if (model->description->placement == PLACEMENT_RESIDUAL_DUAL)
        return error_set(e, STATUS_OPTION, "calibrate", "models of placement %s cannot be calibrated yet",
                         placement_name(model->description->placement));
    return STATUS_OK;
}

/* But for what is of a finer type. */
static void add_job(struct job *jobs, size_t *count, struct job job) {
    if (round_panel_rounds(job.to->type)) jobs[(*count)++] = job;
}

static size_t list_jobs(const struct calibration *c, size_t layer, struct job jobs[LINEARS]) {
    const struct folded_layer *from = &c->folded->layers[layer];
    const struct packed_layer *to = &c->model->layers[layer];
    size_t count = 0;
    add_job(jobs, &count, (struct job){.from = &from->qkv, .to = &to->qkv});
    if (to->values.out)
        add_job(
            jobs, &count,
            (struct job){
                .from = &from->qkv, .to = &to->values, .first_row = to->qkv.out, .has_inputs_before = true});
    add_job(jobs, &count, (struct job){.from = &from->attention.output, .to = &to->attention.output});
    add_job(jobs, &count, (struct job){.from = &from->up, .to = &to->up});
    add_job(jobs, &count, (struct job){.from = &from->mlp.output, .to = &to->mlp.output});
    return count;
}

static size_t list_head_jobs(const struct calibration *c, struct job jobs[LINEARS]) {
    size_t count = 0;
    if (c->model->project_out.out)
        add_job(jobs, &count, (struct job){.from = &c->folded->project_out, .to = &c->model->project_out});
    add_job(jobs, &count,
            (struct job){.from = &c->folded->head, .to = &c->model->head, .first_row = c->model->common.out});
    return count;
}

/* Rows that are folded together: of a panel, or where rows are rotated, of whole blocks of the rotation too. */
#define TILE_PANELS_ROTATED 4
_Static_assert(TILE_PANELS_ROTATED *KERNEL_PANEL % ROTATION_ORDER_MAX == 0, "of whole blocks of a rotation");
#define BIAS_ROWS (TILE_PANELS_ROTATED * KERNEL_PANEL + ROTATION_COVER_MAX)

static size_t tile_panels(const struct folded_linear *from) {
    return from->rotate_out.order ? TILE_PANELS_ROTATED : 1;
}

/* ---- memory ---- */

struct sizes {
    size_t in_max, rows_stride, scratch_stride, stream_floats, rotated_floats;
    struct kv_layout layout;
    size_t pages;
    struct forward_limits limits;
};

static bool is_refined(const struct packed_linear *head) {
    return head->type == WEIGHT_TYPE_INT4;
}

static size_t head_rows(const struct calibrate_text *text) {
    return text->window < HEAD_ROWS ? text->window : HEAD_ROWS;
}

static void raise_in(void *context, const struct packed_linear *linear) {
    size_t *in_max = context;
    if (linear->in > *in_max) *in_max = linear->in;
}

static struct sizes sizes_of(const struct packed_model *model, const struct calibrate_text *text) {
    const struct model_description *d = model->description;
    struct sizes s = {
        .layout = {d->layers, d->kv_heads, d->head_dim, PAGE_TOKENS,
                   kv_type_choose(KV_TYPE_AUTO, model->weights)},
        .limits = {.rows_max = text->window, .logit_rows_max = head_rows(text), .entries_max = 1}};
    packed_model_each_linear(model, raise_in, &s.in_max);
    const bool rotated = model->folded->rotated;
    s.rows_stride =
        folded_scratch(model->folded, rotated ? TILE_PANELS_ROTATED * KERNEL_PANEL : KERNEL_PANEL) +
        BIAS_ROWS;
    s.rotated_floats = rotated ? text->window * s.in_max : 0;
    s.scratch_stride = round_panel_scratch(s.in_max);
    const size_t refined = is_refined(&model->head) ? refine_row_scratch(model->head.in, text->count) : 0;
    if (refined > s.scratch_stride) s.scratch_stride = refined;
    s.stream_floats =
        (text->count + text->window) * ((d->width + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES);
    s.pages = kv_pages_for(text->window, PAGE_TOKENS);
    return s;
}

static size_t refining_bytes(const struct packed_model *model, const struct calibrate_text *text) {
    if (!is_refined(&model->head)) return 0;
    return refine_bytes(model->head.in, text->count) + head_uses_bytes(text->count, model->head.out);
}

size_t calibrate_bytes(const struct packed_model *model, const struct workers *workers,
                       const struct calibrate_text *text) {
    const struct sizes s = sizes_of(model, text);
    size_t page = 0;
    struct error unused;
    if (kv_page_bytes(&s.layout, &page, &unused) != STATUS_OK) return SIZE_MAX;
    return (s.stream_floats + s.rotated_floats) * sizeof(float) + s.pages * page +
           hessian_bytes(s.in_max, HESSIAN_STRETCH_MAX, text->window) +
           factor_bytes(s.in_max, HESSIAN_STRETCH_MAX) + refining_bytes(model, text) +
           forward_memory_bytes(model, workers, &s.limits) +
           workers_count(workers) * (s.rows_stride * sizeof(double) + s.scratch_stride * sizeof(float));
}

static enum status check_positions(const struct calibration *c, struct error *e) {
    if (!is_refined(&c->model->head) || c->text->count <= HEAD_USES_POSITIONS) return STATUS_OK;
    return error_set(e, STATUS_OPTION, "calibrate-tokens",
                     "%zu are more than %u, the most for a head in int4", c->text->count,
                     (unsigned)HEAD_USES_POSITIONS);
}

static enum status check_memory(const struct calibration *c, struct error *e) {
    const size_t needed = calibrate_bytes(c->model, c->workers, c->text), left = memory_available_bytes();
    if (!left || needed <= left) return STATUS_OK;
    return error_set(
        e, STATUS_OPTION, "calibrate-tokens",
        "calibration with %zu tokens takes %zu MiB, %zu MiB are left: use fewer, or fewer threads",
        c->text->count, needed >> 20, left >> 20);
}

static enum status open_forward(struct calibration *c, const struct sizes *s, struct error *e) {
    enum status status = kv_pool_init(&c->pool, &s->layout, s->pages, e);
    if (status == STATUS_OK) status = kv_table_init(&c->table, s->pages, e);
    if (status == STATUS_OK)
        status = forward_create(c->model, &c->pool, c->kernels, c->workers, &s->limits, &c->forward, e);
    if (status != STATUS_OK) return status;
    c->stream_stride = forward_stream_stride(c->forward);
    assert((c->text->count + c->text->window) * c->stream_stride == s->stream_floats);
    return kv_table_reserve(&c->table, &c->pool, c->text->window);
}

static enum status refining_open(struct calibration *c, struct error *e) {
    const struct packed_linear *head = &c->model->head;
    const enum status status = refining_init(&c->refining, head->in, c->text->count, e);
    return status == STATUS_OK ? head_uses_init(&c->uses, c->text->count, head->out, e) : status;
}

static enum status calibration_init(struct calibration *c, struct error *e) {
    const struct sizes s = sizes_of(c->model, c->text);
    const size_t workers = workers_count(c->workers);
    c->rows_stride = s.rows_stride;
    c->scratch_stride = s.scratch_stride;
    enum status status = check_positions(c, e);
    if (status == STATUS_OK) status = check_memory(c, e);
    if (status == STATUS_OK) status = open_forward(c, &s, e);
    if (status == STATUS_OK)
        status = hessian_init(&c->hessian, s.in_max, HESSIAN_STRETCH_MAX, c->text->window, e);
    if (status == STATUS_OK) status = factor_init(&c->factor, s.in_max, HESSIAN_STRETCH_MAX, e);
    if (status != STATUS_OK) return status;
    c->stream = memory_aligned(s.stream_floats, sizeof *c->stream, "calibration", e);
    c->rows = memory_aligned(workers * s.rows_stride, sizeof *c->rows, "calibration", e);
    c->scratch = memory_aligned(workers * s.scratch_stride, sizeof *c->scratch, "calibration", e);
    if (!c->stream || !c->rows || !c->scratch) return STATUS_NO_MEMORY;
    c->window = c->stream + c->text->count * c->stream_stride;
    if (is_refined(&c->model->head)) status = refining_open(c, e);
    if (status != STATUS_OK) return status;
    if (!s.rotated_floats) return STATUS_OK;
    c->rotated = memory_aligned(s.rotated_floats, sizeof *c->rotated, "calibration", e);
    return c->rotated ? STATUS_OK : STATUS_NO_MEMORY;
}

static void calibration_deinit(struct calibration *c) {
    forward_destroy(c->forward);
    if (c->table.pages) kv_table_shrink(&c->table, &c->pool, 0);
    kv_table_deinit(&c->table);
    if (c->pool.memory) kv_pool_deinit(&c->pool);
    hessian_deinit(&c->hessian);
    factor_deinit(&c->factor);
    refining_deinit(&c->refining);
    head_uses_deinit(&c->uses);
    free(c->stream);
    free(c->rows);
    free(c->scratch);
    free(c->rotated);
}

/* ---- the text through a layer ---- */

static struct step_entry window_at(const struct calibration *c, size_t first) {
    return (struct step_entry){
        .table = &c->table,
        .tokens = c->text->ids + first,
        .count = c->text->window,
        .rotary_length = forward_rotary_length(c->forward, c->text->window),
    };
}

static void embed(struct calibration *c) {
    for (size_t first = 0; first < c->text->count; first += c->text->window) {
        const struct step_entry entry = window_at(c, first);
        forward_embed(c->forward, &entry, c->stream + first * c->stream_stride);
    }
}

/* As the forward pass does before the product. */
static void rotate_rows(struct calibration *c, struct hessian_rows *rows) {
    const size_t in = c->job->to->in;
    for (size_t r = 0; r < rows->rows; r++)
        memcpy(c->rotated + r * in, rows->x + r * rows->stride, in * sizeof *c->rotated);
    c->kernels->hadamard_rows(c->rotated, in, rows->rows, in);
    rows->x = c->rotated;
    rows->stride = in;
}

static struct hessian_rows rows_of(struct calibration *c, const struct forward_input *input) {
    struct hessian_rows rows = {.x = input->x,
                                .stride = input->stride,
                                .rows = input->rows,
                                .row_scale = input->row_scale,
                                .smoothing = input->linear->smoothing};
    if (input->linear->rotates_rows) rotate_rows(c, &rows);
    return rows;
}

static bool observe(void *context, const struct forward_input *input) {
    struct calibration *c = context;
    if (input->linear != c->job->to) return true;
    const struct hessian_rows rows = rows_of(c, input);
    hessian_add(&c->hessian, &rows, c->kernels, c->workers);
    return false;
}

/* The layer with the weights that it has now: for what its linear at work reads, which leaves the stream as it is; or at
 * last for what it gives. */
static void run_layer(struct calibration *c, size_t layer, bool observed) {
    forward_observe(c->forward, observed ? observe : NULL, c);
    for (size_t first = 0; first < c->text->count; first += c->text->window) {
        const struct step_entry entry = window_at(c, first);
        float *stream = c->stream + first * c->stream_stride;
        if (observed) stream = memcpy(c->window, stream, c->text->window * c->stream_stride * sizeof *stream);
        forward_layer(c->forward, &entry, layer, stream);
    }
}

/* The inputs of the head, which then computes logits of them. */
static bool keep_inputs(void *context, const struct forward_input *input) {
    struct calibration *c = context;
    const size_t in = input->linear->in;
    if (input->linear != &c->model->head) return true;
    const struct hessian_rows rows = rows_of(c, input);
    for (size_t r = 0; r < rows.rows; r++) {
        const float scale = rows.row_scale ? rows.row_scale[r] : 1;
        float *out = c->refining.inputs + (c->first_position + r) * refine_padded(in);
        for (size_t k = 0; k < in; k++) {
            out[k] = rows.x[r * rows.stride + k] * scale;
            if (rows.smoothing) out[k] *= rows.smoothing[k];
        }
    }
    return true;
}

static void add_uses(struct calibration *c, size_t rows) {
    for (size_t r = 0; r < rows; r++)
        head_uses_add(&c->uses, c->kernels, c->first_position + r, forward_logits(c->forward, r),
                      c->model->head.out);
}

/* What the head and a projection in front of it read; or when the head is refined, what it gives too. */
static void run_head(struct calibration *c) {
    const size_t rows = head_rows(c->text);
    forward_observe(c->forward, c->refines ? keep_inputs : observe, c);
    for (size_t first = 0; first < c->text->count; first += rows) {
        struct step_entry entry = window_at(c, first);
        entry.count = entry.logit_rows = rows < c->text->count - first ? rows : c->text->count - first;
        c->first_position = first;
        forward_head(c->forward, &entry, c->stream + first * c->stream_stride);
        if (c->refines) add_uses(c, entry.count);
    }
}

/* ---- a linear ---- */

static void refine_panel(struct calibration *c, const double *rows, size_t first, size_t count, void *panel,
                         float *scratch) {
    for (size_t r = 0; r < count; r++)
        refine_row(&c->refining, &c->uses, c->uses.last[first + r], rows + r * c->job->to->in, panel, r,
                   scratch);
}

static void round_tile(void *context, size_t tile, size_t worker) {
    struct calibration *c = context;
    const struct folded_linear *from = c->job->from;
    const struct packed_linear *to = c->job->to;
    const size_t tile_rows = tile_panels(from) * KERNEL_PANEL, first = tile * tile_rows,
                 left = to->out - first;
    const size_t count = left < tile_rows ? left : tile_rows;
    double *rows = c->rows + worker * c->rows_stride;
    folded_linear_rows(from, c->job->first_row + first, count, rows, rows + c->rows_stride - BIAS_ROWS);
    for (size_t r = 0; to->smoothing && r < count; r++)
        for (size_t k = 0; k < to->in; k++) rows[r * to->in + k] /= (double)to->smoothing[k];
    for (size_t r = 0; r < count; r += KERNEL_PANEL) {
        const size_t panel_rows = count - r < KERNEL_PANEL ? count - r : KERNEL_PANEL;
        void *panel = (char *)to->weights + (first + r) / KERNEL_PANEL * kernel_panel_bytes(to->type, to->in);
        float *scratch = c->scratch + worker * c->scratch_stride;
        if (c->refines)
            refine_panel(c, rows + r * to->in, first + r, panel_rows, panel, scratch);
        else
            round_panel(&c->factor, c->kernels, to->type, rows + r * to->in, panel_rows, panel, scratch);
    }
}

/* layer: that it is of, or how many there are for the head. */
static enum status find_factor(struct calibration *c, size_t layer, struct error *e) {
    hessian_begin(&c->hessian, c->job->to->in);
    if (layer < c->model->description->layers)
        run_layer(c, layer, true);
    else
        run_head(c);
    if (c->job->to == &c->model->head && is_refined(c->job->to)) refining_take(&c->refining, &c->hessian);
    return factor_make(&c->factor, &c->hessian, c->workers, e);
}

static void run_tiles(struct calibration *c) {
    const size_t panels = kernel_panels(c->job->to->out), together = tile_panels(c->job->from);
    workers_run(c->workers, round_tile, c, (panels + together - 1) / together);
}

/* By the probabilities that it gives when it is rounded. */
static void refine_head(struct calibration *c) {
    c->refines = true;
    run_head(c);
    run_tiles(c);
    if (c->progress) c->progress(c->context, 1);
}

static enum status round_linears(struct calibration *c, size_t layer, const struct job *jobs, size_t count,
                                 struct error *e) {
    const size_t stages = c->model->description->layers + (is_refined(&c->model->head) ? 2 : 1);
    for (size_t i = 0; i < count; i++) {
        c->job = &jobs[i];
        enum status status = jobs[i].has_inputs_before ? STATUS_OK : find_factor(c, layer, e);
        if (status != STATUS_OK) return status;
        run_tiles(c);
        if (c->progress) c->progress(c->context, (double)(layer * count + i + 1) / (double)(stages * count));
    }
    return STATUS_OK;
}

static enum status run(struct calibration *c, struct error *e) {
    const size_t layers = c->model->description->layers;
    struct job jobs[LINEARS];
    embed(c);
    for (size_t layer = 0; layer < layers; layer++) {
        enum status status = round_linears(c, layer, jobs, list_jobs(c, layer, jobs), e);
        if (status != STATUS_OK) return status;
        run_layer(c, layer, false);
    }
    enum status status = round_linears(c, layers, jobs, list_head_jobs(c, jobs), e);
    if (status == STATUS_OK && is_refined(&c->model->head)) refine_head(c);
    return status;
}

enum status calibrate_model(struct packed_model *model, const struct folded_model *folded,
                            const struct calibrate_text *text, const struct kernel_table *kernels,
                            struct workers *workers, pack_progress_fn progress, void *context,
                            struct error *e) {
    struct calibration c = {.model = model,
                            .folded = folded,
                            .text = text,
                            .kernels = kernels,
                            .workers = workers,
                            .progress = progress,
                            .context = context};
    enum status status = calibrate_check(model, e);
    assert(text->count % text->window == 0);
    if (status == STATUS_OK) status = calibration_init(&c, e);
    if (status == STATUS_OK) status = run(&c, e);
    calibration_deinit(&c);
    return status;
}
