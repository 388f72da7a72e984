/* How many compute threads there are unless somebody says so. */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "engine/base/cgroup.h"
#include "engine/base/workers.h"

/* Size of the affinity mask; the mask must be as large as the kernel's, which may know more than CPU_SETSIZE
 * CPUs. Asked of the kernel and not of topology.h: that reads /proc, which a sandbox may not have. */
static size_t affinity_count(void) {
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 16; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE(cpus);
        int result = sched_getaffinity(0, size, set);
        int reason = errno;
        size_t count = result == 0 ? (size_t)CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (result == 0) return count;
        if (reason != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

/* Asked once: later the caller may be bound to some of them. */
size_t workers_default_count(void) {
    static _Atomic size_t known;
    size_t count = atomic_load(&known);
    double cores;
    if (count > 0) return count;
    count = affinity_count();
    /* Part of a core is worth a thread: the quota is spent a little early, but never left unused. */
    if (cgroup_cpu_cores("", &cores) && ceil(cores) < (double)count) count = (size_t)ceil(cores);
    if (count > WORKERS_THREADS_MAX) count = WORKERS_THREADS_MAX;
    if (count < 1) count = 1;
    atomic_store(&known, count);
    return count;
}
