/* SPDX-License-Identifier: Apache-2.0 */
#include "format/side.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"
#include "varve/format.h"

static const struct vv_side sides[] = {
    {"stra", 1, 1, 0, 0},
    {"dbkv", VARVE_FORMAT_ACTIVE, 7, 1795178697, 7},
    {"lfwal", 0, 1, 0, 21},
    {"abcdefghijklmnopqrstuvwxyz01234", UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
};

static void test_side__there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        char text[VV_SIDE_BYTES_MAX], again[VV_SIDE_BYTES_MAX];
        struct vv_side read;
        size_t len = vv_side_encode(&sides[i], text);
        assert_true(len <= VV_SIDE_BYTES_MAX);
        assert_int_equal(vv_side_decode(text, len, &read, NULL), 0);
        assert_memory_equal(&read, &sides[i], sizeof read);
        assert_int_equal(vv_side_encode(&read, again), len);
        assert_memory_equal(text, again, len);
    }
}

static void test_side__any_change_is_seen(void **state)
{
    (void)state;
    char text[VV_SIDE_BYTES_MAX + 2];
    struct vv_side read;
    struct varve_error error;
    size_t len = vv_side_encode(&sides[1], text);
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (1 << bit));
            assert_int_equal(vv_side_decode(text, len, &read, &error), VARVE_E_CORRUPT);
            assert_non_null(strstr(error.message, "VARVE: "));
            text[i] = (char)(text[i] ^ (1 << bit));
        }
        assert_int_equal(vv_side_decode(text, i, &read, NULL), VARVE_E_CORRUPT);
    }
    text[len] = '\n';
    assert_int_equal(vv_side_decode(text, len + 1, &read, NULL), VARVE_E_CORRUPT);
    memset(text, 'a', sizeof text);
    assert_int_equal(vv_side_decode(text, sizeof text, &read, NULL), VARVE_E_CORRUPT);
}

/* Sound, and not what this version writes. */
static void test_side__unknown_lines(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "varve beside 2\nformat stra\nfirst 1\nfirst_lsn 1\nanchor 0\nanchor_lsn 0\n",
        "varve beside 1\nformat stra\nfirst 01\nfirst_lsn 1\nanchor 0\nanchor_lsn 0\n",
        "varve beside 1\nformat stra\nfirst 1\nfirst_lsn 0\nanchor 0\nanchor_lsn 0\n",
        "varve beside 1\nformat stra\nfirst 1\nfirst_lsn 1\nanchor 0\nanchor_lsn 0\nmore 1\n",
        "varve beside 1\nformat stra\n",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char text[VV_SIDE_BYTES_MAX];
        struct vv_side read;
        int len = snprintf(text, sizeof text, "%s", bodies[i]);
        len +=
            snprintf(text + len, sizeof text - (size_t)len, "crc32c %08x\n", vv_crc32c(0, text, (size_t)len));
        assert_int_equal(vv_side_decode(text, (size_t)len, &read, NULL), VARVE_E_VERSION);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_side__there_and_back),
        cmocka_unit_test(test_side__any_change_is_seen),
        cmocka_unit_test(test_side__unknown_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
