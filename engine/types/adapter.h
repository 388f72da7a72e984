/* Which adapter was merged into a model: it is written into converted files, and told to clients. */
#pragma once

/* The name is cut to this, its NUL included. */
#define ADAPTER_NAME_BYTES 128

/* XXH64 (seed 0) of the adapter's two files in hexadecimal digits, as `xxh64sum` prints it. */
#define ADAPTER_HASH_BYTES 17

/* name "": none. */
struct adapter_identity {
    char name[ADAPTER_NAME_BYTES]; /* of its folder, printable UTF-8 */
    char config_xxh64[ADAPTER_HASH_BYTES], weights_xxh64[ADAPTER_HASH_BYTES];
};
