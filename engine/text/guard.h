/* Parts of a text in which no control token is found: what a client has written. A text is still encoded as a whole; a
 * control token is passed over where any byte of it lies in such a part. That is an added token, but for those that are
 * parts of any text: blanks, and letters and digits without a sign that are not marked as special. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"
#include "engine/text/normalize/normalizer.h"
#include "engine/types/text_range.h"

/* Borrows its ranges. Those are of a text of which the one at hand begins at `offset`. No ranges: nothing is guarded. */
struct guard {
    const struct text_range *ranges;
    size_t count, offset;
};

/* Whether a byte of [start, end) of the text at hand is guarded; the first such. */
bool guard_touches(const struct guard *g, size_t start, size_t end, size_t *at);

/* The guarded parts of the normal form of a text, from those of the text: each part is normalised alone, and where the
 * results beside each other are not the form of the whole, what is in doubt is guarded. *ranges is malloc'ed. */
enum status guard_normalized(const struct guard *g, const struct normalizer *n, struct regex_run *run,
                             const char *text, size_t length, bool first, const struct text_buffer *form,
                             struct text_range **ranges, size_t *count, struct error *e);
