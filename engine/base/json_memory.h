/* Memory for jansson. Where its lexer has none for a longer string it loses bytes of it, the closing quote too, and then writes
 * beyond the end of what it copies. So a parse stands between begin and end: once it was refused memory it gets none any more,
 * and ends with an error before that. Any thread; one parse of a thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* In place of malloc, for json_set_alloc_funcs. */
void *json_memory_take(size_t bytes);

/* Also of trees that are made otherwise, where nothing asks for each part whether there was memory for it. */
void json_memory_begin(void);
/* false: there was not enough, so whatever was read is not what the text says. */
bool json_memory_end(void);
