/* The pickle machine: a stack, marks, a memo, and opcodes that push and pop. Each opcode is at least one byte
 * long and pushes at most once, so the length of the pickle bounds everything, and all is allocated at that
 * size before it runs (pages that are not used cost nothing). Nodes refer to each other by index; a pickle
 * can make them cyclic, so whoever walks the tree goes down a fixed number of levels. */
#include "engine/checkpoint/pickle.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL_MAX 5
#define UNSET        UINT32_MAX /* in the memo */
#define ITEM_NONE    0          /* items[0] is not used */
#define ORDERED_DICT UINT32_MAX /* as .global */

struct pickle_item {
    uint32_t key, value; /* nodes; key only in dictionaries */
    uint32_t next;       /* item */
};

struct machine {
    struct pickle *p;
    size_t length, at, opcode_at;
    const char *where;
    const char *const *globals;
    size_t global_count;
    uint32_t node_count, item_count, stack_count, mark_count, memo_count;
    uint32_t *stack; /* nodes */
    uint32_t *marks; /* heights of the stack */
    uint32_t *memo;  /* nodes, by the number they were put under */
    struct error *e;
};

_Static_assert(sizeof(struct pickle_node) + sizeof(struct pickle_item) + 3 * sizeof(uint32_t) <=
                   PICKLE_MEMORY_FACTOR,
               "the limit in the header");

struct operand {
    uint64_t number;         /* little-endian argument; of counted ones the count */
    uint32_t offset, length; /* bytes of a counted argument */
};

typedef enum status (*opcode_fn)(struct machine *m, const struct operand *o);

static enum status __attribute__((format(printf, 3, 4)))
fail(struct machine *m, enum status code, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(m->e, code, m->where, "byte %zu of the pickle: %s", m->opcode_at, text);
}

static enum status push(struct machine *m, uint32_t node) {
    assert(m->stack_count < m->length);
    m->stack[m->stack_count++] = node;
    return STATUS_OK;
}

static enum status push_node(struct machine *m, struct pickle_node node) {
    assert(m->node_count < m->length);
    m->p->nodes[m->node_count] = node;
    return push(m, m->node_count++);
}

/* Nodes that may be popped: those above the last mark. */
static uint32_t available(const struct machine *m) {
    return m->stack_count - (m->mark_count ? m->marks[m->mark_count - 1] : 0);
}

static enum status need(struct machine *m, uint32_t count) {
    if (available(m) >= count) return STATUS_OK;
    return fail(m, STATUS_MALFORMED, "the stack holds %u values; expected %u", available(m), count);
}

/* Takes the last mark off; *first is the place in the stack of the first node above it. */
static enum status pop_mark(struct machine *m, uint32_t *first) {
    if (m->mark_count == 0) return fail(m, STATUS_MALFORMED, "there is no mark on the stack");
    *first = m->marks[--m->mark_count];
    return STATUS_OK;
}

static void append_item(struct machine *m, struct pickle_node *container, uint32_t key, uint32_t value) {
    assert(m->item_count < m->length);
    uint32_t item = ++m->item_count;
    m->p->items[item] = (struct pickle_item){.key = key, .value = value, .next = ITEM_NONE};
    if (container->items.first == ITEM_NONE)
        container->items.first = item;
    else
        m->p->items[container->items.last].next = item;
    container->items.last = item;
}

/* Moves the nodes from place first of the stack on into a container; in pairs if it is a dictionary. */
static enum status take_items(struct machine *m, struct pickle_node *container, uint32_t first) {
    uint32_t step = container->kind == PICKLE_DICT ? 2 : 1;
    if ((m->stack_count - first) % step) return fail(m, STATUS_MALFORMED, "a key has no value");
    for (uint32_t i = first; i < m->stack_count; i += step)
        append_item(m, container, m->stack[i], m->stack[i + step - 1]);
    m->stack_count = first;
    return STATUS_OK;
}

static enum status push_container(struct machine *m, enum pickle_kind kind, uint32_t first) {
    struct pickle_node node = {.kind = kind};
    enum status status = take_items(m, &node, first);
    return status == STATUS_OK ? push_node(m, node) : status;
}

static enum status push_marked(struct machine *m, enum pickle_kind kind) {
    uint32_t first = 0;
    enum status status = pop_mark(m, &first);
    return status == STATUS_OK ? push_container(m, kind, first) : status;
}

static enum status push_top(struct machine *m, enum pickle_kind kind, uint32_t count) {
    enum status status = need(m, count);
    return status == STATUS_OK ? push_container(m, kind, m->stack_count - count) : status;
}

