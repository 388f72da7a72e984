#include "server/json/number.h"

#include <math.h>

enum json_integer json_integer_read(const json_t *value, int64_t *out) {
    if (json_is_integer(value)) {
        *out = (int64_t)json_integer_value(value);
        return JSON_INTEGER_IS;
    }
    if (!json_is_real(value)) return JSON_INTEGER_IS_NOT;
    double number = json_real_value(value);
    if (number != trunc(number)) return JSON_INTEGER_IS_NOT;
    if (!(number >= -0x1p63 && number < 0x1p63)) return JSON_INTEGER_IS_HUGE; /* a cast would be undefined */
    *out = (int64_t)number;
    return JSON_INTEGER_IS;
}
