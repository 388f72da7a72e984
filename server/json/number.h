/* Numbers of a JSON body. Pure: any thread. */
#pragma once

#include <jansson.h>
#include <stdint.h>

enum json_integer {
    JSON_INTEGER_IS,
    JSON_INTEGER_IS_NOT,  /* no number, or one with a fraction */
    JSON_INTEGER_IS_HUGE, /* without a fraction, but beyond int64: json_number_value says where it lies */
};

/* An integral number is an integer however it is written: 8, 8.0 and 80e-1 are the same. */
enum json_integer json_integer_read(const json_t *value, int64_t *out);
