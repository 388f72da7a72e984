/* The classes of characters that regular expressions name.
 *
 * \d, \w and \s mean different sets in ECMAScript, RE2, Rust and Python, and a few letters differ in case in some of them
 * only. Whoever checks a text that was made here may be any of them, so a class has two sizes: what all of them take for it,
 * and what any of them does. A text is let through by the narrow one, and kept out by the wide one. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/grammar/sources/point_set.h"

enum point_class_size { POINT_CLASS_NARROW, POINT_CLASS_WIDE };

/* letter: 'd', 's' or 'w'. */
void point_class_add_perl(struct point_set *s, char letter, enum point_class_size size);
/* "alpha" of [:alpha:], ASCII as in RE2. False: there is none of this name. */
bool point_class_add_posix(struct point_set *s, const char *name, size_t length);
/* A general category, "Lu", or a group of them, "L"; "Any". False: there is none of this name. */
bool point_class_add_category(struct point_set *s, const char *name, size_t length);
/* Adds all characters that differ from one of the set in case only. */
void point_class_fold(struct point_set *s, enum point_class_size size);
