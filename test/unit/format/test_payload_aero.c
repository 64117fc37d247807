/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hex.h"
#include "varve/error.h"
#include "varve/payload.h"

#define TEXT(s)            \
    {                      \
        (s), sizeof(s) - 1 \
    }

static const struct varve_aero_document document = {TEXT("c"), TEXT("d\xd0\xba"), TEXT(""), TEXT("1"),
                                                    TEXT("\xff\x00")};

static void test_payload_aero__round_trip(void **state)
{
    (void)state;
    struct varve_aero_document back;
    uint8_t bytes[64], expected[64], again[64];
    size_t len, again_len;
    size_t want = test_hex("01000000 63 03000000 64d0ba 00000000 01000000 31 02000000 ff00", expected);
    assert_int_equal(varve_aero_put(&document, bytes, sizeof bytes, &len), 0);
    assert_int_equal(len, want);
    assert_memory_equal(bytes, expected, len);
    assert_int_equal(varve_aero_get(bytes, len, &back), 0);
    assert_int_equal(back.body.bytes, 2);
    assert_int_equal(back.schema.bytes, 0);
    assert_int_equal(varve_aero_put(&back, again, sizeof again, &again_len), 0);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, bytes, len);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, bytes, cut);
        assert_int_equal(varve_aero_get(exact, cut, &back), VARVE_E_CORRUPT);
        assert_int_equal(varve_aero_put(&document, exact, cut, &again_len), VARVE_E_TOO_LARGE);
        assert_int_equal(again_len, len);
        free(exact);
    }
    assert_int_equal(varve_aero_get(bytes, len + 1, &back), VARVE_E_CORRUPT);
}

static void test_payload_aero__refused(void **state)
{
    (void)state;
    struct varve_aero_document bad = document;
    uint8_t bytes[64];
    size_t len = 77;
    bad.schema = (struct varve_bytes)TEXT("\xff");
    assert_int_equal(varve_aero_put(&bad, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    bad = document;
    bad.body.bytes = (size_t)UINT32_MAX + 1;
    assert_int_equal(varve_aero_put(&bad, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    assert_int_equal(len, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_aero__round_trip),
        cmocka_unit_test(test_payload_aero__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
