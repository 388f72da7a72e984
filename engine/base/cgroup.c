#include "engine/base/cgroup.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One directory of a hierarchy: what it says is taken into the running result. */
typedef void (*cgroup_visit_fn)(const char *directory, void *result);

/* First line of directory/name; false when it cannot be read. */
static bool read_line(const char *directory, const char *name, char *line, size_t size) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return false;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return ok;
}

static bool parse_number(const char *text, unsigned long long *out) {
    if (*text < '0' || *text > '9') return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool read_number(const char *directory, const char *name, unsigned long long *out) {
    char line[64];
    return read_line(directory, name, line, sizeof line) && parse_number(line, out);
}

static const char *value_of(const char *line, const char *key) {
    size_t length = strlen(key);
    return strncmp(line, key, length) == 0 && line[length] == ' ' ? line + length + 1 : "";
}

/* Pages of files in memory.stat, which the kernel drops before it kills: those of both lists. The lines have
 * the same prefix. What cannot be dropped (shared memory, locked pages) is on other lists. */
static unsigned long long read_file_cache(const char *directory, const char *prefix) {
    static const char *const lists[] = {"inactive_file", "active_file"};
    char path[PATH_MAX], line[128];
    if (snprintf(path, sizeof path, "%s/memory.stat", directory) >= (int)sizeof path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    unsigned long long sum = 0, value, length = strlen(prefix);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, prefix, length) != 0) continue;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            if (parse_number(value_of(line + length, lists[i]), &value)) sum += value;
    }
    fclose(file);
    return sum;
}

/* True when the comma-separated list of a /proc/self/cgroup line holds the controller. */
static bool list_contains(const char *list, const char *end, const char *controller) {
    size_t length = strlen(controller);
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - list) == length && memcmp(list, controller, length) == 0) return true;
        list = stop + 1;
    }
    return false;
}

/* Path of this process's group in the hierarchy of a controller ("" is version 2, whose list is empty),
 * without the slashes at its end. */
static bool find_group(const char *root, const char *controller, char *group, size_t size) {
    char path[PATH_MAX], line[PATH_MAX + 256];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path) return false;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool found = false;
    while (!found && fgets(line, sizeof line, file)) {
        char *list = strchr(line, ':');
        char *end = list ? strchr(list + 1, ':') : NULL;
        if (!end) continue;
        bool match = *controller ? list_contains(list + 1, end, controller) : end == list + 1;
        if (!match) continue;
        size_t length = strcspn(end + 1, "\n");
        while (length && end[length] == '/') length--;
        if (length >= size) break;
        memcpy(group, end + 1, length);
        group[length] = '\0';
        found = true;
    }
    fclose(file);
    return found;
}

/* Visits the group's directory under mount and all above it. Inside a container the path may name directories
 * that only the host sees; those are not there and say nothing, and the mount itself is then the container's
 * own group. */
static void walk_up(const char *root, const char *mount, const char *controller, cgroup_visit_fn visit,
                    void *result) {
    char group[PATH_MAX], directory[PATH_MAX];
    if (!find_group(root, controller, group, sizeof group)) return;
    for (;;) {
        if (snprintf(directory, sizeof directory, "%s%s%s", root, mount, group) < (int)sizeof directory)
            visit(directory, result);
        char *slash = strrchr(group, '/');
        if (!slash) return;
        *slash = '\0';
    }
}

static void take_memory(const char *directory, const char *limit_name, const char *usage_name,
                        const char *cache_prefix, size_t *left) {
    unsigned long long limit, used;
    if (!read_number(directory, limit_name, &limit) || !read_number(directory, usage_name, &used)) return;
    unsigned long long cache = read_file_cache(directory, cache_prefix);
    used = cache < used ? used - cache : 0;
    size_t here = limit > used ? (size_t)(limit - used) : 0;
    if (here < *left) *left = here;
}

static void visit_memory_v2(const char *directory, void *result) {
    take_memory(directory, "memory.max", "memory.current", "", result);
}

static void visit_memory_v1(const char *directory, void *result) {
    take_memory(directory, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_", result);
}

static void take_cores(unsigned long long quota, unsigned long long period, double *cores) {
    if (!quota || !period) return;
    double here = (double)quota / (double)period;
    if (here < *cores) *cores = here;
}

static void visit_cpu_v2(const char *directory, void *result) {
    char line[64];
    unsigned long long quota, period;
    if (!read_line(directory, "cpu.max", line, sizeof line) || !parse_number(line, &quota)) return;
    const char *space = strchr(line, ' ');
    if (space && parse_number(space + 1, &period)) take_cores(quota, period, result);
}

static void visit_cpu_v1(const char *directory, void *result) {
    unsigned long long quota, period;
    if (read_number(directory, "cpu.cfs_quota_us", &quota) &&
        read_number(directory, "cpu.cfs_period_us", &period))
        take_cores(quota, period, result);
}

bool cgroup_memory_left(const char *root, size_t *bytes) {
    /* Version 1 says "no limit" as a number near the top of the range. */
    const size_t unlimited = SIZE_MAX / 4;
    size_t left = unlimited;
    walk_up(root, "/sys/fs/cgroup", "", visit_memory_v2, &left);
    walk_up(root, "/sys/fs/cgroup/unified", "", visit_memory_v2, &left);
    walk_up(root, "/sys/fs/cgroup/memory", "memory", visit_memory_v1, &left);
    if (left >= unlimited) return false;
    *bytes = left;
    return true;
}

bool cgroup_cpu_cores(const char *root, double *cores) {
    const double unlimited = 1e9;
    double least = unlimited;
    walk_up(root, "/sys/fs/cgroup", "", visit_cpu_v2, &least);
    walk_up(root, "/sys/fs/cgroup/unified", "", visit_cpu_v2, &least);
    walk_up(root, "/sys/fs/cgroup/cpu", "cpu", visit_cpu_v1, &least);
    if (least >= unlimited) return false;
    *cores = least;
    return true;
}