/* Adds the nodes from place first on to the container just below them. */
static enum status extend(struct machine *m, enum pickle_kind kind, uint32_t first) {
    uint32_t floor = m->mark_count ? m->marks[m->mark_count - 1] : 0;
    struct pickle_node *container = first > floor ? &m->p->nodes[m->stack[first - 1]] : NULL;
    if (!container || container->kind != kind)
        return fail(m, STATUS_MALFORMED, "items without the %s they belong to",
                    kind == PICKLE_DICT ? "dictionary" : "list");
    return take_items(m, container, first);
}

static enum status extend_marked(struct machine *m, enum pickle_kind kind) {
    uint32_t first = 0;
    enum status status = pop_mark(m, &first);
    return status == STATUS_OK ? extend(m, kind, first) : status;
}

static enum status extend_top(struct machine *m, enum pickle_kind kind, uint32_t count) {
    enum status status = need(m, count + 1);
    return status == STATUS_OK ? extend(m, kind, m->stack_count - count) : status;
}

static enum status push_global(struct machine *m, const char *module, size_t module_length, const char *name,
                               size_t name_length) {
    char text[256];
    struct pickle_node node = {.kind = PICKLE_GLOBAL, .global = ORDERED_DICT};
    int length = snprintf(text, sizeof text, "%.*s %.*s", (int)(module_length < 120 ? module_length : 120),
                          module, (int)(name_length < 120 ? name_length : 120), name);
    bool is_whole = (size_t)length == module_length + 1 + name_length;
    if (is_whole && strcmp(text, "collections OrderedDict") == 0) return push_node(m, node);
    for (node.global = 0; is_whole && node.global < m->global_count; node.global++)
        if (strcmp(text, m->globals[node.global]) == 0) return push_node(m, node);
    char *space = strchr(text, ' ');
    if (space) *space = '.';
    return fail(m, STATUS_UNSUPPORTED,
                "it refers to '%s', which no plain state dict needs; nothing of it was executed", text);
}

static enum status run_protocol(struct machine *m, const struct operand *o) {
    if (o->number >= 2 && o->number <= PROTOCOL_MAX) return STATUS_OK;
    return fail(m, STATUS_UNSUPPORTED, "pickle protocol %u; expected 2 to %d", (unsigned)o->number,
                PROTOCOL_MAX);
}

static enum status run_nothing(struct machine *m, const struct operand *o) {
    (void)m, (void)o;
    return STATUS_OK;
}

static enum status run_other(struct machine *m, const struct operand *o) {
    (void)o;
    return push_node(m, (struct pickle_node){.kind = PICKLE_OTHER});
}

static enum status run_unsigned(struct machine *m, const struct operand *o) {
    return push_node(m, (struct pickle_node){.kind = PICKLE_INTEGER, .integer = (int64_t)o->number});
}

static enum status run_signed(struct machine *m, const struct operand *o) {
    return push_node(m,
                     (struct pickle_node){.kind = PICKLE_INTEGER, .integer = (int32_t)(uint32_t)o->number});
}

/* A number in as many little-endian bytes as it takes, in two's complement. */
static enum status run_long(struct machine *m, const struct operand *o) {
    uint64_t bits = 0;
    if (o->length > 8) return fail(m, STATUS_UNSUPPORTED, "a number of %u bytes; the limit is 8", o->length);
    for (uint32_t i = 0; i < o->length; i++) bits |= (uint64_t)m->p->bytes[o->offset + i] << (8 * i);
    if (o->length && o->length < 8 && bits >> (8 * o->length - 1)) bits |= UINT64_MAX << (8 * o->length);
    return push_node(m, (struct pickle_node){.kind = PICKLE_INTEGER, .integer = (int64_t)bits});
}

static enum status run_text(struct machine *m, const struct operand *o) {
    return push_node(m, (struct pickle_node){.kind = PICKLE_TEXT, .text = {o->offset, o->length}});
}

static enum status run_mark(struct machine *m, const struct operand *o) {
    (void)o;
    assert(m->mark_count < m->length);
    m->marks[m->mark_count++] = m->stack_count;
    return STATUS_OK;
}

static enum status run_pop(struct machine *m, const struct operand *o) {
    (void)o;
    enum status status = need(m, 1);
    if (status == STATUS_OK) m->stack_count--;
    return status;
}

static enum status run_pop_mark(struct machine *m, const struct operand *o) {
    (void)o;
    return pop_mark(m, &m->stack_count);
}

static enum status run_dup(struct machine *m, const struct operand *o) {
    (void)o;
    enum status status = need(m, 1);
    return status == STATUS_OK ? push(m, m->stack[m->stack_count - 1]) : status;
}

