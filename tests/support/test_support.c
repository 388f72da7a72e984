#include "tests/support/test_support.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

const char *test_source_path(const char *relative) {
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", PRENORM_SOURCE_DIR, relative);
    return path;
}

char *test_folder_create(void) {
    const char *base = getenv("TMPDIR");
    char *folder = NULL;
    if (asprintf(&folder, "%s/prenorm-test-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(folder))
        fail_msg("cannot make a temporary folder");
    return folder;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

void test_folder_remove(char *folder) {
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

void test_file_write(const char *folder, const char *name, const void *bytes, size_t length) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
        fail_msg("cannot write %s", path);
}

char *test_folder_of_tales(void) {
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    char *folder = test_folder_create(), from[PATH_MAX], to[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(from, sizeof from, "%s/%s", test_source_path("deploy/models/tales"), names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    return folder;
}

char *test_file_read(const char *folder, const char *name, size_t *length) {
    char path[2048];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) fail_msg("cannot read %s", path);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) fail_msg("cannot read %s", path);
    fclose(file);
    bytes[size] = '\0';
    if (length) *length = (size_t)size;
    return bytes;
}

bool test_says(const char *text, const char *words) {
    for (;; words++) {
        size_t length = strcspn(words, "|");
        if (!memmem(text, strlen(text), words, length)) return false;
        words += length;
        if (!*words) return true;
    }
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

size_t test_each_folder(const char *folder, void (*each)(const char *path, const char *name, void *context),
                        void *context) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);
    size_t folders = 0;
    for (int i = 0; i < count; i++) {
        char path[2048];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            each(path, entries[i]->d_name, context);
            folders++;
        }
        free(entries[i]);
    }
    free(entries);
    return folders;
}
