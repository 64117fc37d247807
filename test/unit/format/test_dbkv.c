/* SPDX-License-Identifier: Apache-2.0 */
#include "format/dbkv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/builtin.h"
#include "format/format.h"
#include "lib/hex.h"

static const struct varve_format *const f = &vv_format_dbkv;

/* Of docs/FORMATS.md: delete "x" at time 1 ns; set "k" to int -1 with a ttl of 1.5 s. */
static const char *const examples[] = {
    "00 00 00 1a 00 00 00 00 00 00 00 01 02 01 00 00 00 01 00 00 00 00 00 00 00 78 64 8f 9a 6d",
    "00 00 00 33 00 00 00 00 00 00 00 01 01 00 00 00 00 01 00 00 00 00 00 00 00 6b"
    "00 00 00 00 ff ff ff ff ff ff ff ff 01 01 00 00 00 00 00 00 00 00 65 cd 1d 51 71 19 b6",
};

static void test_dbkv__examples(void **state)
{
    (void)state;
    static const uint8_t types[] = {VARVE_DBKV_DELETE, VARVE_DBKV_SET};
    for (unsigned i = 0; i < 2; i++) {
        const struct varve_format_stamp stamp = {9, 1};
        uint8_t bytes[64], out[64];
        struct varve_format_entry entry;
        size_t len = test_hex(examples[i], bytes);
        assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_RECORD);
        assert_int_equal(entry.type, types[i]);
        assert_int_equal(entry.time, 1);
        struct varve_record record = {.data = bytes + 13, .data_bytes = len - 17};
        vv_format_encode(f, &record, record.data_bytes, &stamp, out);
        assert_memory_equal(out, bytes, len);
    }
}

/* A record of that type and payload, under a right checksum. */
static enum varve_found found_of(uint8_t type, const void *payload, size_t payload_bytes)
{
    size_t len = 17 + payload_bytes;
    uint8_t *bytes = malloc(len);
    struct varve_format_entry entry;
    assert_non_null(bytes);
    vv_put_u32_be(bytes, (uint32_t)len - 4);
    vv_put_u64_be(bytes + 4, 1);
    bytes[12] = type;
    if (payload_bytes > 0)
        memcpy(bytes + 13, payload, payload_bytes);
    vv_put_u32_be(bytes + len - 4, vv_crc32(0, bytes + 4, len - 8));
    enum varve_found found = vv_format_decode(f, bytes, len, len, &entry);
    assert_true(found == VARVE_FOUND_RECORD || entry.reason != NULL);
    free(bytes);
    return found;
}

static void check(uint8_t type, const char *hex, enum varve_found expected)
{
    uint8_t payload[512];
    enum varve_found found = found_of(type, payload, test_hex(hex, payload));
    if (found != expected)
        fail_msg("%u %s: %s", type, hex, vv_format_found_name(found));
}

#define KEY   "0100000000000000 6b"
#define EMPTY "0000000000000000"
#define ONE   "0100000000000000"
#define BAD   VARVE_FOUND_CONTENT
#define GOOD  VARVE_FOUND_RECORD