#define DEFINE_RUN(name, call)                                                                               \
    static enum status run_##name(struct machine *m, const struct operand *o) {                              \
        (void)o;                                                                                             \
        return call;                                                                                         \
    }

DEFINE_RUN(empty_tuple, push_top(m, PICKLE_TUPLE, 0))
DEFINE_RUN(tuple1, push_top(m, PICKLE_TUPLE, 1))
DEFINE_RUN(tuple2, push_top(m, PICKLE_TUPLE, 2))
DEFINE_RUN(tuple3, push_top(m, PICKLE_TUPLE, 3))
DEFINE_RUN(tuple, push_marked(m, PICKLE_TUPLE))
DEFINE_RUN(empty_list, push_top(m, PICKLE_LIST, 0))
DEFINE_RUN(list, push_marked(m, PICKLE_LIST))
DEFINE_RUN(append, extend_top(m, PICKLE_LIST, 1))
DEFINE_RUN(appends, extend_marked(m, PICKLE_LIST))
DEFINE_RUN(empty_dict, push_top(m, PICKLE_DICT, 0))
DEFINE_RUN(dict, push_marked(m, PICKLE_DICT))
DEFINE_RUN(set_item, extend_top(m, PICKLE_DICT, 2))
DEFINE_RUN(set_items, extend_marked(m, PICKLE_DICT))

/* Two lines of text follow the opcode. */
static enum status run_global(struct machine *m, const struct operand *o) {
    (void)o;
    const char *lines[2];
    size_t lengths[2];
    for (size_t i = 0; i < 2; i++) {
        lines[i] = (const char *)m->p->bytes + m->at;
        const char *end = memchr(lines[i], '\n', m->length - m->at);
        if (!end) return fail(m, STATUS_MALFORMED, "the name of a global is cut short");
        lengths[i] = (size_t)(end - lines[i]);
        m->at += lengths[i] + 1;
    }
    return push_global(m, lines[0], lengths[0], lines[1], lengths[1]);
}

static enum status run_stack_global(struct machine *m, const struct operand *o) {
    (void)o;
    enum status status = need(m, 2);
    if (status != STATUS_OK) return status;
    m->stack_count -= 2;
    const struct pickle_node *module = &m->p->nodes[m->stack[m->stack_count]];
    const struct pickle_node *name = &m->p->nodes[m->stack[m->stack_count + 1]];
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
        return fail(m, STATUS_MALFORMED, "the name of a global is not text");
    return push_global(m, (const char *)m->p->bytes + module->text.offset, module->text.length,
                       (const char *)m->p->bytes + name->text.offset, name->text.length);
}

/* Describes the call. Of an ordered dictionary it is known what it gives: an empty one, to which items are
 * then added. */
static enum status run_reduce(struct machine *m, const struct operand *o) {
    (void)o;
    enum status status = need(m, 2);
    if (status != STATUS_OK) return status;
    m->stack_count -= 2;
    uint32_t callee = m->stack[m->stack_count], arguments = m->stack[m->stack_count + 1];
    const struct pickle_node *global = &m->p->nodes[callee], *tuple = &m->p->nodes[arguments];
    if (global->kind != PICKLE_GLOBAL || tuple->kind != PICKLE_TUPLE)
        return fail(m, STATUS_MALFORMED,
                    "a call of something other than a global, or without a tuple of arguments");
    if (global->global != ORDERED_DICT)
        return push_node(m, (struct pickle_node){.kind = PICKLE_CALL, .call = {callee, arguments}});
    if (tuple->items.first != ITEM_NONE)
        return fail(m, STATUS_UNSUPPORTED, "an OrderedDict made with arguments; expected an empty one");
    return push_node(m, (struct pickle_node){.kind = PICKLE_DICT});
}

/* Sets attributes of the object below: state dicts carry their modules' versions in one. They are of no use
 * here. */
static enum status run_build(struct machine *m, const struct operand *o) {
    (void)o;
    enum status status = need(m, 2);
    if (status != STATUS_OK) return status;
    m->stack_count--;
    if (m->p->nodes[m->stack[m->stack_count - 1]].kind == PICKLE_DICT) return STATUS_OK;
    return fail(m, STATUS_UNSUPPORTED, "attributes for something other than a dictionary");
}

static enum status run_persistent(struct machine *m, const struct operand *o) {
    (void)o;
    enum status status = need(m, 1);
    if (status != STATUS_OK) return status;
    uint32_t id = m->stack[--m->stack_count];
    return push_node(m, (struct pickle_node){.kind = PICKLE_PERSISTENT, .call = {.arguments = id}});
}

