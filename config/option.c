#include "config/option.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/workers.h"
#include "engine/types/limits.h"

#define BIT(id) (1u << COMMAND_##id)

/* The words of the column `commands`. What is said to serve is said to check, which looks whether it would start. */
enum {
    SERVE = BIT(SERVE) | BIT(CHECK),
    GENERATE = BIT(GENERATE),
    VERIFY = BIT(VERIFY),
    CONVERT = BIT(CONVERT),
    BENCH = BIT(BENCH),
    CHECK = BIT(CHECK),
    RUNNING = SERVE | GENERATE, /* the commands that run the engine */
    ANY_COMMAND = (1u << COMMAND_COUNT) - 1
};

/* What a constant's name stands for, as text. */
#define LIMIT_TEXT(number) #number
#define LIMIT(name)        LIMIT_TEXT(name)

const struct option_row option_rows[OPTION_COUNT] = {
#define OPTION(type, field, key, initial, least, most, choices, commands, group, help)                       \
    [OPTION_##field] = {OPTION_TYPE_##type,                                                                  \
                        offsetof(struct config, field),                                                      \
                        key,                                                                                 \
                        initial,                                                                             \
                        least,                                                                               \
                        most,                                                                                \
                        choices,                                                                             \
                        commands,                                                                            \
                        group,                                                                               \
                        help},
#include "config/options.def"
#undef OPTION
};

static void *option_field(struct config *c, enum option_id id) {
    return (char *)c + option_rows[id].offset;
}

/* ---- names ---- */

enum option_id option_find(const char *key, size_t length) {
    for (int id = 0; id < OPTION_COUNT; id++)
        if (strlen(option_rows[id].key) == length && memcmp(option_rows[id].key, key, length) == 0)
            return (enum option_id)id;
    return OPTION_COUNT;
}

#define KEY_LENGTH_MAX 48

/* Edits (insert, delete, replace) from one key to the other; SIZE_MAX where one is too long to be a mistyped
 * key. */
static size_t edit_distance(const char *a, const char *b) {
    size_t a_length = strlen(a), b_length = strlen(b), row[KEY_LENGTH_MAX + 1];
    if (a_length > KEY_LENGTH_MAX || b_length > KEY_LENGTH_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b_length; j++) row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < other ? replaced : other;
        }
    }
    return row[b_length];
}

const char *option_nearest(const char *key) {
    size_t best = 1 + strlen(key) / 3; /* farther than that is not a typing error */
    const char *nearest = NULL;
    for (int id = 0; id < OPTION_COUNT; id++) {
        size_t distance = edit_distance(key, option_rows[id].key);
        if (distance > best || (nearest && distance == best)) continue;
        if (distance >= strlen(option_rows[id].key)) continue; /* nothing of it is there */
        best = distance;
        nearest = option_rows[id].key;
    }
    return nearest;
}

static bool is_same_key(const char *a, const char *b) {
    for (; *a && (*a == '_' ? '-' : *a) == *b; a++, b++) {
    }
    return *a == *b;
}

const char *option_instead_of(const char *key) {
    static const struct {
        const char *name, *instead;
    } rows[] = {
#define FOREIGN_OPTION(name, instead) {name, instead},
#include "config/foreign_options.def"
#undef FOREIGN_OPTION
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_same_key(key, rows[i].name)) return rows[i].instead;
    return NULL;
}

const char *option_variable(enum option_id id, char *out) {
    snprintf(out, OPTION_TEXT_MAX, "PRENORM_%s", option_rows[id].key);
    for (char *at = out; *at; at++) *at = (char)(*at == '-' ? '_' : toupper((unsigned char)*at));
    return out;
}

const char *option_origin(const struct config *c, enum option_id id, enum option_source source, char *out) {
    const char *key = option_rows[id].key;
    switch (source) {
    case SOURCE_DEFAULT:
        snprintf(out, OPTION_TEXT_MAX, "default of %s", key);
        break;
    case SOURCE_FILE:
        snprintf(out, OPTION_TEXT_MAX, "%s in %s", key, c->file);
        break;
    case SOURCE_ENVIRONMENT:
        option_variable(id, out);
        break;
    case SOURCE_FLAG:
        snprintf(out, OPTION_TEXT_MAX, "--%s", key);
        break;
    }
    return out;
}

