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

enum {
    CASTAGNOLI = 0,
    ISO_HDLC = 1
};

static const uint32_t polynomials[] = {UINT32_C(0x82f63b78), UINT32_C(0xedb88320)};

/* One bit after another, from the definition. */
static uint32_t crc_by_bits_of(int kind, uint32_t crc, const unsigned char *p, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomials[kind] : 0);
        }
    }
    return ~crc;
}

static uint32_t crc_by_bits(uint32_t crc, const unsigned char *p, size_t n)
{
    return crc_by_bits_of(CASTAGNOLI, crc, p, n);
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

/* The catalogue's check value for CRC-32/ISO-HDLC, and values of docs/FORMATS.md. */
static void test_crc__iso_hdlc_vectors(void **state)
{
    (void)state;
    assert_int_equal(vv_crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(vv_crc32(0, NULL, 0), 0);
    assert_int_equal(vv_crc32(77, NULL, 0), 77);
    assert_int_equal(vv_crc32(0, "abc", 3), 0x352441c2);
    assert_int_equal(vv_crc32(0, "\x5a", 1), 0x59bc5767);
    assert_int_equal(vv_crc32_copy(77, NULL, NULL, 0), 77);
}

static void test_crc__iso_hdlc_lengths_and_pieces(void **state)
{
    (void)state;
    enum {
        BYTES = 20000
    };
    unsigned char *from = malloc(BYTES), *to = malloc(BYTES + 1);
    struct test_rng rng;
    assert_true(from != NULL && to != NULL);
    test_rng_init(&rng, test_rng_seed());
    test_rng_fill(&rng, from, BYTES);
    for (size_t n = 0; n <= BYTES; n += n < LENGTHS ? 1 : 1777) {
        uint32_t seed = (uint32_t)test_rng_next(&rng), expected = crc_by_bits_of(ISO_HDLC, seed, from, n);
        size_t cut = (size_t)test_rng_below(&rng, n + 1);
        assert_int_equal(vv_crc32(seed, from, n), expected);
        assert_int_equal(vv_crc32(vv_crc32(seed, from, cut), from + cut, n - cut), expected);
        memset(to, 0xee, BYTES + 1);
        assert_int_equal(vv_crc32_copy(seed, to, from, n), expected);
        assert_memory_equal(to, from, n);
        assert_int_equal(to[n], 0xee);
    }
    free(from);
    free(to);
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

static void test_crc__before(void **state)
{
    (void)state;
    struct test_rng rng;
    unsigned char bytes[200];
    test_rng_init(&rng, 5);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        uint32_t before = (uint32_t)test_rng_next(&rng);
        test_rng_fill(&rng, bytes, n);
        assert_int_equal(vv_crc32c_before(vv_crc32c(before, bytes, n), bytes, n), before);
    }
    assert_int_equal(vv_crc32c_before(0xE3069283, "123456789", 9), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc__before),
        cmocka_unit_test(test_crc__vectors),
        cmocka_unit_test(test_crc__iso_hdlc_vectors),
        cmocka_unit_test(test_crc__iso_hdlc_lengths_and_pieces),
        cmocka_unit_test(test_crc__lengths_and_alignments),
        cmocka_unit_test(test_crc__chains),
        cmocka_unit_test(test_crc__longer_than_an_int),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
