/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/rng.h"

static void test_error__table(void **state)
{
    (void)state;
    unsigned count = 0;
    for (int code; (code = varve_error_at(count)) != 0; count++) {
        assert_int_equal(code, -(int)count - 1);
        assert_int_equal(strncmp(varve_error_name(code), "VARVE_E_", 8), 0);
        assert_true(strlen(varve_error_meaning(code)) > 5);
        assert_true(strlen(varve_error_remedy(code)) > 5);
        enum varve_severity severity = varve_error_severity(code);
        assert_true(severity == VARVE_SEVERITY_ERROR || severity == VARVE_SEVERITY_FATAL);
        for (unsigned other = 0; other < count; other++) {
            assert_string_not_equal(varve_error_name(code), varve_error_name(varve_error_at(other)));
        }
    }
    assert_true(count >= 26);
    assert_int_equal(varve_error_at(UINT_MAX), 0);
    assert_string_equal(varve_error_name(VARVE_E_IO), "VARVE_E_IO");
    assert_int_equal(varve_error_severity(VARVE_E_IO), VARVE_SEVERITY_ERROR);
    assert_int_equal(varve_error_severity(VARVE_E_SYNC), VARVE_SEVERITY_FATAL);
}

static void test_error__any_int(void **state)
{
    (void)state;
    static const int codes[] = {INT_MIN, -1000, 2, 1000, INT_MAX};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_string_equal(varve_error_name(codes[i]), "VARVE_E_UNKNOWN");
        assert_true(strlen(varve_error_meaning(codes[i])) > 5);
        assert_true(strlen(varve_error_remedy(codes[i])) > 5);
    }
    assert_int_equal(varve_error_severity(-1000), VARVE_SEVERITY_ERROR);
    assert_int_equal(varve_error_severity(1000), VARVE_SEVERITY_NONE);
    assert_string_equal(varve_error_name(VARVE_OK), "VARVE_OK");
    assert_string_equal(varve_error_name(VARVE_END), "VARVE_END");
    assert_int_equal(varve_error_severity(VARVE_END), VARVE_SEVERITY_NONE);
}

static void test_error__set(void **state)
{
    (void)state;
    struct varve_error e;
    errno = 77;
    assert_int_equal(vv_error_set(&e, VARVE_E_INVALID, 0, "slot_count is %d", 3), VARVE_E_INVALID);
    assert_int_equal(e.code, VARVE_E_INVALID);
    assert_int_equal(e.sys_errno, 0);
    assert_string_equal(e.message, "slot_count is 3");
    assert_int_equal(vv_error_set(&e, VARVE_E_IO, -ENOSPC, "write"), VARVE_E_IO);
    assert_int_equal(e.sys_errno, ENOSPC);
    assert_string_equal(e.message, "write: No space left on device");
    assert_int_equal(vv_error_set(&e, VARVE_E_IO, EIO, "%s again", e.message), VARVE_E_IO);
    assert_int_equal(e.sys_errno, EIO);
    assert_string_equal(e.message, "write: No space left on device again: Input/output error");
    assert_int_equal(errno, 77);
    assert_int_equal(vv_error_set(NULL, VARVE_E_IO, EIO, "nobody listens to %s", "this"), VARVE_E_IO);
    assert_int_equal(vv_error_set(&e, VARVE_E_IO, 99999, "odd"), VARVE_E_IO);
    assert_int_equal(strncmp(e.message, "odd: ", 5), 0);
}

static void test_error__one_line_of_utf8(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b[31m", "?[31m"},    /* a control character above 0x7f */
        {"\xff\xfe\x80", "???"},      /* no UTF-8 at all */
        {"\xc0\xaf", "??"},           /* an overlong slash */
        {"\xed\xa0\x80", "???"},      /* a surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* past the last character */
        {"\xe2\x82", "??"},           /* cut short */
        {"\xe0\x9f\xbf\xef\xbf\xbd", "???\xef\xbf\xbd"},
    };
    struct varve_error e;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        vv_error_set(&e, VARVE_E_IO, 0, "%s", pairs[i][0]);
        assert_string_equal(e.message, pairs[i][1]);
        vv_error_set(&e, VARVE_E_IO, 0, "x");
        vv_error_wrap(&e, "%s", pairs[i][0]);
        assert_memory_equal(e.message, pairs[i][1], strlen(pairs[i][1]));
    }
}

