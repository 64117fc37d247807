/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "format/builtin.h"
#include "format/format.h"
#include "lib/hex.h"

static const struct varve_format *const f = &vv_format_wlog;

static void test_wlog__example(void **state)
{
    (void)state;
    const struct varve_record record = {.data = "abc", .data_bytes = 3};
    const struct varve_format_stamp stamp = {1, 1};
    struct varve_format_entry entry;
    uint8_t bytes[16], out[16];
    size_t len = test_hex("03 00 00 00 c2 41 24 35 61 62 63", bytes);
    vv_format_encode(f, &record, 3, &stamp, out);
    assert_memory_equal(out, bytes, len);
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_RECORD);
    assert_int_equal(entry.payload_bytes, 3);
    assert_int_equal(entry.bytes, 11);
}

static void test_wlog__lengths(void **state)
{
    (void)state;
    struct varve_format_entry entry;
    uint8_t bytes[16];
    size_t len = test_hex("03 00 00 00 c2 41 24 35 61 62 63", bytes);
    assert_int_equal(vv_format_decode(f, bytes, len, len - 1, &entry), VARVE_FOUND_LENGTH);
    assert_int_equal(vv_format_decode(f, bytes, len, 8, &entry), VARVE_FOUND_LENGTH);
    assert_int_equal(vv_format_decode(f, bytes, len, 7, &entry), VARVE_FOUND_END);
    bytes[0] = 0;
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_LENGTH);
    memset(bytes + 4, 0, 4);
    assert_int_equal(vv_format_decode(f, bytes, len, len, &entry), VARVE_FOUND_ZEROS);
    assert_int_equal(vv_format_payload_room(f, 1024), 1024 - 97);
}

static void test_wlog__header(void **state)
{
    (void)state;
    struct varve_format_segment segment = {.number = 3, .created_us = UINT64_C(1760000000000000)}, back;
    uint8_t bytes[89], sound[89];
    const char *reason = NULL;
    f->header_put(&segment, sound);
    assert_memory_equal(sound, "WLOG\1\0\0\0\x50\0\0\0\0\0\0\0\x50\0\0\0\0\0\0\0", 24);
    assert_true(vv_is_zero(sound + 48, 41));
    assert_int_equal(f->header_get(sound, 89, &back, &reason), VARVE_HEADER_SOUND);
    assert_int_equal(back.number, 0);
    assert_true(back.created_us == segment.created_us);
    for (size_t at = 0; at < 89; at++) {
        /* Paddings, the checksum that is none, times and the reserved space may hold anything. */
        bool free_byte = (at >= 12 && at < 16) || (at >= 24 && at < 48) || at >= 80;
        memcpy(bytes, sound, 89);
        bytes[at] ^= 0x80;
        enum varve_header_state expected = free_byte ? VARVE_HEADER_SOUND : VARVE_HEADER_BAD;
        if (at >= 4 && at < 8)
            expected = VARVE_HEADER_VERSION;
        if (at >= 16 && at < 24)
            expected = VARVE_HEADER_SOUND; /* a data offset above 80 */
        assert_int_equal(f->header_get(bytes, 89, &back, &reason), expected);
    }
    memcpy(bytes, sound, 89);
    bytes[16] = 79;
    assert_int_equal(f->header_get(bytes, 89, &back, &reason), VARVE_HEADER_BAD);
    assert_int_equal(f->header_get(bytes, 88, &back, &reason), VARVE_HEADER_UNMADE);
}

static void test_wlog__names(void **state)
{
    (void)state;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number;
    f->name_put(7, name);
    assert_string_equal(name, "wal_000007.log");
    assert_int_equal(f->name_get("wal_1000000.log", &number), VARVE_NAME_SEGMENT);
    assert_int_equal(number, 1000000);
    assert_int_equal(f->name_get("wal-000001.log", &number), VARVE_NAME_NONE);
    assert_int_equal(f->name_get("shardex.meta", &number), VARVE_NAME_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wlog__example),
        cmocka_unit_test(test_wlog__lengths),
        cmocka_unit_test(test_wlog__header),
        cmocka_unit_test(test_wlog__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
