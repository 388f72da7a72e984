#include "server/service/hub_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LETTERS    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define NAME_BYTES LETTERS "._-"

/* A name in its parts. */
struct hub_name {
    int org_length, name_length;
    const char *org, *name;
    const char *revision; /* "main" where the name has none */
};

/* How many bytes of text a part of a name may be: 0 where none starts here. */
static int part_length(const char *text) {
    return *text == '.' || *text == '-' ? 0 : (int)strspn(text, NAME_BYTES);
}

/* A revision is a branch, which may have slashes, or a commit. It becomes a part of a path. */
static bool is_revision(const char *text) {
    return *text && *text != '/' && !strstr(text, "..") && strspn(text, NAME_BYTES "/+") == strlen(text);
}

static bool split(const char *text, struct hub_name *out) {
    *out = (struct hub_name){.org = text, .org_length = part_length(text), .revision = "main"};
    if (out->org_length == 0 || text[out->org_length] != '/') return false;
    out->name = text + out->org_length + 1;
    out->name_length = part_length(out->name);
    const char *end = out->name + out->name_length;
    if (out->name_length == 0) return false;
    if (*end == '@') out->revision = end + 1;
    return *end == '@' ? is_revision(out->revision) : *end == '\0';
}

bool hub_cache_is_name(const char *text) {
    struct hub_name unused;
    return split(text, &unused);
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* False where nothing says where it is. */
static bool cache_folder(char *out, size_t size) {
    static const struct {
        const char *variable, *below;
    } places[] = {{"HF_HUB_CACHE", ""},
                  {"HUGGINGFACE_HUB_CACHE", ""}, /* its former name */
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (variable(places[i].variable))
            return snprintf(out, size, "%s%s", variable(places[i].variable), places[i].below) < (int)size;
    return false;
}

/* The commit that a branch or tag stands for, as the first line of its file; "" where there is none. */
static void read_ref(const char *path, char *out, size_t size) {
    /* O_NONBLOCK: opening a FIFO would wait for a writer; it means nothing for regular files. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    *out = '\0';
    if (!file && fd >= 0) close(fd);
    if (!file) return;
    if (!fgets(out, (int)size, file)) *out = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    if (strspn(out, LETTERS) != strlen(out)) *out = '\0';
    fclose(file);
}

/* errno tells why it is none. */
static bool is_folder(const char *path) {
    struct stat info;
    errno = 0;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static enum status not_there(const struct hub_name *n, const char *cache, struct error *e) {
    bool is_main = strcmp(n->revision, "main") == 0;
    return error_set(
        e, STATUS_OPTION, "model",
        "there is no such path, and no model of that name in %s: 'hf download %.*s/%.*s%s%s' fetches it",
        cache, n->org_length, n->org, n->name_length, n->name, is_main ? "" : " --revision ",
        is_main ? "" : n->revision);
}

enum status hub_cache_find(const char *name, char *out, size_t size, struct error *e) {
    struct hub_name n;
    char cache[PATH_MAX] = "the Hugging Face cache", folder[PATH_MAX], ref[2 * PATH_MAX], commit[128];
    if (!split(name, &n)) return error_set(e, STATUS_INVALID_ARGUMENT, "model", "'%s' is not ORG/NAME", name);
    if (!cache_folder(cache, sizeof cache)) return not_there(&n, cache, e);
    int length = snprintf(folder, sizeof folder, "%s/models--%.*s--%.*s", cache, n.org_length, n.org,
                          n.name_length, n.name);
    if (length >= (int)sizeof folder)
        return error_set(e, STATUS_LIMIT, "model", "the path is longer than %d bytes", PATH_MAX - 1);
    snprintf(ref, sizeof ref, "%s/refs/%s", folder, n.revision);
    read_ref(ref, commit, sizeof commit);
    length = snprintf(out, size, "%s/snapshots/%s", folder, *commit ? commit : n.revision);
    if (length >= (int)size)
        return error_set(e, STATUS_LIMIT, "model", "the path is longer than %zu bytes", size - 1);
    if (is_folder(out)) return STATUS_OK;
    if (errno == 0 || errno == ENOENT) return not_there(&n, cache, e);
    return error_set(e, STATUS_OPTION, "model", "%s cannot be read: %s", out, strerror(errno));
}

bool hub_cache_name_of(const char *path, char *out, size_t size) {
    const char *snapshots = strstr(path, "/snapshots/"), *start = snapshots;
    if (!snapshots || strchr(snapshots + strlen("/snapshots/"), '/')) return false;
    while (start > path && start[-1] != '/') start--;
    int length = (int)(snapshots - start);
    if (strncmp(start, "models--", 8) != 0 || length >= (int)size) return false;
    snprintf(out, size, "%.*s", length - 8, start + 8);
    char *between = strstr(out, "--");
    if (!between) return false;
    *between = '/';
    memmove(between + 1, between + 2, strlen(between + 2) + 1);
    return true;
}