static enum status memoize(struct machine *m, uint64_t number) {
    enum status status = need(m, 1);
    if (status != STATUS_OK) return status;
    /* Picklers count up; a number beyond the length of the pickle would only ask for memory. */
    if (number >= m->length)
        return fail(m, STATUS_MALFORMED, "memo number %llu in a pickle of %zu bytes",
                    (unsigned long long)number, m->length);
    m->memo[number] = m->stack[m->stack_count - 1];
    m->memo_count++;
    return STATUS_OK;
}

static enum status run_put(struct machine *m, const struct operand *o) {
    return memoize(m, o->number);
}

static enum status run_memoize(struct machine *m, const struct operand *o) {
    (void)o;
    return memoize(m, m->memo_count);
}

static enum status run_get(struct machine *m, const struct operand *o) {
    if (o->number >= m->length || m->memo[o->number] == UNSET)
        return fail(m, STATUS_MALFORMED, "nothing was put under memo number %llu",
                    (unsigned long long)o->number);
    return push(m, m->memo[o->number]);
}

/* Bytes of the number that follows an opcode; counted arguments have that many bytes more behind it. */
static const struct opcode {
    opcode_fn run;
    unsigned char number_bytes;
    bool is_counted;
} opcodes[256] = {
    [0x80] = {run_protocol, 1, false},
    [0x95] = {run_nothing, 8, false}, /* FRAME: a hint for reading ahead */
    ['N'] = {run_other, 0, false},
    [0x88] = {run_other, 0, false}, /* True */
    [0x89] = {run_other, 0, false}, /* False */
    ['G'] = {run_other, 8, false},  /* a float */
    ['C'] = {run_other, 1, true},   /* bytes */
    ['B'] = {run_other, 4, true},
    [0x8e] = {run_other, 8, true},
    ['K'] = {run_unsigned, 1, false},
    ['M'] = {run_unsigned, 2, false},
    ['J'] = {run_signed, 4, false},
    [0x8a] = {run_long, 1, true},
    [0x8b] = {run_long, 4, true},
    [0x8c] = {run_text, 1, true},
    ['X'] = {run_text, 4, true},
    [0x8d] = {run_text, 8, true},
    ['U'] = {run_text, 1, true}, /* Python 2's plain strings */
    ['T'] = {run_text, 4, true},
    ['('] = {run_mark, 0, false},
    ['0'] = {run_pop, 0, false},
    ['1'] = {run_pop_mark, 0, false},
    ['2'] = {run_dup, 0, false},
    [')'] = {run_empty_tuple, 0, false},
    [0x85] = {run_tuple1, 0, false},
    [0x86] = {run_tuple2, 0, false},
    [0x87] = {run_tuple3, 0, false},
    ['t'] = {run_tuple, 0, false},
    [']'] = {run_empty_list, 0, false},
    ['l'] = {run_list, 0, false},
    ['a'] = {run_append, 0, false},
    ['e'] = {run_appends, 0, false},
    ['}'] = {run_empty_dict, 0, false},
    ['d'] = {run_dict, 0, false},
    ['s'] = {run_set_item, 0, false},
    ['u'] = {run_set_items, 0, false},
    ['c'] = {run_global, 0, false},
    [0x93] = {run_stack_global, 0, false},
    ['R'] = {run_reduce, 0, false},
    ['b'] = {run_build, 0, false},
    ['Q'] = {run_persistent, 0, false},
    ['q'] = {run_put, 1, false},
    ['r'] = {run_put, 4, false},
    [0x94] = {run_memoize, 0, false},
    ['h'] = {run_get, 1, false},
    ['j'] = {run_get, 4, false},
};

static enum status read_operand(struct machine *m, const struct opcode *opcode, struct operand *o) {
    size_t left = m->length - m->at;
    if (opcode->number_bytes > left) return fail(m, STATUS_MALFORMED, "the argument is cut short");
    for (size_t i = 0; i < opcode->number_bytes; i++)
        o->number |= (uint64_t)m->p->bytes[m->at + i] << (8 * i);
    m->at += opcode->number_bytes;
    left -= opcode->number_bytes;
    if (!opcode->is_counted) return STATUS_OK;
    if (o->number > left)
        return fail(m, STATUS_MALFORMED, "an argument of %llu bytes; only %zu are left",
                    (unsigned long long)o->number, left);
    o->offset = (uint32_t)m->at;
    o->length = (uint32_t)o->number;
    m->at += o->length;
    return STATUS_OK;
}

