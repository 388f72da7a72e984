/* The registry of mapped ranges is a fixed array: any thread may claim a slot, and the signal handler reads
 * it without a lock. A slot is claimed by its flag, filled, and made visible by its length, which is stored
 * last and cleared first. */
#include "engine/files/mapped_file.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/printable.h"
#include "engine/files/regular_file.h"

#define SLOT_NONE      SIZE_MAX
#define SLOT_PATH_SIZE 256

static struct slot {
    atomic_bool claimed;
    atomic_uintptr_t begin;
    atomic_size_t size;        /* 0: nothing to find here */
    char path[SLOT_PATH_SIZE]; /* the end of the path, where it is longer */
} slots[MAPPED_FILES_MAX];

static size_t slot_claim(const struct mapped_file *m) {
    for (size_t i = 0; i < MAPPED_FILES_MAX; i++) {
        bool claimed = false;
        if (!atomic_compare_exchange_strong(&slots[i].claimed, &claimed, true)) continue;
        size_t length = strlen(m->path), cut = length < SLOT_PATH_SIZE ? 0 : length - SLOT_PATH_SIZE + 1;
        memcpy(slots[i].path, m->path + cut, length - cut + 1);
        printable_text(slots[i].path, length - cut);
        atomic_store(&slots[i].begin, (uintptr_t)m->data);
        atomic_store(&slots[i].size, m->size);
        return i;
    }
    return SLOT_NONE;
}

static void slot_free(size_t slot) {
    atomic_store(&slots[slot].size, 0);
    atomic_store(&slots[slot].claimed, false);
}

static enum status map(int fd, struct mapped_file *m, struct error *e) {
    m->data = (const unsigned char *)"";
    m->slot = SLOT_NONE;
    if (m->size == 0) return STATUS_OK; /* cannot be mapped, need not be */
    void *data = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        enum status status = errno == ENOMEM ? STATUS_NO_MEMORY : STATUS_IO;
        return error_set(e, status, m->path, "cannot map: %s", strerror(errno));
    }
    m->data = data;
    m->slot = slot_claim(m);
    if (m->slot != SLOT_NONE) return STATUS_OK;
    munmap(data, m->size);
    return error_set(e, STATUS_LIMIT, m->path, "more than %d files are mapped", MAPPED_FILES_MAX);
}

enum status mapped_file_open(const char *folder, const char *name, struct mapped_file *m, struct error *e) {
    char path[PATH_MAX];
    int fd;
    enum status status = regular_file_path(folder, name, path, e);
    if (status == STATUS_OK) status = regular_file_open(path, &fd, &m->size, e);
    if (status != STATUS_OK) return status;
    m->path = strdup(path);
    if (m->path)
        status = map(fd, m, e);
    else
        status = error_set(e, STATUS_NO_MEMORY, path, "cannot allocate the path");
    close(fd); /* the mapping holds on to the file */
    if (status != STATUS_OK) {
        free(m->path);
        m->path = NULL;
        return status;
    }
    const char *slash = strrchr(m->path, '/');
    m->name = slash ? slash + 1 : m->path;
    return STATUS_OK;
}

void mapped_file_close(struct mapped_file *m) {
    if (m->slot != SLOT_NONE) {
        slot_free(m->slot);
        munmap((void *)(uintptr_t)m->data, m->size);
    }
    free(m->path);
}

void mapped_file_release(const void *data, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data, end = begin + size;
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    /* Advice only: where it fails the pages merely stay. */
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static const struct slot *slot_find(uintptr_t address) {
    for (size_t i = 0; i < MAPPED_FILES_MAX; i++) {
        size_t size = atomic_load(&slots[i].size);
        uintptr_t begin = atomic_load(&slots[i].begin);
        if (address >= begin && address - begin < size) return &slots[i];
    }
    return NULL;
}

/* Async-signal-safe, as is all that it calls. */
static void handle_bus_error(int number, siginfo_t *info, void *context) {
    (void)context;
    bool is_fault = info->si_code > 0; /* else sent by some process, and si_addr means nothing */
    const struct slot *slot = is_fault ? slot_find((uintptr_t)info->si_addr) : NULL;
    if (slot) {
        /* Threads that work on the same file run into it together: the first one tells, and ends them all. */
        static atomic_flag told = ATOMIC_FLAG_INIT;
        while (atomic_flag_test_and_set(&told)) pause();
        char line[SLOT_PATH_SIZE + 128] = "prenormd: ";
        strcat(line, slot->path);
        strcat(line, ": the file was cut short, or its disk failed, while the model was read from it\n");
        log_from_handler(line);
        _exit(1);
    }
    signal(number, SIG_DFL);
    if (!is_fault) raise(number); /* a fault comes again by itself, with its address intact for a core dump */
}

void mapped_file_install_handler(void) {
    struct sigaction action = {.sa_sigaction = handle_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
