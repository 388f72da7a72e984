/* Folders that look like /proc and /sys below a root of a test's own. */
#pragma once

#include <stdio.h>
#include <sys/stat.h>

#include "tests/support/test_support.h"

/* A folder below root, with all above it. */
static inline void fake_system_folder(const char *root, const char *relative) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, relative);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    mkdir(path, 0755);
}

static inline void fake_system_put(const char *root, const char *folder, const char *name, const char *text) {
    char path[1024];
    fake_system_folder(root, folder);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    test_file_write(root, path, text, strlen(text));
}

/* Nodes of so many cores of so many threads, numbered as firmware does: the first threads of all cores, node by node, then
 * the second ones. The process may run on `allowed`. */
static inline void fake_system_cpus(const char *root, unsigned nodes, unsigned cores, unsigned siblings,
                                    const char *allowed) {
    char folder[128], list[256];
    const unsigned all = nodes * cores;
    snprintf(list, sizeof list, "Name:\ttest\nCpus_allowed_list:\t%s\n", allowed);
    fake_system_put(root, "proc/self", "status", list);
    snprintf(list, sizeof list, "0-%u\n", nodes - 1);
    fake_system_put(root, "sys/devices/system/node", "online", list);
    for (unsigned n = 0; n < nodes; n++) {
        size_t used = 0;
        for (unsigned s = 0; s < siblings; s++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%u-%u", s ? "," : "",
                                     s * all + n * cores, s * all + (n + 1) * cores - 1);
        snprintf(folder, sizeof folder, "sys/devices/system/node/node%u", n);
        fake_system_put(root, folder, "cpulist", list);
    }
    for (unsigned cpu = 0; cpu < all * siblings; cpu++) {
        size_t used = 0;
        for (unsigned s = 0; s < siblings; s++)
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%u", s ? "," : "", s * all + cpu % all);
        snprintf(folder, sizeof folder, "sys/devices/system/cpu/cpu%u/topology", cpu);
        fake_system_put(root, folder, "thread_siblings_list", list);
    }
}
