/* With which text a model's weights were calibrated: it is written into converted files, and told to clients. */
#pragma once

#include <stddef.h>

/* SHA-256 of the text's bytes in hexadecimal digits, as `sha256sum` prints it. */
#define CALIBRATION_HASH_BYTES 65

/* tokens 0: with none. */
struct calibration_identity {
    char text_sha256[CALIBRATION_HASH_BYTES];
    size_t tokens; /* of the text that were used */
};
