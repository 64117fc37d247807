/* SPDX-License-Identifier: Apache-2.0 */
#include "format/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"

static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t origin[VV_RECORD_ORIGIN_BYTES] = "0123456789abcdef";

static uint32_t seed_of(uint64_t lsn)
{
    return vv_record_seed(vv_record_log_seed(uuid), lsn);
}

/* A whole record as it stands in a body; returns its bytes with padding. */
static size_t put(uint8_t *out, uint64_t lsn, const void *payload, uint32_t bytes, uint8_t type,
                  uint8_t flags)
{
    size_t head = vv_record_head(out, bytes, type, flags, 77, UINT64_C(0x0102030405060708), origin);
    size_t whole = (size_t)vv_record_bytes(bytes, flags & VV_RECORD_FLAG_TXN);
    memset(out + head, 0, whole - head);
    if (bytes != 0) {
        memcpy(out + head, payload, bytes);
    }
    vv_put_u32(out, vv_crc32c(seed_of(lsn), out + 4, head + bytes - 4));
    return whole;
}

static void test_record__round_trip(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 7, 8, 9, 100, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint8_t flags = 0; flags < 2; flags++) {
            uint8_t payload[5000], *body = malloc(6000);
            struct vv_record r;
            uint64_t next = 0;
            assert_non_null(body);
            memset(payload, 'x', sizeof payload);
            size_t whole = put(body, 9, payload, sizes[i], 200, flags);
            assert_int_equal(whole % 8, 0);
            assert_int_equal(vv_record_decode(body, whole, 0, seed_of(9), &r, &next), VV_RECORD_OK);
            assert_int_equal(next, whole);
            assert_int_equal(r.payload_bytes, sizes[i]);
            assert_int_equal(r.type, 200);
            assert_int_equal(r.flags, flags);
            assert_int_equal(r.delta_us, 77);
            assert_memory_equal(r.payload, payload, sizes[i]);
            assert_int_equal(r.crc, r.crc_computed);
            assert_int_equal(r.txn_id, flags ? UINT64_C(0x0102030405060708) : 0);
            if (flags) {
                assert_memory_equal(r.origin, origin, sizeof origin);
            } else {
                assert_null(r.origin);
            }
            free(body);
        }
    }
}

static void test_record__layout(void **state)
{
    (void)state;
    uint8_t body[64];
    assert_int_equal(put(body, 1, "abc", 3, 9, 1), 48);
    assert_int_equal(vv_get_u32(body + 4), 3);
    assert_int_equal(body[8], 9);
    assert_int_equal(body[9], 1);
    assert_int_equal(vv_get_u16(body + 10), 0);
    assert_int_equal(vv_get_u32(body + 12), 77);
    assert_int_equal(body[16], 8);
    assert_memory_equal(body + 24, origin, 16);
    assert_memory_equal(body + 40, "abc\0\0\0\0\0", 8);
    assert_int_equal(put(body, 1, "abc", 3, 9, 0), 24);
    assert_memory_equal(body + 16, "abc\0\0\0\0\0", 8);
}

/* It says of itself where it stands: under another LSN or in another log it is not a record. */
static void test_record__in_its_place(void **state)
{
    (void)state;
    uint8_t body[64], other[16] = {2};
    struct vv_record r;
    uint64_t next;
    size_t whole = put(body, 5, "abc", 3, 0, 0);
    assert_int_equal(vv_record_decode(body, whole, 0, seed_of(5), &r, &next), VV_RECORD_OK);
    assert_int_equal(vv_record_decode(body, whole, 0, seed_of(6), &r, &next), VV_RECORD_DAMAGED);
    assert_int_equal(vv_record_decode(body, whole, 0, vv_record_seed(vv_record_log_seed(other), 5), &r,
                                      &next),
                     VV_RECORD_DAMAGED);
}

static void test_record__zeros_are_no_record(void **state)
{
    (void)state;
    uint8_t body[64] = {0};
    struct vv_record r;
    uint64_t next;
    for (uint64_t lsn = 1; lsn < 100; lsn++) {
        assert_int_equal(vv_record_decode(body, sizeof body, 0, seed_of(lsn), &r, &next), VV_RECORD_DAMAGED);
    }
}

/* Every bit but those of the padding counts, in memory that ends with the body. */
static void test_record__every_bit(void **state)
{
    (void)state;
    for (uint8_t flags = 0; flags < 2; flags++) {
        uint8_t whole[64];
        size_t bytes = put(whole, 5, "abcde", 5, 3, flags), used = bytes - 3;
        uint8_t *body = malloc(bytes);
        assert_non_null(body);
        for (size_t bit = 0; bit < 8 * bytes; bit++) {
            struct vv_record r;
            uint64_t next;
            memcpy(body, whole, bytes);
            body[bit / 8] = (uint8_t)(body[bit / 8] ^ 1U << bit % 8);
            enum vv_record_status status = vv_record_decode(body, bytes, 0, seed_of(5), &r, &next);
            if (bit / 8 < used) {
                assert_int_not_equal(status, VV_RECORD_OK);
            } else {
                assert_int_equal(status, VV_RECORD_OK);
            }
        }
        free(body);
    }
}

