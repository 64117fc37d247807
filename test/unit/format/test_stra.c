/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/builtin.h"
#include "format/format.h"
#include "lib/hex.h"

static const struct varve_format *const f = &vv_format_stra;

/* Of docs/FORMATS.md: transaction 1, run 00 01 ... 0f, time 2, no payload. */
static const char example[] =
    "25 00 00 00 01 01 00 00 00 00 00 00 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"
    "02 00 00 00 00 00 00 00 cf bd b4 50";

static struct varve_record example_record(void)
{
    struct varve_record record = {.flags = VARVE_RECORD_TXN, .txn_id = 1};
    for (unsigned i = 0; i < VARVE_ORIGIN_BYTES; i++)
        record.origin[i] = (uint8_t)i;
    return record;
}

static void test_stra__example(void **state)
{
    (void)state;
    struct varve_record record = example_record();
    const struct varve_format_stamp stamp = {77, 2};
    struct varve_format_entry entry;
    uint8_t bytes[64], out[64];
    size_t len = test_hex(example, bytes);

    assert_int_equal(len, 41);
    assert_int_equal(vv_format_record_bytes(f, 0), 41);
    vv_format_encode(f, &record, 0, &stamp, out);
    assert_memory_equal(out, bytes, len);
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_RECORD);
    assert_int_equal(entry.bytes, 41);
    assert_int_equal(entry.payload_bytes, 0);
    assert_int_equal(entry.txn_id, 1);
    assert_memory_equal(entry.origin, record.origin, sizeof entry.origin);
    assert_int_equal(entry.time, 2);
    assert_int_equal(entry.flags, VARVE_RECORD_TXN);
    assert_int_equal(entry.lsn, 0);
    assert_int_equal(entry.sum_stored, 0x50b4bdcf);
}

static void test_stra__no_transaction(void **state)
{
    (void)state;
    const struct varve_record record = {.data = "x", .data_bytes = 1, .txn_id = 5, .origin = {1}};
    const struct varve_format_stamp stamp = {0, 3};
    struct varve_format_entry entry;
    uint8_t out[64];
    vv_format_encode(f, &record, 1, &stamp, out);
    assert_int_equal(vv_format_decode(f, out, 42, 42, &entry), VARVE_FOUND_RECORD);
    assert_int_equal(entry.flags, 0);
    assert_int_equal(entry.txn_id, 0);
    assert_int_equal(entry.time, 3);
}

/* The shortest length is 37; a version counts only under a right checksum. */
static void test_stra__lengths_and_versions(void **state)
{
    (void)state;
    struct varve_format_entry entry;
    uint8_t bytes[64];
    size_t len = test_hex(example, bytes);
    for (uint8_t length = 0; length < 37; length++) {
        bytes[0] = length;
        assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_LENGTH);
    }
    bytes[0] = 37;
    bytes[4] = 2;
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_CHECKSUM);
    vv_put_u32(bytes + 37, vv_crc32(0, bytes + 4, 33));
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_VERSION);
}

static void test_stra__header(void **state)
{
    (void)state;
    struct varve_format_segment segment = {.number = 3, .uuid = "0123456789abcdef"}, back;
    uint8_t bytes[32], expected[32];
    const char *reason = NULL;
    f->header_put(&segment, bytes);
    test_hex("53 54 52 41 01 00 00 00 03 00 00 00 00 00 00 00", expected);
    memcpy(expected + 16, "0123456789abcdef", 16);
    assert_memory_equal(bytes, expected, 32);
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_SOUND);
    assert_int_equal(back.number, 3);
    assert_memory_equal(back.uuid, segment.uuid, 16);
    bytes[4] = 2;
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_VERSION);
    bytes[0] = 'T';
    assert_int_equal(f->header_get(bytes, 32, &back, &reason), VARVE_HEADER_BAD);
    assert_int_equal(f->header_get(bytes, 31, &back, &reason), VARVE_HEADER_UNMADE);
}

/* -- MANIFEST -- */

static const char manifest[] = "53 54 52 4d 01 00 00 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f"
                               "08 00 00 00 69 64 65 6e 74 69 74 79"
                               "01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
                               "74 70 b7 82";

