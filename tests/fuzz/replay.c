/* Gives a fuzz target every file of the folders that are named, without libFuzzer: what was found once is
 * tried in every build, with every compiler and sanitizer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { INPUT_BYTES_MAX = 1 << 20 };

static size_t replay_file(const char *path) {
    static uint8_t data[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    printf("%s: %zu bytes\n", path, size);
    fflush(stdout); /* the last one is the one that fails */
    LLVMFuzzerTestOneInput(data, size);
    return 1;
}

static size_t replay_folder(const char *folder) {
    struct dirent **entries;
    char path[4096];
    size_t count = 0;
    int found = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') count += replay_file(path);
        free(entries[i]);
    }
    if (found >= 0) free(entries);
    return count;
}

int main(int argc, char **argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++) count += replay_folder(argv[i]);
    printf("%zu inputs\n", count);
    return count ? 0 : 1;
}
