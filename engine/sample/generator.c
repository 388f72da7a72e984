#include "engine/sample/generator.h"

#include <sys/random.h>

#include "engine/base/clock.h"

#define PHILOX_ROUNDS 10

struct generator_block generator_philox(const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0;
        uint64_t b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (struct generator_block){{c0, c1, c2, c3}};
}

double generator_uniform(int64_t seed, uint32_t choice, uint64_t position, uint32_t attempt) {
    const uint32_t key[2] = {(uint32_t)(uint64_t)seed, (uint32_t)((uint64_t)seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)position, (uint32_t)(position >> 32), choice, attempt};
    struct generator_block block = generator_philox(counter, key);
    uint64_t bits = (uint64_t)block.words[0] << 32 | block.words[1];
    return (double)(bits >> 11) * 0x1p-53;
}

int64_t generator_draw_seed(void) {
    uint64_t bits;
    /* Up to 256 bytes come whole once the system's pool is ready; before that, time will do: this is no
     * secret. */
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (long)sizeof bits)
        bits = clock_ns() * 0x9E3779B97F4A7C15u;
    return (int64_t)(bits >> 11);
}
