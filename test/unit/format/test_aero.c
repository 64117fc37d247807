/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "format/builtin.h"
#include "format/format.h"
#include "lib/hex.h"
#include "varve/payload.h"

static const struct varve_format *const f = &vv_format_aero;

static const char *const examples[] = {
    "25 00 00 00 00 01 00 00 00 00 00 00 00"
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 8a 15 16 fe",
    "2b 00 00 00 01 02 00 00 00 00 00 00 00 01 00 00 00 63 01 00 00 00 64 01 00 00 00 73"
    "01 00 00 00 31 02 00 00 00 7b 7d 50 a2 57 35",
};

/* Of docs/FORMATS.md. */
static void test_aero__examples(void **state)
{
    (void)state;
    static const struct varve_aero_document documents[] = {
        {.body = {NULL, 0}},
        {{"c", 1}, {"d", 1}, {"s", 1}, {"1", 1}, {"{}", 2}},
    };
    for (uint8_t i = 0; i < 2; i++) {
        const struct varve_format_stamp stamp = {i + 1, 0};
        uint8_t bytes[64], payload[64], out[64];
        struct varve_record record = {.data = payload, .type = i};
        struct varve_format_entry entry;
        size_t len = test_hex(examples[i], bytes);
        assert_int_equal(varve_aero_put(&documents[i], payload, sizeof payload, &record.data_bytes), 0);
        vv_format_encode(f, &record, record.data_bytes, &stamp, out);
        assert_int_equal(vv_format_record_bytes(f, record.data_bytes), len);
        assert_memory_equal(out, bytes, len);
        assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_RECORD);
        assert_int_equal(entry.lsn, i + 1);
        assert_int_equal(entry.type, i);
        assert_int_equal(entry.flags, 0);
    }
}

/* With a right checksum, a head that the format does not have. */
static void test_aero__heads(void **state)
{
    (void)state;
    struct varve_format_entry entry;
    uint8_t bytes[64];
    size_t len = test_hex(examples[0], bytes);
    for (unsigned type = 0; type < 256; type++) {
        bytes[4] = (uint8_t)type;
        vv_put_u32(bytes + len - 4, vv_crc32(0, bytes, len - 4));
        assert_int_equal(vv_format_decode(f, bytes, len, len, &entry),
                         type <= 2 ? VARVE_FOUND_RECORD : VARVE_FOUND_CONTENT);
    }
    bytes[4] = 0;
    bytes[5] = 0; /* sequence number 0 */
    vv_put_u32(bytes + len - 4, vv_crc32(0, bytes, len - 4));
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_CONTENT);
    for (uint8_t length = 0; length < 37; length++) {
        bytes[0] = length;
        assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_LENGTH);
    }
    bytes[0] = 38;
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_CUT);
}

static void test_aero__names_and_codes(void **state)
{
    (void)state;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number = 0;
    f->name_put(1, name);
    assert_string_equal(name, "wal.log");
    assert_int_equal(f->name_get("wal.log", &number), VARVE_NAME_SEGMENT);
    assert_int_equal(number, 1);
    assert_int_equal(f->name_get("wal.log.old", &number), VARVE_NAME_NONE);
    assert_string_equal(f->error_alias(VARVE_E_IO), "AERO_WAL_APPEND_FAILED");
    assert_string_equal(f->error_alias(VARVE_E_NOSPC), "AERO_WAL_APPEND_FAILED");
    assert_string_equal(f->error_alias(VARVE_E_SYNC), "AERO_WAL_FSYNC_FAILED");
    assert_string_equal(f->error_alias(VARVE_E_TORN), "AERO_WAL_CORRUPTION");
    assert_string_equal(f->error_alias(VARVE_E_CORRUPT), "AERO_WAL_CORRUPTION");
    assert_null(f->error_alias(VARVE_E_LOCKED));
    assert_null(f->error_alias(0));
}

/* -- checkpoint.json -- */

static int get(const char *text, struct varve_format_meta *meta)
{
    struct varve_error error;
    size_t len = strlen(text);
    uint8_t exact[512];
    assert_true(len <= sizeof exact);
    memcpy(exact + sizeof exact - len, text, len);
    return f->meta_get(exact + sizeof exact - len, len, meta, &error);
}

static void test_aero__checkpoint(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t covered;
    } cases[] = {
        {"{}", 0},
        {" { } \n", 0},
        {"{\"snapshot_id\":\"20260101T000000Z\",\"created_at\":\"2026-01-01T00:00:00Z\","
         "\"wal_truncated\":true,\"format_version\":1}",
         0},
        {"{\"snapshot_id\": \"x\", \"wal_truncated\": false, \"last_sequence\": 4711, \"format_version\": 1}",
         4711},
        {"{\"last_sequence\":18446744073709551615}", UINT64_MAX},
        {"{\"a\":{\"last_sequence\":5},\"b\":[1,2,[],{},\"last_sequence\",[{\"c\":null}]],\"n\":-1.5e+3}", 0},
        {"{\"quote\\\"d\":\"\\\\\",\"last_sequence\":7}", 7},
        {"{\"\xd0\xba\":\"\xf0\x9f\x8e\x89\",\"last_sequence\":8}", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct varve_format_meta meta = {.covered_lsn = 99};
        assert_int_equal(get(cases[i].text, &meta), 0);
        assert_true(meta.covered_lsn == cases[i].covered);
        assert_string_equal(meta.codec, "");
        /* Cut anywhere before its last brace it is no checkpoint. */
        size_t whole = strlen(cases[i].text);
        while (cases[i].text[whole - 1] != '}')
            whole--;
        for (size_t cut = 0; cut < whole; cut++) {
            char text[256];
            memcpy(text, cases[i].text, cut);
            text[cut] = 0;
            assert_int_equal(get(text, &meta), VARVE_E_CORRUPT);
        }
    }
}

static void test_aero__checkpoint_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "null",
        "{\"a\":1}x",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":}",
        "{\"a\":tru}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":.5}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\xff\"}",
        "{\"last_sequence\":-1}",
        "{\"last_sequence\":\"1\"}",
        "{\"last_sequence\":1.5}",
        "{\"last_sequence\":18446744073709551616}",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct varve_format_meta meta;
        if (get(texts[i], &meta) != VARVE_E_CORRUPT)
            fail_msg("%s", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aero__examples),           cmocka_unit_test(test_aero__heads),
        cmocka_unit_test(test_aero__names_and_codes),    cmocka_unit_test(test_aero__checkpoint),
        cmocka_unit_test(test_aero__checkpoint_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
