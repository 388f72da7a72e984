/* In every test program: where the environment names a file for it, a line with the program's name is added to it at its end if
 * it has ever started a thread. run.sh takes from it in which programs the thread sanitizer has anything to see. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
static const bool __libc_single_threaded = false; /* it may have */
#endif

__attribute__((destructor)) static void note_threads(void) {
    const char *name = getenv("TEST_THREADS_NOTED");
    if (!name || __libc_single_threaded) return; /* the C library clears it once and for all */
    FILE *file = fopen(name, "ae");
    if (!file) return;
    fprintf(file, "%s\n", program_invocation_short_name);
    fclose(file);
}