const struct named_value *option_values(enum option_type type) {
    static const struct named_value *const values[OPTION_TYPE_COUNT] = {
        [OPTION_TYPE_NORM_FORM] = norm_form_choices,       [OPTION_TYPE_WEIGHT_TYPE] = weight_type_choices,
        [OPTION_TYPE_KV_TYPE] = kv_type_choices,           [OPTION_TYPE_MATMUL] = matmul_choices,
        [OPTION_TYPE_KERNEL_ISA] = kernel_isa_choices,     [OPTION_TYPE_SPECULATE] = speculate_choices,
        [OPTION_TYPE_HEAD_WEIGHTS] = head_weights_choices, [OPTION_TYPE_PIN_THREADS] = pin_threads_choices,
    };
    return values[type];
}

void option_choices(enum option_id id, const char *separator, char *out, size_t size) {
    size_t used = 0;
    const struct named_value *value = option_values(option_rows[id].type);
    for (; value && value->name && used < size; value++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s", value->name, value[1].name ? separator : "");
    for (const char *at = option_rows[id].choices; at && *at && used < size;) {
        size_t span = strcspn(at, "|");
        used += (size_t)snprintf(out + used, size - used, "%.*s%s", (int)span, at, at[span] ? separator : "");
        at += span + (at[span] == '|');
    }
}

const char *option_expected(enum option_id id, char *out) {
    const struct option_row *row = &option_rows[id];
    size_t used = 0;
    switch (row->type) {
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_INTEGER:
        snprintf(out, OPTION_TEXT_MAX, "a whole number from %s to %s", row->least, row->most);
        break;
    case OPTION_TYPE_REAL:
        snprintf(out, OPTION_TEXT_MAX, "a number from %s to %s", row->least, row->most);
        break;
    case OPTION_TYPE_BOOL:
        snprintf(out, OPTION_TEXT_MAX, "true or false");
        break;
    case OPTION_TYPE_STRING:
    case OPTION_TYPE_PATH:
    case OPTION_TYPE_LIST:
        snprintf(out, OPTION_TEXT_MAX, "a text that is not empty");
        break;
    default:
        if (!row->choices || strchr(row->choices, '|'))
            used = (size_t)snprintf(out, OPTION_TEXT_MAX, "one of ");
        option_choices(id, ", ", out + used, OPTION_TEXT_MAX - used);
        break;
    }
    return out;
}

enum status option_refuse(const struct config *c, enum option_id id, enum option_source source,
                          const char *found, struct error *e) {
    char origin[OPTION_TEXT_MAX], expected[OPTION_TEXT_MAX];
    return error_set(e, STATUS_INVALID_ARGUMENT, option_origin(c, id, source, origin),
                     "found '%.100s', expected %s", found, option_expected(id, expected));
}

/* ---- values as texts ---- */

/* The shortest digits that give the same double again. */
static void write_real(double value, char *out) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, OPTION_TEXT_MAX, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
}

static void write_list(const struct config_list *list, char *out) {
    size_t used = 0;
    for (size_t i = 0; i < list->count && used < OPTION_TEXT_MAX; i++)
        used += (size_t)snprintf(out + used, OPTION_TEXT_MAX - used, "%s%s", i ? "," : "", list->items[i]);
}

const char *option_value(const struct config *c, enum option_id id, char *out) {
    const struct option_row *row = &option_rows[id];
    const void *field = (const char *)c + row->offset;
    const struct named_value *values = option_values(row->type);
    *out = '\0';
    if (!row->initial && !config_is_set(c, id)) return out;
    switch (row->type) {
    case OPTION_TYPE_SIZE:
        snprintf(out, OPTION_TEXT_MAX, "%zu", *(const size_t *)field);
        break;
    case OPTION_TYPE_INTEGER:
        snprintf(out, OPTION_TEXT_MAX, "%lld", (long long)*(const int64_t *)field);
        break;
    case OPTION_TYPE_REAL:
        write_real(*(const double *)field, out);
        break;
    case OPTION_TYPE_BOOL:
        snprintf(out, OPTION_TEXT_MAX, "%s", *(const bool *)field ? "true" : "false");
        break;
    case OPTION_TYPE_LIST:
        write_list(field, out);
        break;
    default:
        snprintf(out, OPTION_TEXT_MAX, "%s",
                 values ? choice_name(values, *(const int *)field) : *(char *const *)field);
        break;
    }
    return out;
}

/* ---- values: each is false when the text is not one that the row allows ---- */

static bool parse_integer(const struct option_row *row, const char *text, int64_t *out) {
    char *end = NULL;
    size_t digits = strspn(text + (*text == '-'), "0123456789");
    if (!digits || text[digits + (*text == '-')]) return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *out >= strtoll(row->least, NULL, 10) && *out <= strtoll(row->most, NULL, 10);
}

