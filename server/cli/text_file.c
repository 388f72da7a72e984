#include "server/cli/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Grows as the file does: it may be a pipe. */
static enum status read_all(FILE *file, const char *option, size_t bytes_max, char **text, size_t *length,
                            struct error *e) {
    size_t capacity = 0, got = 1;
    while (got && *length <= bytes_max) {
        if (*length + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 65536;
            char *larger = realloc(*text, capacity + 1);
            if (!larger) return error_set(e, STATUS_NO_MEMORY, option, "no memory for the text");
            *text = larger;
        }
        got = fread(*text + *length, 1, capacity - *length, file);
        *length += got;
    }
    if (ferror(file)) return error_set(e, STATUS_OPTION, option, "cannot be read: %s", strerror(errno));
    if (*length > bytes_max) return error_set(e, STATUS_OPTION, option, "has more than %zu bytes", bytes_max);
    (*text)[*length] = '\0';
    return STATUS_OK;
}

enum status text_file_read(const char *path, const char *option, size_t bytes_max, char **text,
                           size_t *length, struct error *e) {
    FILE *file = fopen(path, "rb");
    *text = NULL;
    *length = 0;
    if (!file) return error_set(e, STATUS_OPTION, option, "cannot be read: %s", strerror(errno));
    enum status status = read_all(file, option, bytes_max, text, length, e);
    fclose(file);
    if (status == STATUS_OK) return status;
    free(*text);
    *text = NULL;
    return status;
}
