/* SPDX-License-Identifier: Apache-2.0 */
#include "format/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"

static struct vv_segment_header sample(void)
{
    struct vv_segment_header h = {
        .version = 1,
        .sector_bytes = 512,
        .number = UINT64_C(0x0102030405060708),
        .salt = UINT64_C(0x1112131415161718),
        .capacity = 1 << 20,
        .created_us = UINT64_C(0x2122232425262728),
        .base_lsn = UINT64_C(0x3132333435363738),
        .reused = 1,
        .before = UINT64_C(0x4142434445464748),
    };
    for (unsigned i = 0; i < VV_UUID_BYTES; i++) {
        h.uuid[i] = (uint8_t)(0xa0 + i);
    }
    return h;
}

static void assert_same(const struct vv_segment_header *a, const struct vv_segment_header *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->sector_bytes, b->sector_bytes);
    assert_memory_equal(a->uuid, b->uuid, VV_UUID_BYTES);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->salt, b->salt);
    assert_int_equal(a->capacity, b->capacity);
    assert_int_equal(a->created_us, b->created_us);
    assert_int_equal(a->base_lsn, b->base_lsn);
    assert_int_equal(a->codec, b->codec);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->reused, b->reused);
    assert_int_equal(a->before, b->before);
}

static void test_segment__round_trip(void **state)
{
    (void)state;
    static uint8_t bytes[VV_SEGMENT_HEADER_BYTES];
    struct vv_segment_header h = sample(), back;
    memset(bytes, 0xff, sizeof bytes);
    vv_segment_encode(&h, bytes);
    for (size_t i = VV_SEGMENT_CHECKED_BYTES; i < sizeof bytes; i++) {
        assert_int_equal(bytes[i], 0);
    }
    for (size_t len = VV_SEGMENT_CHECKED_BYTES; len <= sizeof bytes; len += 992) {
        assert_int_equal(vv_segment_decode(bytes, len, &back), VV_SEGMENT_OK);
        assert_same(&h, &back);
        assert_int_equal(back.crc_stored, back.crc_computed);
    }
    h.codec = 7;
    h.sector_bytes = 4096;
    h.capacity = VV_SEGMENT_BYTES_MAX;
    h.number = UINT64_MAX;
    h.base_lsn = 1;
    vv_segment_encode(&h, bytes);
    assert_int_equal(vv_segment_decode(bytes, sizeof bytes, &back), VV_SEGMENT_OK);
    assert_same(&h, &back);
}

