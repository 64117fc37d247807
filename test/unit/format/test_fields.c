/* SPDX-License-Identifier: Apache-2.0 */
#include "format/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_fields__names(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {
        1, 9, 10, 999999, 1000000, UINT64_C(12345678901234567890), UINT64_MAX - 2};
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint64_t number = 0;
        vv_name_put(name, "wal-", 6, numbers[i], ".seg");
        assert_true(vv_name_get(name, "wal-", 6, ".seg", &number));
        assert_true(number == numbers[i]);
    }
    vv_name_put(name, "wal-", 6, 42, ".seg");
    assert_string_equal(name, "wal-000042.seg");
    vv_name_put(name, "wal-", 6, 1000000, ".seg");
    assert_string_equal(name, "wal-1000000.seg");
}

/* All digits count, and one number has one name. */
static void test_fields__what_is_no_name(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "wal-",
        "wal-.seg",
        "wal-1.seg",
        "wal-00001.seg",
        "wal-0000001.seg",
        "wal-000000.seg",
        "wal-000001",
        "wal-000001.se",
        "wal-000001.segx",
        "wal-000001.seg.tmp",
        "wal-00000a.seg",
        "wal--00001.seg",
        "wal-+00001.seg",
        "Wal-000001.seg",
        "xwal-000001.seg",
        "wal-18446744073709551614.seg", /* the numbers of files without one */
        "wal-18446744073709551615.seg",
        "wal-18446744073709551616.seg",
        "wal-99999999999999999999999999999999999999.seg",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint64_t number = 77;
        if (vv_name_get(names[i], "wal-", 6, ".seg", &number) || number != 77)
            fail_msg("%s", names[i]);
    }
}

static void test_fields__headers(void **state)
{
    (void)state;
    static const uint8_t magic[4] = {'A', 'B', 'C', 'D'};
    uint8_t bytes[32] = "ABCD";
    const char *reason = NULL;
    assert_int_equal(vv_header_look(bytes, 32, 32, magic, 4, &reason), VARVE_HEADER_SOUND);
    assert_null(reason);
    for (size_t have = 0; have < 32; have++) {
        assert_int_equal(vv_header_look(bytes, have, 32, magic, 4, &reason), VARVE_HEADER_UNMADE);
        assert_non_null(reason);
    }
    bytes[3] = 'E';
    assert_int_equal(vv_header_look(bytes, 32, 32, magic, 4, &reason), VARVE_HEADER_BAD);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(vv_header_look(bytes, 32, 32, magic, 4, &reason), VARVE_HEADER_UNMADE);
    bytes[31] = 1;
    assert_int_equal(vv_header_look(bytes, 32, 32, magic, 4, &reason), VARVE_HEADER_BAD);
}

static void test_fields__first_byte(void **state)
{
    (void)state;
    struct iovec pieces[3] = {{NULL, 0}, {(void *)"x", 0}, {(void *)"yz", 2}};
    struct varve_record record = {.data = "abc", .data_bytes = 3};
    assert_int_equal(vv_payload_first(&record), 'a');
    record = (struct varve_record){.iov = pieces, .iov_count = 3};
    assert_int_equal(vv_payload_first(&record), 'y');
    record.iov_count = 2;
    assert_int_equal(vv_payload_first(&record), 0);
    record = (struct varve_record){.data = NULL};
    assert_int_equal(vv_payload_first(&record), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields__names),
        cmocka_unit_test(test_fields__what_is_no_name),
        cmocka_unit_test(test_fields__headers),
        cmocka_unit_test(test_fields__first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
