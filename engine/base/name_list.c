#include "engine/base/name_list.h"

#include <stdio.h>
#include <string.h>

void name_list_add(char *list, size_t size, const char *name) {
    const char *separator = *list ? ", " : "";
    size_t used = strlen(list);
    if (used + strlen(separator) + strlen(name) < size)
        snprintf(list + used, size - used, "%s%s", separator, name);
}
