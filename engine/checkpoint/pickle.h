/* Reads a Python pickle (protocols 2 to 5, as documented in CPython's pickletools.py) as data: a tree of
 * numbers, texts, containers, and *descriptions* of the calls that Python would make. Nothing is ever called,
 * and only the globals that the caller lists may be named. Knows as many opcodes as a dictionary of tensors
 * needs, and refuses the rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

/* A tensor takes 100 to 250 bytes of pickle. The memory of the tree is at most PICKLE_MEMORY_FACTOR times as
 * much. */
#define PICKLE_BYTES_MAX     (16u << 20)
#define PICKLE_MEMORY_FACTOR 48

enum pickle_kind {
    PICKLE_INTEGER,
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,       /* dict, or collections.OrderedDict */
    PICKLE_GLOBAL,     /* one of the listed globals */
    PICKLE_CALL,       /* what calling .callee with the tuple .arguments would give */
    PICKLE_PERSISTENT, /* an outside object with the id .arguments */
    PICKLE_OTHER       /* None, booleans, floats, bytes */
};

struct pickle_node {
    enum pickle_kind kind;
    union {
        int64_t integer;
        struct {
            uint32_t offset, length; /* in the bytes of the pickle */
        } text;
        struct {
            uint32_t first, last; /* items; see pickle_next */
        } items;
        uint32_t global; /* its place in the list of globals */
        struct {
            uint32_t callee, arguments; /* nodes */
        } call;
    };
};

struct pickle_item;

struct pickle {
    const unsigned char *bytes;
    struct pickle_node *nodes;
    struct pickle_item *items;
    const struct pickle_node *root;
};

/* Reads the pickle in bytes, which must outlive *p. globals are "module name" each; collections.OrderedDict
 * is known besides. STATUS_UNSUPPORTED for globals and opcodes that are not expected, STATUS_MALFORMED for
 * what no pickler writes; the message says at which byte. where names the source. */
enum status pickle_open(const unsigned char *bytes, size_t length, const char *where,
                        const char *const *globals, size_t global_count, struct pickle *p, struct error *e);
void pickle_close(struct pickle *p);

/* The bytes of a PICKLE_TEXT, not NUL-terminated. */
const char *pickle_text(const struct pickle *p, const struct pickle_node *node, size_t *length);
bool pickle_text_is(const struct pickle *p, const struct pickle_node *node, const char *text);

/* Of a PICKLE_CALL; of a PICKLE_PERSISTENT the id is the arguments. */
const struct pickle_node *pickle_callee(const struct pickle *p, const struct pickle_node *node);
const struct pickle_node *pickle_arguments(const struct pickle *p, const struct pickle_node *node);

/* The items of a tuple or list into out. Returns their number, or limit + 1 where there are more than limit;
 * 0 for other nodes. */
size_t pickle_items(const struct pickle *p, const struct pickle_node *node, const struct pickle_node **out,
                    size_t limit);

/* Walks a dictionary in its order: *cursor is NULL at first; false at the end. */
bool pickle_next(const struct pickle *p, const struct pickle_node *dict, const struct pickle_item **cursor,
                 const struct pickle_node **key, const struct pickle_node **value);
