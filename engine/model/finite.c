#include "engine/model/finite.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#define COLUMNS 256 /* that are read together */

static bool is_finite(double value) {
    return fabs(value) <= (double)FLT_MAX;
}

static const char *place_of(const struct tensor *t, char *out, size_t size) {
    snprintf(out, size, "%s: %s", t->file, t->name);
    return out;
}

/* ---- vectors ---- */

/* entry: of the tensor, which may be a matrix that is read row by row. */
static enum status refuse_entry(const struct tensor *t, size_t entry, double value, struct error *e) {
    char where[ERROR_WHERE_BYTES], at[64];
    if (t->rank < 2)
        snprintf(at, sizeof at, "%zu", entry);
    else
        snprintf(at, sizeof at, "%zu, %zu", entry / t->shape[1], entry % t->shape[1]);
    return error_set(e, STATUS_MALFORMED, place_of(t, where, sizeof where),
                     "has %g at [%s], expected finite numbers of f32's range", value, at);
}

/* The first entry that is no finite number, or v->count. */
static size_t find_entry(const struct vector_view *v, bool may_be_least, double *value) {
    double values[COLUMNS];
    for (size_t first = 0, count; v->tensor && first < v->count; first += count) {
        count = v->count - first < COLUMNS ? v->count - first : COLUMNS;
        vector_read_part(v, first, count, values);
        for (size_t i = 0; i < count; i++)
            if (!is_finite(values[i]) && !(may_be_least && values[i] == -INFINITY)) {
                *value = values[i];
                return first + i;
            }
    }
    return v->count;
}

/* may_be_least: -infinity is allowed. */
static enum status check_entries(const struct vector_view *v, bool may_be_least, struct error *e) {
    double value = 0;
    const size_t i = find_entry(v, may_be_least, &value);
    if (i == v->count) return STATUS_OK;
    return refuse_entry(v->tensor, v->rows ? v->rows[i] : v->first_row + i, value, e);
}

static enum status check_vector(const struct vector_view *v, struct error *e) {
    return check_entries(v, false, e);
}

static enum status check_vectors(const struct vector_view *const *vectors, size_t count, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) status = check_vector(vectors[i], e);
    return status;
}

static enum status check_head_norm(const struct head_norm_view *norm, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < norm->views; i++) {
        if (norm->gain) status = check_vector(&norm->gain[i], e);
        if (norm->bias && status == STATUS_OK) status = check_vector(&norm->bias[i], e);
    }
    return status;
}

static enum status check_sublayer(const struct sublayer_views *s, struct error *e) {
    const struct vector_view *const vectors[] = {
        &s->norm.gain,      &s->norm.bias,      &s->inner_norm.gain, &s->inner_norm.bias,
        &s->post_norm.gain, &s->post_norm.bias, &s->outer_norm.gain, &s->outer_norm.bias,
        &s->output.bias,    &s->residual_scale};
    return check_vectors(vectors, sizeof vectors / sizeof *vectors, e);
}

static enum status check_layer(const struct layer_views *l, struct error *e) {
    const struct vector_view *const vectors[] = {&l->query.bias, &l->key.bias, &l->value.bias,
                                                 &l->gate.bias,  &l->up.bias,  &l->head_scale,
                                                 &l->gpas_gate};
    enum status status = check_vectors(vectors, sizeof vectors / sizeof *vectors, e);
    if (status == STATUS_OK) status = check_sublayer(&l->attention, e);
    if (status == STATUS_OK) status = check_sublayer(&l->mlp, e);
    if (status == STATUS_OK) status = check_head_norm(&l->query_norm, e);
    return status == STATUS_OK ? check_head_norm(&l->key_norm, e) : status;
}

/* ---- matrices ---- */

/* Whether it is the adapter's: what the checkpoint has there is finite. */
static bool is_added(const struct matrix_view *m, size_t row, size_t column) {
    struct matrix_view base = *m;
    const struct matrix_part part = {row, 1, column, 1};
    double value;
    base.low_rank = NULL;
    if (!m->low_rank) return false;
    matrix_read_part(&base, &part, &value, 1);
    return is_finite(value);
}

/* Of the adapter's two tensors that by which it is not finite, or the left one where both are. */
static const struct tensor *added_by(const struct low_rank *l, size_t column) {
    for (size_t rank = 0; rank < l->right.shape[0]; rank++) {
        const size_t offset = rank * l->right.stride[0] + column * l->right.stride[1];
        double value;
        dtype_read(l->right.dtype, (const char *)l->right.data + offset * dtype_size(l->right.dtype), 1, 1,
                   &value);
        if (!is_finite(value)) return &l->right;
    }
    return &l->left;
}

/* row, column: of the view; they are told as the tensor has them. */
static enum status refuse(const struct matrix_view *m, size_t row, size_t column, double value,
                          struct error *e) {
    const size_t of_tensor = m->rows ? m->rows[row] : m->first_row + row,
                 at[2] = {m->transposed ? column : of_tensor, m->transposed ? of_tensor : column};
    char where[ERROR_WHERE_BYTES];
    if (!is_added(m, row, column))
        return error_set(e, STATUS_MALFORMED, place_of(m->tensor, where, sizeof where),
                         "has %g at [%zu, %zu], expected finite numbers of f32's range", value, at[0], at[1]);
    return error_set(e, STATUS_MALFORMED, place_of(added_by(m->low_rank, column), where, sizeof where),
                     "makes %g of '%.200s' at [%zu, %zu], expected finite numbers of f32's range", value,
                     m->tensor->name, at[0], at[1]);
}

enum status finite_check_matrix(const struct matrix_view *m, struct error *e) {
    double values[COLUMNS];
    for (size_t row = 0; m->tensor && row < m->out; row++)
        for (size_t column = 0, columns; column < m->in; column += columns) {
            columns = m->in - column < COLUMNS ? m->in - column : COLUMNS;
            const struct matrix_part part = {row, 1, column, columns};
            matrix_read_part(m, &part, values, COLUMNS);
            for (size_t k = 0; k < columns; k++)
                if (!is_finite(values[k])) return refuse(m, row, column + k, values[k], e);
        }
    return STATUS_OK;
}

enum status finite_check(const struct tensor_views *views, struct error *e) {
    const struct vector_view *const vectors[] = {&views->embedding_norm.gain, &views->embedding_norm.bias,
                                                 &views->final_norm.gain,     &views->final_norm.bias,
                                                 &views->project_in.bias,     &views->project_out.bias};
    enum status status = finite_check_matrix(&views->position, e);
    if (status == STATUS_OK) status = finite_check_matrix(&views->project_in.weight, e);
    for (size_t i = 0; status == STATUS_OK && i < views->description->layers; i++)
        status = check_layer(&views->layers[i], e);
    if (status == STATUS_OK) status = check_vectors(vectors, sizeof vectors / sizeof *vectors, e);
    return status == STATUS_OK ? check_entries(&views->head.bias, true, e) : status;
}
