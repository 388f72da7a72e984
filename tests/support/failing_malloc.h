/* Lets one allocation fail, the n-th after it was asked for: of the project's own objects, whose calls the
 * linker redirects (tests/CMakeLists.txt: --wrap), and of jansson after engine_process_init. Other shared
 * libraries allocate as ever. Any thread may allocate. Not in every test: it is linked where it is wanted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, n from 1; those after it succeed again. */
void failing_malloc_arm(size_t n);

/* No allocation fails any more. Whether one has, since it was armed. */
bool failing_malloc_disarm(void);

/* How many there were between the last failing_malloc_arm and its failing_malloc_disarm. */
size_t failing_malloc_count(void);