/* A flag that is not known, and a checksum that is right. */
static void test_record__unknown_flags(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit < 8; bit++) {
        uint8_t body[64];
        struct vv_record r;
        uint64_t next;
        size_t whole = put(body, 5, "abc", 3, 0, (uint8_t)(1U << bit));
        assert_int_equal(vv_record_decode(body, whole, 0, seed_of(5), &r, &next), VV_RECORD_DAMAGED);
        assert_int_equal(next, whole);
    }
}

/* No length, offset or body that is too short leads out of the body. */
static void test_record__bounds(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {4, 9, 1000, 1U << 30, (1U << 30) + 1, UINT32_MAX - 39, UINT32_MAX};
    uint8_t whole[64];
    struct vv_record r;
    uint64_t next = 0;
    size_t bytes = put(whole, 5, "abc", 3, 0, 0);
    for (size_t len = 0; len < bytes; len++) {
        uint8_t *body = malloc(len + (len == 0));
        assert_non_null(body);
        memcpy(body, whole, len);
        assert_int_equal(vv_record_decode(body, len, 0, seed_of(5), &r, &next), VV_RECORD_LOST);
        free(body);
    }
    for (size_t i = 1; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t body[24];
        memcpy(body, whole, sizeof body);
        vv_put_u32(body + 4, lengths[i]);
        assert_int_equal(vv_record_decode(body, sizeof body, 0, seed_of(5), &r, &next), VV_RECORD_LOST);
    }
    assert_int_equal(vv_record_decode(whole, bytes, bytes, seed_of(5), &r, &next), VV_RECORD_LOST);
    assert_int_equal(vv_record_decode(whole, bytes, bytes + 8, seed_of(5), &r, &next), VV_RECORD_LOST);
    assert_int_equal(vv_record_decode(whole, bytes, UINT64_MAX, seed_of(5), &r, &next), VV_RECORD_LOST);
    /* A transaction block that does not fit. */
    whole[9] = VV_RECORD_FLAG_TXN;
    assert_int_equal(vv_record_decode(whole, bytes, 0, seed_of(5), &r, &next), VV_RECORD_LOST);
    assert_int_equal(next, 0);
}

static void test_record__one_after_the_other(void **state)
{
    (void)state;
    uint8_t body[256];
    size_t bytes = 0;
    uint64_t at = 0;
    struct vv_record r;
    for (uint64_t lsn = 1; lsn <= 5; lsn++) {
        bytes += put(body + bytes, lsn, "abcdefgh", (uint32_t)lsn, (uint8_t)lsn, lsn == 3);
    }
    body[40] ^= 1; /* in the second: the others are found all the same */
    for (uint64_t lsn = 1; lsn <= 5; lsn++) {
        assert_int_equal(vv_record_decode(body, bytes, at, seed_of(lsn), &r, &at),
                         lsn == 2 ? VV_RECORD_DAMAGED : VV_RECORD_OK);
    }
    assert_int_equal(at, bytes);
    assert_int_equal(vv_record_decode(body, bytes, at, seed_of(6), &r, &at), VV_RECORD_LOST);
}

static void test_record__bytes(void **state)
{
    (void)state;
    assert_int_equal(vv_record_bytes(0, 0), 16);
    assert_int_equal(vv_record_bytes(0, 1), 40);
    assert_int_equal(vv_record_bytes(1, 0), 24);
    assert_int_equal(vv_record_bytes(8, 0), 24);
    assert_int_equal(vv_record_bytes(9, 1), 56);
    assert_int_equal(vv_record_bytes(VV_RECORD_PAYLOAD_MAX, 1), VV_RECORD_PAYLOAD_MAX + 40);
    assert_int_equal(vv_record_bytes(UINT32_MAX, 0), UINT64_C(4294967296) + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record__round_trip),   cmocka_unit_test(test_record__layout),
        cmocka_unit_test(test_record__in_its_place), cmocka_unit_test(test_record__zeros_are_no_record),
        cmocka_unit_test(test_record__every_bit),    cmocka_unit_test(test_record__unknown_flags),
        cmocka_unit_test(test_record__bounds),       cmocka_unit_test(test_record__one_after_the_other),
        cmocka_unit_test(test_record__bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
