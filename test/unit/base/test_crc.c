/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/rng.h"

enum {
    LENGTHS = 1100,
    ALIGNMENTS = 16
};

/* One bit after another, from the definition. */
static uint32_t crc_by_bits(uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
        }
    }
    return ~crc;
}

/* RFC 3720, appendix B.4, and the catalogue's check value. */
static void test_crc__vectors(void **state)
{
    (void)state;
    unsigned char buf[32];
    assert_int_equal(vv_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(vv_crc32c(0, "", 0), 0);
    memset(buf, 0, sizeof buf);
    assert_int_equal(vv_crc32c(0, buf, sizeof buf), 0x8a9136aa);
    memset(buf, 0xff, sizeof buf);
    assert_int_equal(vv_crc32c(0, buf, sizeof buf), 0x62a8ab43);
    for (unsigned char i = 0; i < 32; i++) {
        buf[i] = i;
    }
    assert_int_equal(vv_crc32c(0, buf, sizeof buf), 0x46dd794e);
    for (unsigned char i = 0; i < 32; i++) {
        buf[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(vv_crc32c(0, buf, sizeof buf), 0x113fdb5c);
}

static void test_crc__lengths_and_alignments(void **state)
{
    (void)state;
    unsigned char from[LENGTHS + ALIGNMENTS];
    unsigned char to[LENGTHS + ALIGNMENTS + 1];
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed());
    test_rng_fill(&rng, from, sizeof from);
    for (size_t n = 0; n <= LENGTHS; n++) {
        uint32_t seed = (uint32_t)test_rng_next(&rng);
        for (size_t at = 0; at < ALIGNMENTS; at++) {
            uint32_t expected = crc_by_bits(seed, from + at, n);
            size_t to_at = (at * 7 + n) % ALIGNMENTS;
            assert_int_equal(vv_crc32c(seed, from + at, n), expected);
            memset(to, 0xee, sizeof to);
            assert_int_equal(vv_crc32c_copy(seed, to + to_at, from + at, n), expected);
            assert_memory_equal(to + to_at, from + at, n);
            assert_int_equal(to[to_at + n], 0xee);
            assert_true(to_at == 0 || to[to_at - 1] == 0xee);
        }
    }
}

static void test_crc__chains(void **state)
{
    (void)state;
    enum {
        BYTES = 100000
    };
    unsigned char *from = malloc(BYTES);
    unsigned char *to = malloc(BYTES);
    assert_true(from != NULL && to != NULL);
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed());
    test_rng_fill(&rng, from, BYTES);
    uint32_t whole = crc_by_bits(0, from, BYTES);
    assert_int_equal(vv_crc32c(0, from, BYTES), whole);
    assert_int_equal(vv_crc32c_copy(0, to, from, BYTES), whole);
    assert_memory_equal(to, from, BYTES);
    for (int i = 0; i < 300; i++) {
        size_t cut = (size_t)test_rng_below(&rng, BYTES + 1);
        memset(to, 0, BYTES);
        assert_int_equal(vv_crc32c(vv_crc32c(0, from, cut), from + cut, BYTES - cut), whole);
        uint32_t crc = vv_crc32c_copy(0, to, from, cut);
        assert_int_equal(vv_crc32c_copy(crc, to + cut, from + cut, BYTES - cut), whole);
        assert_memory_equal(to, from, BYTES);
    }
    free(from);
    free(to);
}

/* Longer than ISA-L's int can say; all zeros, so that it costs address space and little memory. */
static void test_crc__longer_than_an_int(void **state)
{
    (void)state;
    const size_t bytes = (size_t)5 << 29;
    unsigned char *zeros = calloc(1, bytes);
    if (zeros == NULL) {
        print_message("no %zu bytes of address space\n", bytes);
        skip();
    }
    uint32_t pieces = 0;
    for (size_t at = 0; at < bytes; at += (size_t)1 << 26) {
        pieces = vv_crc32c(pieces, zeros + at, (size_t)1 << 26);
    }
    assert_int_equal(vv_crc32c(0, zeros, bytes), pieces);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc__vectors),
        cmocka_unit_test(test_crc__lengths_and_alignments),
        cmocka_unit_test(test_crc__chains),
        cmocka_unit_test(test_crc__longer_than_an_int),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