/* One opcode. */
static enum status step(struct machine *m, bool *stop) {
    m->opcode_at = m->at;
    if (m->at == m->length) return fail(m, STATUS_MALFORMED, "it ends without a stop");
    unsigned char code = m->p->bytes[m->at++];
    *stop = code == '.';
    if (*stop) return STATUS_OK;
    struct operand o = {0};
    const struct opcode *opcode = &opcodes[code];
    if (!opcode->run)
        return fail(m, STATUS_UNSUPPORTED, "opcode 0x%02x, which no plain state dict needs", code);
    enum status status = read_operand(m, opcode, &o);
    return status == STATUS_OK ? opcode->run(m, &o) : status;
}

static enum status run(struct machine *m) {
    for (bool stop = false; !stop;) {
        enum status status = step(m, &stop);
        if (status != STATUS_OK) return status;
    }
    if (m->stack_count != 1 || m->mark_count != 0)
        return fail(m, STATUS_MALFORMED, "%u values and %u marks are left at the end; expected 1 value",
                    m->stack_count, m->mark_count);
    m->p->root = &m->p->nodes[m->stack[0]];
    return STATUS_OK;
}

static bool allocate(struct machine *m) {
    m->p->nodes = calloc(m->length, sizeof *m->p->nodes);
    m->p->items = calloc(m->length + 1, sizeof *m->p->items);
    m->stack = calloc(m->length, sizeof *m->stack);
    m->marks = calloc(m->length, sizeof *m->marks);
    m->memo = malloc(m->length * sizeof *m->memo);
    if (!m->p->nodes || !m->p->items || !m->stack || !m->marks || !m->memo) return false;
    memset(m->memo, 0xff, m->length * sizeof *m->memo); /* UNSET */
    return true;
}

enum status pickle_open(const unsigned char *bytes, size_t length, const char *where,
                        const char *const *globals, size_t global_count, struct pickle *p, struct error *e) {
    *p = (struct pickle){.bytes = bytes};
    if (length == 0) return error_set(e, STATUS_MALFORMED, where, "the pickle is empty");
    if (length > PICKLE_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, where, "the pickle has %zu bytes; the limit is %u", length,
                         PICKLE_BYTES_MAX);
    struct machine m = {
        .p = p, .length = length, .where = where, .globals = globals, .global_count = global_count, .e = e};
    enum status status = STATUS_OK;
    if (allocate(&m))
        status = run(&m);
    else
        status = error_set(e, STATUS_NO_MEMORY, where, "cannot allocate for a pickle of %zu bytes", length);
    free(m.stack);
    free(m.marks);
    free(m.memo);
    if (status != STATUS_OK) pickle_close(p);
    return status;
}

void pickle_close(struct pickle *p) {
    free(p->nodes);
    free(p->items);
}

const char *pickle_text(const struct pickle *p, const struct pickle_node *node, size_t *length) {
    assert(node->kind == PICKLE_TEXT);
    *length = node->text.length;
    return (const char *)p->bytes + node->text.offset;
}

bool pickle_text_is(const struct pickle *p, const struct pickle_node *node, const char *text) {
    return node->kind == PICKLE_TEXT && node->text.length == strlen(text) &&
           memcmp(p->bytes + node->text.offset, text, node->text.length) == 0;
}

const struct pickle_node *pickle_callee(const struct pickle *p, const struct pickle_node *node) {
    assert(node->kind == PICKLE_CALL);
    return &p->nodes[node->call.callee];
}

const struct pickle_node *pickle_arguments(const struct pickle *p, const struct pickle_node *node) {
    assert(node->kind == PICKLE_CALL || node->kind == PICKLE_PERSISTENT);
    return &p->nodes[node->call.arguments];
}

size_t pickle_items(const struct pickle *p, const struct pickle_node *node, const struct pickle_node **out,
                    size_t limit) {
    size_t count = 0;
    if (node->kind != PICKLE_TUPLE && node->kind != PICKLE_LIST) return 0;
    for (uint32_t item = node->items.first; item != ITEM_NONE && count <= limit;
         item = p->items[item].next, count++)
        if (count < limit) out[count] = &p->nodes[p->items[item].value];
    return count;
}

bool pickle_next(const struct pickle *p, const struct pickle_node *dict, const struct pickle_item **cursor,
                 const struct pickle_node **key, const struct pickle_node **value) {
    assert(dict->kind == PICKLE_DICT);
    uint32_t next = *cursor ? (*cursor)->next : dict->items.first;
    if (next == ITEM_NONE) return false;
    *cursor = &p->items[next];
    *key = &p->nodes[(*cursor)->key];
    *value = &p->nodes[(*cursor)->value];
    return true;
}