static void test_dbkv__operations(void **state)
{
    (void)state;
    check(2, "01000000" KEY, GOOD);
    check(2, "01000000" EMPTY, BAD);    /* a key of no bytes */
    check(2, "01000000" ONE "ff", BAD); /* not UTF-8 */
    check(2, "01000000" KEY "00", BAD); /* left over */
    check(2, "02000000" KEY ONE, BAD);  /* type and index */
    check(3, "02000000" KEY ONE, GOOD); /* incr */
    check(3, "02000000" KEY, BAD);      /* without a delta */
    check(4, "03000000" KEY ONE, GOOD); /* decr */
    check(1, "00000000" KEY "07000000 00", GOOD);
    check(1, "00000000" KEY "07000000 02", BAD); /* neither there nor absent */
    check(1, "00000000" KEY "07000000 01" ONE "ffc99a3b", GOOD);
    check(1, "00000000" KEY "07000000 01" ONE "00ca9a3b", BAD); /* 1,000,000,000 ns */
    check(1, "00000000" KEY "08000000 00", BAD);
    check(7, "06000000" KEY "07000000 00", GOOD);
    check(5, "04000000" EMPTY "00", GOOD);
    check(5, "04000000" ONE KEY "07000000 00", GOOD);
    check(5, "04000000" ONE KEY "07000000", BAD);
    check(5, "04000000 ffffffffffffffff" KEY "07000000 00", BAD); /* a count that cannot be */
    check(6, "05000000" EMPTY, GOOD);
    check(6, "05000000" ONE KEY, GOOD);
    check(6, "05000000" ONE EMPTY "00", BAD);
    check(8, "07000000" KEY "0200000000000000 6f31" ONE "00000000", GOOD);
    check(8, "07000000" KEY "0200000000000000 6f31", BAD); /* a lock without its ttl */
    check(9, "08000000" KEY EMPTY, GOOD);
    check(10, "09000000" KEY EMPTY ONE "00000000", GOOD);
    check(11, "0a000000" KEY, BAD);
    check(0, "00000000" KEY "07000000 00", BAD);
    check(255, "fe000000" KEY, BAD);
    check(2, "01000000", BAD);
    check(2, "", BAD);
}

static void test_dbkv__keys(void **state)
{
    (void)state;
    uint8_t payload[512] = {1};
    memset(payload + 12, 'k', 257);
    for (unsigned bytes = 255; bytes <= 257; bytes++) {
        vv_put_u64(payload + 4, bytes);
        assert_int_equal(found_of(2, payload, 12 + bytes), bytes <= 256 ? GOOD : BAD);
    }
}

#define SET_END "00"

static void test_dbkv__values(void **state)
{
    (void)state;
    check(1, "00000000" KEY "00000000 0102030405060708" SET_END, GOOD);
    check(1, "00000000" KEY "00000000 01020304050607" SET_END, BAD);
    check(1, "00000000" KEY "01000000 000000000000f8ff" SET_END, GOOD); /* a NaN is a float as well */
    check(1, "00000000" KEY "02000000 0900000000000000 2d3132332e34353637" SET_END, GOOD);
    check(1, "00000000" KEY "02000000 0100000000000000 2d" SET_END, BAD);
    check(1, "00000000" KEY "03000000 0200000000000000 d0ba" SET_END, GOOD);
    check(1, "00000000" KEY "03000000 0100000000000000 d0" SET_END, BAD);
    check(1, "00000000" KEY "04000000 0100000000000000 d0" SET_END, GOOD);
    check(1, "00000000" KEY "05000000" EMPTY SET_END, GOOD);
    check(1, "00000000" KEY "05000000 0200000000000000 07000000 07000000" SET_END, GOOD);
    check(1, "00000000" KEY "05000000 0300000000000000 07000000 07000000" SET_END, BAD);
    check(1, "00000000" KEY "06000000" ONE EMPTY "07000000" SET_END, GOOD); /* a map's key may be empty */
    check(1, "00000000" KEY "06000000" ONE "0100000000000000 ff 07000000" SET_END, BAD);
    check(1, "00000000" KEY "05000000 ffffffffffffff3f 07000000" SET_END, BAD);
}

/* Lists within lists: 64 and no more, and the machine's stack has no part in it. */
static void test_dbkv__nesting(void **state)
{
    (void)state;
    static const unsigned depths[] = {1, 63, 64, 65, 1000, 100000};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        size_t len = 13 + (size_t)depths[i] * 12 + 4 + 1;
        uint8_t *payload = calloc(1, len), *at = payload + 13;
        assert_non_null(payload);
        payload[4] = 1;
        payload[12] = 'k';
        for (unsigned level = 0; level < depths[i]; level++, at += 12) {
            at[0] = VARVE_DBKV_LIST;
            at[4] = 1;
        }
        at[0] = VARVE_DBKV_NULL;
        assert_int_equal(found_of(1, payload, len), depths[i] <= 64 ? GOOD : BAD);
        free(payload);
    }
}

static bool decimal(const char *text)
{
    return vv_dbkv_is_decimal((const uint8_t *)text, strlen(text));
}

