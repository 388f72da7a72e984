/* process_* as the client libraries of Prometheus export them, from /proc. What cannot be read is left out. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/metrics/metrics.h"

static void write_one(struct bytes *out, const char *kind, const char *name, const char *help, double value) {
    metrics_head(out, kind, name, help);
    metrics_sample(out, name, "", value);
}

/* Seconds since the epoch at which the machine started; 0 where it cannot be read. */
static double boot_time(void) {
    char line[256];
    double seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (!file) return 0;
    while (seconds == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "btime %lf", &seconds) != 1) seconds = 0;
    fclose(file);
    return seconds;
}

static void write_stat(struct bytes *out) {
    char text[1024];
    unsigned long user, system, virtual_bytes;
    unsigned long long start;
    long resident_pages;
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) return;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *fields = strrchr(text, ')'); /* the name before it may hold anything */
    if (!fields ||
        sscanf(fields + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %llu %lu %ld",
               &user, &system, &start, &virtual_bytes, &resident_pages) != 5)
        return;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    write_one(out, "counter", "process_cpu_seconds_total", "CPU time used.", (double)(user + system) / ticks);
    write_one(out, "gauge", "process_virtual_memory_bytes", "Virtual memory.", (double)virtual_bytes);
    write_one(out, "gauge", "process_resident_memory_bytes", "Resident memory.",
              (double)resident_pages * (double)sysconf(_SC_PAGESIZE));
    static double boot;
    if (boot == 0) boot = boot_time();
    if (boot > 0)
        write_one(out, "gauge", "process_start_time_seconds", "Start, in seconds since the epoch.",
                  boot + (double)start / ticks);
}

static void write_descriptors(struct bytes *out) {
    struct rlimit limit;
    DIR *folder = opendir("/proc/self/fd");
    if (folder) {
        double count = -3; /* ".", ".." and the folder itself */
        while (readdir(folder)) count++;
        closedir(folder);
        write_one(out, "gauge", "process_open_fds", "Open file descriptors.", count);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        write_one(out, "gauge", "process_max_fds", "Most file descriptors that may be open.",
                  (double)limit.rlim_cur);
}

void metrics_write_process(struct bytes *out) {
    write_stat(out);
    write_descriptors(out);
}