/* The offsets are a promise: the table of docs/FORMAT.md. */
static void test_segment__layout(void **state)
{
    (void)state;
    static uint8_t bytes[VV_SEGMENT_HEADER_BYTES];
    struct vv_segment_header h = sample();
    h.codec = 9;
    vv_segment_encode(&h, bytes);
    assert_memory_equal(bytes, "VARVESEG", 8);
    assert_int_equal(vv_get_u32(bytes + 8), 1);
    assert_int_equal(vv_get_u32(bytes + 12), 512);
    assert_int_equal(bytes[16], 0xa0);
    assert_int_equal(bytes[31], 0xaf);
    assert_int_equal(bytes[32], 0x08); /* little-endian */
    assert_int_equal(bytes[39], 0x01);
    assert_int_equal(bytes[40], 0x18);
    assert_int_equal(vv_get_u64(bytes + 48), 1 << 20);
    assert_int_equal(bytes[56], 0x28);
    assert_int_equal(bytes[64], 0x38);
    assert_int_equal(bytes[71], 0x31);
    assert_int_equal(vv_get_u32(bytes + 72), 9);
    assert_int_equal(vv_get_u32(bytes + 76), 0);
    assert_int_equal(vv_get_u32(bytes + 80), 1);
    assert_int_equal(vv_get_u32(bytes + 84), 0);
    assert_int_equal(bytes[88], 0x48);
    assert_int_equal(bytes[95], 0x41);
    for (unsigned i = 96; i < 124; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(vv_get_u32(bytes + 124), vv_crc32c(0, bytes, 124));
}

static void test_segment__every_bit(void **state)
{
    (void)state;
    static uint8_t bytes[VV_SEGMENT_HEADER_BYTES];
    struct vv_segment_header h = sample(), back;
    vv_segment_encode(&h, bytes);
    for (unsigned bit = 0; bit < 8 * VV_SEGMENT_CHECKED_BYTES; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
        assert_int_equal(vv_segment_decode(bytes, sizeof bytes, &back), VV_SEGMENT_BAD);
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
    }
    assert_int_equal(vv_segment_decode(bytes, sizeof bytes, &back), VV_SEGMENT_OK);
}

/* A header that checks, with one field changed. */
static enum vv_segment_status with(unsigned offset, unsigned bytes_count, uint64_t value)
{
    static uint8_t bytes[VV_SEGMENT_HEADER_BYTES];
    struct vv_segment_header h = sample(), back;
    vv_segment_encode(&h, bytes);
    if (bytes_count == 4) {
        vv_put_u32(bytes + offset, (uint32_t)value);
    } else {
        vv_put_u64(bytes + offset, value);
    }
    vv_put_u32(bytes + 124, vv_crc32c(0, bytes, 124));
    return vv_segment_decode(bytes, sizeof bytes, &back);
}

static void test_segment__versions_and_flags(void **state)
{
    (void)state;
    assert_int_equal(with(8, 4, 1), VV_SEGMENT_OK);
    assert_int_equal(with(8, 4, 0), VV_SEGMENT_BAD);
    assert_int_equal(with(8, 4, 2), VV_SEGMENT_NEWER);
    assert_int_equal(with(8, 4, UINT32_MAX), VV_SEGMENT_NEWER);
    for (unsigned bit = 0; bit < 32; bit++) {
        assert_int_equal(with(76, 4, UINT64_C(1) << bit), VV_SEGMENT_FLAGGED);
    }
    assert_int_equal(with(0, 8, 0), VV_SEGMENT_BAD); /* another magic, and a checksum that is right */
}

static void test_segment__bounds(void **state)
{
    (void)state;
    static const uint32_t sectors[] = {0, 1, 256, 511, 513, 768, 8192, UINT32_MAX};
    for (size_t i = 0; i < sizeof sectors / sizeof sectors[0]; i++) {
        assert_int_equal(with(12, 4, sectors[i]), VV_SEGMENT_BAD);
    }
    for (uint32_t sector = 512; sector <= 4096; sector *= 2) {
        assert_int_equal(with(12, 4, sector), VV_SEGMENT_OK);
    }
    assert_int_equal(with(32, 8, 0), VV_SEGMENT_BAD);
    assert_int_equal(with(32, 8, 1), VV_SEGMENT_OK);
    assert_int_equal(with(48, 8, 0), VV_SEGMENT_BAD);
    assert_int_equal(with(48, 8, VV_SEGMENT_BYTES_MIN - 4096), VV_SEGMENT_BAD);
    assert_int_equal(with(48, 8, VV_SEGMENT_BYTES_MIN + 512), VV_SEGMENT_BAD);
    assert_int_equal(with(48, 8, VV_SEGMENT_BYTES_MAX), VV_SEGMENT_OK);
    assert_int_equal(with(48, 8, VV_SEGMENT_BYTES_MAX + 4096), VV_SEGMENT_BAD);
    assert_int_equal(with(48, 8, UINT64_MAX), VV_SEGMENT_BAD);
    assert_int_equal(with(64, 8, 0), VV_SEGMENT_BAD);
    assert_int_equal(with(64, 8, UINT64_MAX), VV_SEGMENT_OK);
}

/* Fewer bytes than a header has, in memory that ends there. */
static void test_segment__short(void **state)
{
    (void)state;
    static uint8_t whole[VV_SEGMENT_HEADER_BYTES];
    struct vv_segment_header h = sample(), back;
    vv_segment_encode(&h, whole);
    for (size_t len = 0; len < VV_SEGMENT_CHECKED_BYTES; len++) {
        uint8_t *bytes = calloc(1, len + (len == 0));
        assert_non_null(bytes);
        assert_int_equal(vv_segment_decode(bytes, len, &back), VV_SEGMENT_BLANK);
        memcpy(bytes, whole, len);
        assert_int_equal(vv_segment_decode(bytes, len, &back), len == 0 ? VV_SEGMENT_BLANK : VV_SEGMENT_BAD);
        free(bytes);
    }
}

static void test_segment__blank(void **state)
{
    (void)state;
    static uint8_t bytes[VV_SEGMENT_HEADER_BYTES + 1];
    struct vv_segment_header back;
    assert_int_equal(vv_segment_decode(bytes, sizeof bytes, &back), VV_SEGMENT_BLANK);
    bytes[VV_SEGMENT_HEADER_BYTES] = 1; /* behind the header: not looked at */
    assert_int_equal(vv_segment_decode(bytes, sizeof bytes, &back), VV_SEGMENT_BLANK);
    bytes[VV_SEGMENT_HEADER_BYTES - 1] = 1;
    assert_int_equal(vv_segment_decode(bytes, sizeof bytes, &back), VV_SEGMENT_BAD);
}

static void test_segment__names(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *name;
    } cases[] = {
        {1, "wal-0000000000000001.seg"},
        {10000000, "wal-0000000000989680.seg"},
        {UINT64_C(0x0123456789abcdef), "wal-0123456789abcdef.seg"},
        {UINT64_MAX, "wal-ffffffffffffffff.seg"},
    };
    char name[VV_SEGMENT_NAME_BYTES];
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vv_segment_name(cases[i].number, name);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(vv_segment_name_parse(name, &number), 1);
        assert_int_equal(number, cases[i].number);
    }
}

static void test_segment__names_of_others(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "wal-",
        "wal-1.seg",
        "wal-000000000000001.seg",
        "wal-00000000000000001.seg",
        "wal-0000000000000000.seg",
        "wal-000000000000000A.seg",
        "wal-000000000000000g.seg",
        "wal-00000000000000 1.seg",
        "wal-+000000000000001.seg",
        "wal-0x00000000000001.seg",
        "WAL-0000000000000001.seg",
        "wal-0000000000000001.SEG",
        "wal-0000000000000001.seh",
        "wal-0000000000000001.seg~",
        "wal_0000000000000001.seg",
        ".wal-000000000000001.seg",
        "spare-0000000000000001.seg",
        "MANIFEST",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t number = 77;
        assert_int_equal(vv_segment_name_parse(names[i], &number), 0);
        assert_int_equal(number, 77);
    }
}

static void test_segment__seed(void **state)
{
    (void)state;
    static const uint8_t salt[] = {0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, '1', '2', '3'};
    uint32_t seed = vv_segment_seed(UINT64_C(0x1112131415161718));
    assert_int_equal(seed, vv_crc32c(0, salt, 8));
    assert_int_equal(vv_crc32c(seed, salt + 8, 3), vv_crc32c(0, salt, sizeof salt));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment__round_trip),      cmocka_unit_test(test_segment__layout),
        cmocka_unit_test(test_segment__every_bit),       cmocka_unit_test(test_segment__versions_and_flags),
        cmocka_unit_test(test_segment__bounds),          cmocka_unit_test(test_segment__short),
        cmocka_unit_test(test_segment__blank),           cmocka_unit_test(test_segment__names),
        cmocka_unit_test(test_segment__names_of_others), cmocka_unit_test(test_segment__seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