static void test_dbkv__decimals(void **state)
{
    (void)state;
    static const char *const good[] = {"0",         "-0",    "7",
                                       "-123.4567", "00.00", "123456789012345678901234567890"};
    static const char *const bad[] = {"",    "-",     ".",  "1.", ".5",  "-.5", "+1",
                                      "1e5", "1.2.3", " 1", "1 ", "--1", "0x1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(decimal(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(decimal(bad[i]));
    uint8_t payload[128] = {0};
    payload[4] = 1;
    payload[12] = 'k';
    payload[13] = VARVE_DBKV_DECIMAL;
    memset(payload + 25, '1', 65);
    for (uint8_t bytes = 63; bytes <= 65; bytes++) {
        payload[17] = bytes;
        memset(payload + 25 + bytes, 0, 1);
        assert_int_equal(found_of(1, payload, 25u + bytes + 1u), bytes <= 64 ? GOOD : BAD);
        payload[25 + bytes] = '1';
    }
}

static void test_dbkv__lengths(void **state)
{
    (void)state;
    struct varve_format_entry entry;
    uint8_t bytes[64];
    size_t len = test_hex(examples[0], bytes);
    static const uint32_t lengths[] = {0, 1, 12, 10485761, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        vv_put_u32_be(bytes, lengths[i]);
        assert_int_equal(vv_format_decode(f, bytes, len, UINT64_C(1) << 40, &entry), VARVE_FOUND_LENGTH);
    }
    vv_put_u32_be(bytes, 10485760);
    assert_int_equal(vv_format_decode(f, bytes, len, UINT64_C(1) << 40, &entry), VARVE_FOUND_NEED);
    assert_int_equal(entry.bytes, 10485764);
    vv_put_u32_be(bytes, 13); /* in range, and no record is so short */
    assert_int_equal(vv_format_decode(f, bytes, 17, 17, &entry), VARVE_FOUND_CHECKSUM);
    assert_int_equal(f->payload_max, 10485760 - 13);
}

static void test_dbkv__header(void **state)
{
    (void)state;
    struct varve_format_segment segment = {.created_us = UINT64_C(1795178697999999)}, back;
    uint8_t bytes[32], expected[32] = {0};
    const char *reason = NULL;
    f->header_put(&segment, bytes);
    test_hex("4b 56 57 41 4c 30 30 31 00 00 00 01 00 00 00 00 6b 00 40 c9", expected);
    assert_memory_equal(bytes, expected, 32);
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_SOUND);
    assert_true(back.created_us == UINT64_C(1795178697000000));
    bytes[31] = 1;    /* reserved, and not looked at */
    bytes[12] = 0xff; /* before 1970 */
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_SOUND);
    assert_int_equal(back.created_us, 0);
    bytes[11] = 2;
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_VERSION);
    bytes[7] = '2';
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_BAD);
}

static void test_dbkv__names(void **state)
{
    (void)state;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number = 77;
    f->name_put(VARVE_FORMAT_ACTIVE, name);
    assert_string_equal(name, "wal-current.log");
    assert_int_equal(f->name_get(name, &number), VARVE_NAME_SEGMENT);
    assert_true(number == VARVE_FORMAT_ACTIVE);
    f->name_put(VARVE_FORMAT_UNBORN, name);
    assert_string_equal(name, "wal-current-new.log");
    assert_int_equal(f->name_get(name, &number), VARVE_NAME_UNBORN);
    f->name_put(1795178697, name);
    assert_string_equal(name, "wal-1795178697.log");
    assert_int_equal(f->name_get(name, &number), VARVE_NAME_SEGMENT);
    assert_int_equal(number, 1795178697);
    assert_int_equal(f->name_get("snapshot-1795178697.snap", &number), VARVE_NAME_NONE);
    assert_int_equal(f->name_get("wal-01.log", &number), VARVE_NAME_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dbkv__examples), cmocka_unit_test(test_dbkv__operations),
        cmocka_unit_test(test_dbkv__keys),     cmocka_unit_test(test_dbkv__values),
        cmocka_unit_test(test_dbkv__nesting),  cmocka_unit_test(test_dbkv__decimals),
        cmocka_unit_test(test_dbkv__lengths),  cmocka_unit_test(test_dbkv__header),
        cmocka_unit_test(test_dbkv__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
