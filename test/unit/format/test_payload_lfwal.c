/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/builtin.h"
#include "varve/payload.h"

#define TEXT(s)            \
    {                      \
        (s), sizeof(s) - 1 \
    }

static const struct varve_lfwal_entry entries[] = {
    {VARVE_LFWAL_INSERT, 1, 2, TEXT("k"), TEXT("new"), {NULL, 0}},
    {VARVE_LFWAL_UPDATE, UINT64_MAX, UINT64_MAX, TEXT("\xd0\xba"), TEXT(""), TEXT("old")},
    {VARVE_LFWAL_DELETE, 0, 0, TEXT("k"), {NULL, 0}, TEXT("\xff")},
    {VARVE_LFWAL_COMMIT, 5, 1, {NULL, 0}, {NULL, 0}, {NULL, 0}},
    {VARVE_LFWAL_ABORT, 6, 1, {NULL, 0}, {NULL, 0}, {NULL, 0}},
};

static void same(struct varve_bytes a, struct varve_bytes b)
{
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes > 0)
        assert_memory_equal(a.data, b.data, a.bytes);
}

/* Also what the log's own check makes of them. */
static void test_payload_lfwal__round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        const struct varve_lfwal_entry *e = &entries[i];
        struct varve_lfwal_entry back;
        struct varve_format_entry checked = {0};
        uint8_t bytes[128] = {0};
        size_t len, want;
        assert_int_equal(varve_lfwal_put(e, bytes, sizeof bytes, &len), 0);
        assert_int_equal(varve_lfwal_get(bytes, len, &back), 0);
        assert_int_equal(back.type, e->type);
        assert_true(back.tx == e->tx && back.time_s == e->time_s);
        same(back.key, e->key);
        same(back.value, e->value);
        same(back.old_value, e->old_value);
        const struct iovec whole = {bytes, len};
        assert_int_equal(vv_format_lfwal.check(&whole, 1, &checked), 0);
        assert_int_equal(checked.type, e->type);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(varve_lfwal_get(exact, cut, &back), VARVE_E_CORRUPT);
            assert_int_equal(varve_lfwal_put(e, exact, cut, &want), VARVE_E_TOO_LARGE);
            assert_int_equal(want, len);
            free(exact);
        }
        assert_int_equal(varve_lfwal_get(bytes, len + 1, &back), VARVE_E_CORRUPT);
    }
}

static void test_payload_lfwal__refused(void **state)
{
    (void)state;
    struct varve_lfwal_entry bad = entries[0], back;
    uint8_t bytes[128];
    size_t len = 77;
    bad.key.bytes = 0;
    assert_int_equal(varve_lfwal_put(&bad, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    bad.key = (struct varve_bytes)TEXT("\xff");
    assert_int_equal(varve_lfwal_put(&bad, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    bad = entries[0];
    bad.type = (enum varve_lfwal_type)5;
    assert_int_equal(varve_lfwal_put(&bad, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    assert_int_equal(len, 77);
    assert_int_equal(varve_lfwal_put(&entries[0], bytes, sizeof bytes, &len), 0);
    bytes[0] = 5;
    assert_int_equal(varve_lfwal_get(bytes, len, &back), VARVE_E_CORRUPT);
    bytes[0] = 0;
    bytes[28] = 0xff; /* the key */
    assert_int_equal(varve_lfwal_get(bytes, len, &back), VARVE_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_lfwal__round_trip),
        cmocka_unit_test(test_payload_lfwal__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
