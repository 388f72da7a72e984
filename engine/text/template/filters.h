/* The filters of a template: Jinja's, and the tojson of the transformers library. */
#pragma once

#include "engine/text/template/render.h"

struct filter_row;

/* NULL: Jinja has no such filter either. */
const struct filter_row *filters_find(const struct string *name);
/* Whether we do it; else its name is known alone. */
bool filters_has(const struct filter_row *row);
bool filters_apply(struct render *r, const struct filter_row *row, const struct value *v,
                   const struct arguments *a, struct value *out);