static bool parse_real(const struct option_row *row, const char *text, double *out) {
    char *end = NULL;
    /* strtod would also take "inf", "nan" and hexadecimal numbers. */
    if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out) && *out >= strtod(row->least, NULL) &&
           *out <= strtod(row->most, NULL);
}

static bool parse_bool(const char *text, bool *out) {
    *out = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *out || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool is_choice(const struct option_row *row, const char *text) {
    for (const char *at = row->choices; at;) {
        size_t span = strcspn(at, "|");
        if (span == strlen(text) && memcmp(at, text, span) == 0) return true;
        at = at[span] ? at + span + 1 : NULL;
    }
    return false;
}

static enum status replace_text(char **field, const char *text, struct error *e) {
    char *copy = strdup(text);
    if (!copy) return error_set(e, STATUS_NO_MEMORY, "configuration", "no memory for a value");
    free(*field);
    *field = copy;
    return STATUS_OK;
}

static void list_deinit(struct config_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

static enum status list_append(struct config_list *list, const char *text, struct error *e) {
    char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items) return error_set(e, STATUS_NO_MEMORY, "configuration", "no memory for a list");
    list->items = items;
    items[list->count] = NULL;
    enum status status = replace_text(&items[list->count], text, e);
    if (status == STATUS_OK) list->count++;
    return status;
}

/* Enums are as wide as an int in every ABI that we build for; the table's fields are written as one. */
_Static_assert(sizeof(enum norm_form) == sizeof(int) && sizeof(enum weight_type) == sizeof(int) &&
                   sizeof(enum kv_type) == sizeof(int) && sizeof(enum matmul_kind) == sizeof(int) &&
                   sizeof(enum kernel_isa) == sizeof(int) && sizeof(enum speculate_mode) == sizeof(int) &&
                   sizeof(enum head_weights) == sizeof(int) && sizeof(enum pin_threads) == sizeof(int),
               "an option's enum is written as an int");

static bool set_enum(const struct named_value *values, void *field, const char *text) {
    int value;
    if (!choice_find(values, text, &value)) return false;
    memcpy(field, &value, sizeof value);
    return true;
}

static bool set_number(struct config *c, enum option_id id, const char *text) {
    const struct option_row *row = &option_rows[id];
    void *field = option_field(c, id);
    int64_t integer = 0;
    double real = 0;
    bool truth = false;
    switch (row->type) {
    case OPTION_TYPE_SIZE:
        if (!parse_integer(row, text, &integer)) return false;
        *(size_t *)field = (size_t)integer;
        return true;
    case OPTION_TYPE_INTEGER:
        if (!parse_integer(row, text, &integer)) return false;
        *(int64_t *)field = integer;
        return true;
    case OPTION_TYPE_REAL:
        if (!parse_real(row, text, &real)) return false;
        *(double *)field = real;
        return true;
    default:
        if (!parse_bool(text, &truth)) return false;
        *(bool *)field = truth;
        return true;
    }
}

static bool is_text(const struct option_row *row) {
    return row->type == OPTION_TYPE_STRING || row->type == OPTION_TYPE_PATH ||
           row->type == OPTION_TYPE_CHOICE;
}

static bool is_list(const struct option_row *row) {
    return row->type == OPTION_TYPE_LIST;
}

void option_deinit(struct config *c, enum option_id id) {
    if (is_text(&option_rows[id])) free(*(char **)option_field(c, id));
    if (is_list(&option_rows[id])) list_deinit(option_field(c, id));
}

enum status option_set(struct config *c, enum option_id id, enum option_source source, const char *text,
                       struct error *e) {
    const struct option_row *row = &option_rows[id];
    enum status status = STATUS_OK;
    const struct named_value *values = option_values(row->type);
    bool allowed = row->type == OPTION_TYPE_CHOICE ? is_choice(row, text)
                   : values                        ? set_enum(values, option_field(c, id), text)
                   : is_text(row) || is_list(row)  ? *text != '\0'
                                                   : set_number(c, id, text);
    if (!allowed) return option_refuse(c, id, source, text, e);
    if (is_text(row)) status = replace_text(option_field(c, id), text, e);
    if (is_list(row)) {
        if (c->source[id] != source) list_deinit(option_field(c, id));
        status = list_append(option_field(c, id), text, e);
    }
    if (status == STATUS_OK) c->source[id] = source;
    return status;
}
