#include "tests/support/generated_section.h"

#include "tests/support/test_support.h"

static void write_anew(const char *folder, const char *name, const char *page, const char *begin,
                       const char *text, const char *end) {
    char *updated = NULL;
    assert_true(asprintf(&updated, "%.*s%s%s", (int)(begin - page), page, text, end) > 0);
    test_file_write(folder, name, updated, strlen(updated));
    free(updated);
}

void generated_section_check(const char *folder, const char *name, const char *begin, const char *end,
                             const char *text, const char *command) {
    const char *path = test_source_path(folder);
    char *page = test_file_read(path, name, NULL);
    char *from = strstr(page, begin), *to = from ? strstr(from, end) : NULL;
    if (!to) fail_msg("%s/%s has no part between '%s' and '%s'", folder, name, begin, end);
    from += strlen(begin);
    bool same = (size_t)(to - from) == strlen(text) && memcmp(from, text, strlen(text)) == 0;
    if (!same && getenv("PRENORM_UPDATE"))
        write_anew(path, name, page, from, text, to);
    else if (!same)
        fail_msg("%s/%s is behind the code: run PRENORM_UPDATE=1 %s and look at the change", folder, name,
                 command);
    free(page);
}
