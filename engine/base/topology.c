#include "engine/base/topology.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"

#define CPUS_MAX  8192 /* the kernel's own limit */
#define NODES_MAX 1024

typedef void (*list_fn)(void *context, unsigned number);

/* "0-3,8" as files of the kernel have it: each number below `limit`. */
static void each_of_list(const char *text, unsigned limit, list_fn fn, void *context) {
    while (*text >= '0' && *text <= '9') {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-') last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < limit; i++) fn(context, (unsigned)i);
        if (*end != ',') return;
        text = end + 1;
    }
}

/* The line of root/path that begins with `key` ("": the first), behind that and blanks; "" where there is none. Lists of
 * all CPUs are long. */
struct line {
    char text[16384];
};

static const char *read_line(const char *root, const char *path, const char *key, struct line *line) {
    char whole[PATH_MAX];
    const size_t length = strlen(key);
    bool found = false;
    if (snprintf(whole, sizeof whole, "%s%s", root, path) >= (int)sizeof whole) return "";
    FILE *file = fopen(whole, "re");
    if (!file) return "";
    while (!found && fgets(line->text, sizeof line->text, file))
        found = strncmp(line->text, key, length) == 0;
    fclose(file);
    return found ? line->text + length + strspn(line->text + length, " \t") : "";
}

/* By number of CPU. */
struct cpus {
    const char *root;
    struct line line;
    bool allowed[CPUS_MAX];
    unsigned node[CPUS_MAX], at; /* of CPUs that are marked now */
    unsigned siblings;           /* that are allowed and before `at` */
};

static void allow(void *context, unsigned cpu) {
    ((struct cpus *)context)->allowed[cpu] = true;
}

static void mark(void *context, unsigned cpu) {
    struct cpus *c = context;
    c->node[cpu] = c->at;
}

static void count_sibling(void *context, unsigned cpu) {
    struct cpus *c = context;
    c->siblings += cpu < c->at && c->allowed[cpu];
}

static void mark_node(void *context, unsigned node) {
    struct cpus *c = context;
    struct line line;
    char path[64];
    c->at = node;
    snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpulist", node);
    each_of_list(read_line(c->root, path, "", &line), CPUS_MAX, mark, c);
}

static struct topology_cpu describe(struct cpus *c, unsigned cpu) {
    char path[96];
    c->at = cpu;
    c->siblings = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    each_of_list(read_line(c->root, path, "", &c->line), CPUS_MAX, count_sibling, c);
    return (struct topology_cpu){.cpu = cpu, .node = c->node[cpu], .sibling = c->siblings};
}

static int compare(unsigned a, unsigned b) {
    return (a > b) - (a < b);
}

static int by_sibling(const void *left, const void *right) {
    const struct topology_cpu *a = left, *b = right;
    if (a->sibling != b->sibling) return compare(a->sibling, b->sibling);
    return a->node != b->node ? compare(a->node, b->node) : compare(a->cpu, b->cpu);
}

static int by_node(const void *left, const void *right) {
    const struct topology_cpu *a = left, *b = right;
    if (a->node != b->node) return compare(a->node, b->node);
    return a->sibling != b->sibling ? compare(a->sibling, b->sibling) : compare(a->cpu, b->cpu);
}

static enum status make(struct cpus *c, struct topology **out, struct error *e) {
    size_t count = 0;
    for (unsigned i = 0; i < CPUS_MAX; i++) count += c->allowed[i];
    struct topology *t = memory_aligned(1, sizeof *t + count * sizeof *t->cpu, "CPUs", e);
    if (!t) return STATUS_NO_MEMORY;
    for (unsigned i = 0; i < CPUS_MAX; i++)
        if (c->allowed[i]) t->cpu[t->count++] = describe(c, i);
    qsort(t->cpu, t->count, sizeof *t->cpu, by_sibling);
    *out = t;
    return STATUS_OK;
}

enum status topology_create(const char *root, struct topology **out, struct error *e) {
    struct cpus *c = memory_aligned(1, sizeof *c, "CPUs", e);
    if (!c) return STATUS_NO_MEMORY;
    c->root = root;
    each_of_list(read_line(root, "/proc/self/status", "Cpus_allowed_list:", &c->line), CPUS_MAX, allow, c);
    each_of_list(read_line(root, "/sys/devices/system/node/online", "", &c->line), NODES_MAX, mark_node, c);
    enum status status = make(c, out, e);
    free(c);
    return status;
}

void topology_destroy(struct topology *t) {
    free(t);
}

size_t topology_cores(const struct topology *t) {
    size_t cores = 0;
    while (cores < t->count && t->cpu[cores].sibling == 0) cores++;
    return cores;
}

void topology_place(const struct topology *t, size_t threads, struct topology_cpu *places) {
    for (size_t i = 0; i < threads; i++) places[i] = t->cpu[i % t->count];
    qsort(places, threads, sizeof *places, by_node);
}

void topology_bind(const struct topology *t, const struct topology_cpu *place, bool own_cpu) {
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    const size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    if (!set) return;
    CPU_ZERO_S(size, set);
    for (size_t i = 0; i < t->count; i++)
        if (own_cpu ? t->cpu[i].cpu == place->cpu : t->cpu[i].node == place->node)
            CPU_SET_S(t->cpu[i].cpu, size, set);
    pthread_setaffinity_np(pthread_self(), size, set);
    CPU_FREE(set);
}