static void test_stra__manifest_example(void **state)
{
    (void)state;
    struct varve_format_meta meta, other = {.last_segment = 1};
    struct varve_error error;
    uint8_t bytes[128], out[VARVE_FORMAT_META_MAX];
    size_t len = test_hex(manifest, bytes);
    assert_int_equal(len, 64);
    assert_int_equal(f->meta_get(bytes, len, &meta, &error), 0);
    assert_string_equal(meta.codec, "identity");
    assert_int_equal(meta.last_segment, 1);
    assert_int_equal(meta.watermark, 0);
    assert_int_equal(meta.snapshot, 0);
    for (uint8_t i = 0; i < 16; i++)
        other.uuid[i] = i;
    assert_memory_equal(meta.uuid, other.uuid, 16);
    assert_int_equal(f->meta_put(&other, out), len); /* without a codec's name it is identity */
    assert_memory_equal(out, bytes, len);
}

static void test_stra__manifest_round_trip(void **state)
{
    (void)state;
    struct varve_format_meta meta = {
        .uuid = "0123456789abcdef", .last_segment = 7, .watermark = UINT64_MAX, .snapshot = 3};
    for (size_t n = 1; n < VARVE_FORMAT_CODEC_BYTES; n++) {
        struct varve_format_meta back;
        struct varve_error error;
        uint8_t out[VARVE_FORMAT_META_MAX];
        memset(meta.codec, 'z', n);
        size_t len = f->meta_put(&meta, out);
        assert_int_equal(len, 56 + n);
        assert_int_equal(f->meta_get(out, len, &back, &error), 0);
        assert_memory_equal(&back, &meta, sizeof meta);
    }
}

/* Every bit, every length. */
static void test_stra__manifest_damage(void **state)
{
    (void)state;
    struct varve_format_meta meta;
    struct varve_error error;
    uint8_t bytes[128];
    size_t len = test_hex(manifest, bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(f->meta_get(bytes, len, &meta, &error), VARVE_E_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(f->meta_get(bytes, cut, &meta, &error), VARVE_E_CORRUPT);
    assert_int_equal(f->meta_get(bytes, len + 1, &meta, &error), VARVE_E_CORRUPT);
}

/* Sound, and not one that can be used. */
static void test_stra__manifest_refused(void **state)
{
    (void)state;
    struct varve_format_meta meta = {.last_segment = 1, .codec = "\xff"};
    struct varve_error error;
    uint8_t out[256];
    size_t len = f->meta_put(&meta, out);
    assert_int_equal(f->meta_get(out, len, &meta, &error), VARVE_E_CORRUPT);
    assert_non_null(strstr(error.message, "codec"));
    len = test_hex(manifest, out);
    out[4] = 2;
    vv_put_u32(out + len - 4, vv_crc32(0, out, len - 4));
    assert_int_equal(f->meta_get(out, len, &meta, &error), VARVE_E_VERSION);
    memset(out + 4, 0, sizeof out - 4);
    out[4] = 1;
    out[24] = 64; /* a name of 64 bytes of zeros, and then of letters */
    len = 56 + 64;
    vv_put_u32(out + len - 4, vv_crc32(0, out, len - 4));
    assert_int_equal(f->meta_get(out, len, &meta, &error), VARVE_E_CORRUPT);
    memset(out + 28, 'a', 64);
    vv_put_u32(out + len - 4, vv_crc32(0, out, len - 4));
    assert_int_equal(f->meta_get(out, len, &meta, &error), VARVE_E_CODEC);
}

static void test_stra__names(void **state)
{
    (void)state;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number;
    f->name_put(1000000, name);
    assert_string_equal(name, "wal-1000000.seg");
    assert_int_equal(f->name_get(name, &number), VARVE_NAME_SEGMENT);
    assert_int_equal(number, 1000000);
    assert_int_equal(f->name_get("MANIFEST", &number), VARVE_NAME_NONE);
    assert_int_equal(f->name_get("wal_000001.log", &number), VARVE_NAME_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stra__example),
        cmocka_unit_test(test_stra__no_transaction),
        cmocka_unit_test(test_stra__lengths_and_versions),
        cmocka_unit_test(test_stra__header),
        cmocka_unit_test(test_stra__manifest_example),
        cmocka_unit_test(test_stra__manifest_round_trip),
        cmocka_unit_test(test_stra__manifest_damage),
        cmocka_unit_test(test_stra__manifest_refused),
        cmocka_unit_test(test_stra__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
