#include "engine/modelfile/checksum.h"

#include "tests/support/test_support.h"

/* Bytes of a fixed pattern, and their XXH64 by the library of its author. */
static const struct {
    size_t size;
    uint64_t sum;
} known[] = {
    {0, 0xef46db3751d8e999u},   {1, 0x1f25c8d0bc1f4bb6u},    {3, 0x31d2363f52e564c9u},
    {4, 0x9bb64b7d66ee9fdau},   {7, 0x9a7b149959ce60d8u},    {8, 0xdab99d95c6f90092u},
    {12, 0xd52e407833af5133u},  {31, 0xa2aa5f33cc4a6119u},   {32, 0x23c3c17ef790fd97u},
    {33, 0x50a7cfc7ba588784u},  {63, 0x5e3e54b431c7493cu},   {64, 0x0eb64b3ef6eeb01fu},
    {100, 0xa61f8d4c170fe531u}, {1000, 0xc0e0f66ac64205d7u}, {65536, 0xa65c58863f85b9f2u},
};

static unsigned char *pattern(size_t size) {
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 7 + i / 256 * 13 + 3);
    return bytes;
}

static void test_known_sums(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        unsigned char *bytes = pattern(known[i].size);
        assert_int_equal(checksum_of(bytes, known[i].size), known[i].sum);
        memmove(bytes + 1, bytes, known[i].size); /* at any alignment */
        assert_int_equal(checksum_of(bytes + 1, known[i].size), known[i].sum);
        free(bytes);
    }
}

static void test_number_of_blocks(void **state) {
    (void)state;
    assert_int_equal(checksum_blocks(0), 0);
    assert_int_equal(checksum_blocks(1), 1);
    assert_int_equal(checksum_blocks(CHECKSUM_BLOCK), 1);
    assert_int_equal(checksum_blocks(CHECKSUM_BLOCK + 1), 2);
    assert_int_equal(checksum_blocks(SIZE_MAX), SIZE_MAX / CHECKSUM_BLOCK + 1);
}

static void count_reports(void *context, double share) {
    assert_true(share > 0 && share <= 1);
    ++*(size_t *)context;
}

/* Many tiles of blocks and a last block that is short: the lowest damaged block is named, whichever worker
 * finds it. */
static void test_the_first_damaged_block(void **state) {
    (void)state;
    struct error e = {0};
    struct workers *workers;
    size_t size = 150 * CHECKSUM_BLOCK + 77, blocks = checksum_blocks(size), reports = 0;
    unsigned char *bytes = pattern(size), *sums = malloc(blocks * 8 + 1);
    assert_ok(workers_create(3, &workers, &e));
    for (size_t i = 0; i < blocks; i++) {
        size_t left = size - i * CHECKSUM_BLOCK;
        uint64_t sum = checksum_of(bytes + i * CHECKSUM_BLOCK, left < CHECKSUM_BLOCK ? left : CHECKSUM_BLOCK);
        memcpy(sums + 1 + i * 8, &sum, 8);
    }
    assert_int_equal(checksum_first_damaged(bytes, size, sums + 1, workers, NULL, NULL), blocks);
    static const size_t damaged[] = {150 * CHECKSUM_BLOCK + 76, 149 * CHECKSUM_BLOCK, 70 * CHECKSUM_BLOCK + 9,
                                     0};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        bytes[damaged[i]] ^= 0x80; /* the earlier ones stay */
        size_t found = checksum_first_damaged(bytes, size, sums + 1, workers, count_reports, &reports);
        assert_int_equal(found, damaged[i] / CHECKSUM_BLOCK);
    }
    workers_destroy(workers);
    free(bytes);
    free(sums);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sums),
        cmocka_unit_test(test_number_of_blocks),
        cmocka_unit_test(test_the_first_damaged_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
