/* The loops of a template, and the variable "loop". */
#pragma once

#include "engine/text/template/eval.h"

struct loop {
    const struct node *node;
    struct scope *around;    /* where it stands */
    struct list *list;       /* of what it goes through */
    const struct node *test; /* elements that fail it are passed over; NULL: none are */
    size_t position, index0, depth0;
    struct value current, before, after; /* after: seen already, else VALUE_MISSING */
    struct list *changed;                /* arguments of the last changed() */
    bool started;
};

enum flow loop_run(struct render *r, struct scope *s, const struct node *node);
bool loop_attribute(struct render *r, struct loop *loop, const struct string *name, struct value *out);
bool loop_length(struct render *r, struct loop *loop, size_t *length);
/* loop(elements) of a recursive one: what its body writes for them. */
bool loop_call(struct render *r, struct loop *loop, const struct arguments *a, struct value *out);