/* Whether the text is UTF-8 to its end; it holds nothing but e, the euro sign and letters. */
static void expect_whole(const char *text)
{
    assert_true(strlen(text) < VARVE_ERROR_MESSAGE_BYTES);
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "\xe2\x82\xac", 3) == 0) {
            at += 3;
        } else {
            assert_true((unsigned char)*at < 0x80);
            at++;
        }
    }
}

static void test_error__cut_between_characters(void **state)
{
    (void)state;
    char text[1000];
    struct varve_error e;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t at = shift; at + 3 < sizeof text; at += 3) {
            memcpy(text + at, "\xe2\x82\xac", 4);
        }
        vv_error_set(&e, VARVE_E_IO, 0, "%s", text);
        expect_whole(e.message);
        assert_true(strlen(e.message) > VARVE_ERROR_MESSAGE_BYTES - 4);
        vv_error_wrap(&e, "x%s", shift % 2 != 0 ? "y" : "");
        expect_whole(e.message);
        assert_true(strlen(e.message) > VARVE_ERROR_MESSAGE_BYTES - 4);
        vv_error_set(&e, VARVE_E_IO, EIO, "%s", text);
        expect_whole(e.message);
        /* The system's text stands whole at the end. */
        assert_string_equal(e.message + strlen(e.message) - 20, ": Input/output error");
        vv_error_wrap(&e, "%s", text);
        expect_whole(e.message);
    }
}

static void test_error__wrap(void **state)
{
    (void)state;
    struct varve_error e;
    vv_error_clear(&e);
    assert_int_equal(e.code, 0);
    vv_error_wrap(&e, "alone");
    assert_string_equal(e.message, "alone");
    vv_error_set(&e, VARVE_E_CORRUPT, 0, "checksum");
    vv_error_wrap(&e, "offset %d", 4096);
    vv_error_wrap(&e, "segment %s", "wal-1.seg");
    assert_string_equal(e.message, "segment wal-1.seg: offset 4096: checksum");
    assert_int_equal(e.code, VARVE_E_CORRUPT);
    vv_error_wrap(NULL, "nobody");
    vv_error_wrap(&e, "[%s]", e.message);
    assert_string_equal(
        e.message, "[segment wal-1.seg: offset 4096: checksum]: segment wal-1.seg: offset 4096: checksum");
}

static void test_error__copy(void **state)
{
    (void)state;
    struct varve_error from;
    struct varve_error to;
    memset(&from, 0, sizeof from);
    vv_error_set(&from, VARVE_E_LOCKED, 0, "one");
    vv_error_clear(&to);
    vv_error_copy(&to, &from);
    assert_memory_equal(&to, &from, sizeof to);
    vv_error_copy(NULL, &from);
    vv_error_copy(&to, NULL);
    vv_error_copy(&to, &to);
    assert_string_equal(to.message, "one");
}

/* Whatever the bytes of a file's name, the message is one line that ends in time. */
static void test_error__random_bytes(void **state)
{
    (void)state;
    struct test_rng rng;
    struct varve_error e;
    test_rng_init(&rng, test_rng_seed());
    for (int i = 0; i < 2000; i++) {
        unsigned char name[700];
        size_t bytes = (size_t)test_rng_below(&rng, sizeof name);
        test_rng_fill(&rng, name, bytes);
        name[bytes] = '\0';
        vv_error_set(&e, VARVE_E_IO, (int)test_rng_below(&rng, 130), "file %s", (char *)name);
        vv_error_wrap(&e, "log %s", (char *)name + bytes / 2);
        assert_true(strnlen(e.message, sizeof e.message) < sizeof e.message);
        for (const char *at = e.message; *at != '\0'; at++) {
            assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__table),
        cmocka_unit_test(test_error__any_int),
        cmocka_unit_test(test_error__set),
        cmocka_unit_test(test_error__one_line_of_utf8),
        cmocka_unit_test(test_error__cut_between_characters),
        cmocka_unit_test(test_error__wrap),
        cmocka_unit_test(test_error__copy),
        cmocka_unit_test(test_error__random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
