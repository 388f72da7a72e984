/* The loops of a template, and the variable "loop". */
#pragma once

#include "engine/text/template/eval.h"

struct for_loop {
    const struct node *node;
    struct scope *around;    /* where it stands */
    struct list *list;       /* of what it goes through */
    const struct node *test; /* elements that fail it are passed over; NULL: none are */
    size_t position, index0, depth0;
    struct value current, before, after; /* after: seen already, else VALUE_MISSING */
    struct list *changed;                /* arguments of the last changed() */
    bool started;
    bool completed; /* a turn of the body has come to its end, without break or continue */
};

enum flow for_loop_run(struct render *r, struct scope *s, const struct node *node);
bool for_loop_attribute(struct render *r, struct for_loop *loop, const struct string *name,
                        struct value *out);
bool for_loop_length(struct render *r, struct for_loop *loop, size_t *length);
/* loop(elements) of a recursive one: what its body writes for them. */
bool for_loop_call(struct render *r, struct for_loop *loop, const struct arguments *a, struct value *out);
