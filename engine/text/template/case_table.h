/* Characters that become several in upper or title case, in ascending order. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct case_row {
    int32_t point, mapped[3]; /* 0: no more of them */
};
extern const struct case_row case_upper[], case_title[];
extern const size_t case_upper_count, case_title_count;
