/* The tests of a template ("is defined"): all of Jinja's. */
#pragma once

#include "engine/text/template/render.h"

struct test_row;

/* NULL: Jinja has no such test either. */
const struct test_row *tests_find(const struct string *name);
bool tests_apply(struct render *r, const struct test_row *row, const struct value *v,
                 const struct arguments *a, bool *out);
