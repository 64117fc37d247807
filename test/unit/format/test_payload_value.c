/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "varve/error.h"
#include "varve/payload.h"

#define TEXT(s)            \
    {                      \
        (s), sizeof(s) - 1 \
    }

static const struct varve_dbkv_value values[] = {
    {.kind = VARVE_DBKV_INT, .integer = INT64_MIN},
    {.kind = VARVE_DBKV_FLOAT, .real = -0.5},
    {.kind = VARVE_DBKV_DECIMAL, .bytes = TEXT("-123.4567")},
    {.kind = VARVE_DBKV_TEXT, .bytes = TEXT("\xd0\xba")},
    {.kind = VARVE_DBKV_BYTES, .bytes = TEXT("\xff\x00")},
    {.kind = VARVE_DBKV_BYTES},
    {.kind = VARVE_DBKV_LIST},
    {.kind = VARVE_DBKV_LIST, .count = 2, .listed = TEXT("\7\0\0\0\7\0\0\0")},
    {.kind = VARVE_DBKV_MAP, .count = 1, .listed = TEXT("\1\0\0\0\0\0\0\0k\7\0\0\0")},
    {.kind = VARVE_DBKV_NULL},
};

static void same(struct varve_bytes a, struct varve_bytes b)
{
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes > 0)
        assert_memory_equal(a.data, b.data, a.bytes);
}

static void test_payload_value__round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct varve_dbkv_value *v = &values[i];
        struct varve_dbkv_value back;
        uint8_t bytes[128] = {0};
        size_t len, want;
        assert_int_equal(varve_dbkv_value_put(v, bytes, sizeof bytes, &len), 0);
        assert_int_equal(varve_dbkv_value_get(bytes, len, &back), 0);
        assert_int_equal(back.kind, v->kind);
        assert_true(back.integer == v->integer);
        assert_memory_equal(&back.real, &v->real, sizeof v->real);
        same(back.bytes, v->bytes);
        assert_int_equal(back.count, v->count);
        same(back.listed, v->listed);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(varve_dbkv_value_get(exact, cut, &back), VARVE_E_CORRUPT);
            assert_int_equal(varve_dbkv_value_put(v, exact, cut, &want), VARVE_E_TOO_LARGE);
            assert_int_equal(want, len);
            free(exact);
        }
        assert_int_equal(varve_dbkv_value_get(bytes, len + 1, &back), VARVE_E_CORRUPT);
    }
}

static void test_payload_value__next(void **state)
{
    (void)state;
    struct varve_dbkv_value list = values[7], map = values[8], scalar = values[0];
    struct varve_bytes key, value;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(varve_dbkv_value_next(&list, &key, &value), 0);
        assert_int_equal(key.bytes, 0);
        same(value, (struct varve_bytes)TEXT("\7\0\0\0"));
    }
    assert_int_equal(varve_dbkv_value_next(&list, &key, &value), VARVE_END);
    assert_int_equal(varve_dbkv_value_next(&map, &key, &value), 0);
    same(key, (struct varve_bytes)TEXT("k"));
    same(value, (struct varve_bytes)TEXT("\7\0\0\0"));
    assert_int_equal(varve_dbkv_value_next(&map, &key, &value), VARVE_END);
    assert_int_equal(varve_dbkv_value_next(&scalar, &key, &value), VARVE_END);
}

static void refused(const struct varve_dbkv_value *v)
{
    uint8_t bytes[128];
    size_t len = 77;
    assert_int_equal(varve_dbkv_value_put(v, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    assert_int_equal(len, 77);
}

static void test_payload_value__refused(void **state)
{
    (void)state;
    static const struct varve_dbkv_value bad[] = {
        {.kind = (enum varve_dbkv_kind)8},
        {.kind = VARVE_DBKV_TEXT, .bytes = TEXT("\xff")},
        {.kind = VARVE_DBKV_DECIMAL, .bytes = TEXT("1e5")},
        {.kind = VARVE_DBKV_DECIMAL,
         .bytes = TEXT("11111111111111111111111111111111111111111111111111111111111111111")},
        {.kind = VARVE_DBKV_LIST, .count = 1},
        {.kind = VARVE_DBKV_LIST, .count = 1, .listed = TEXT("\7\0\0\0\7\0\0\0")},
        {.kind = VARVE_DBKV_LIST, .count = UINT64_MAX, .listed = TEXT("\7\0\0\0")},
        {.kind = VARVE_DBKV_MAP, .count = 1, .listed = TEXT("\7\0\0\0")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(&bad[i]);
}

/* A list around what is as deep as it may be. */
static void test_payload_value__too_deep(void **state)
{
    (void)state;
    uint8_t inner[1024], outer[1024];
    struct varve_dbkv_value v = {.kind = VARVE_DBKV_NULL};
    size_t len;
    assert_int_equal(varve_dbkv_value_put(&v, inner, sizeof inner, &len), 0);
    for (unsigned depth = 1; depth <= VARVE_DBKV_DEPTH_MAX + 1; depth++) {
        v = (struct varve_dbkv_value){.kind = VARVE_DBKV_LIST, .count = 1, .listed = {inner, len}};
        size_t more = 77;
        int rc = varve_dbkv_value_put(&v, outer, sizeof outer, &more);
        assert_int_equal(rc, depth <= VARVE_DBKV_DEPTH_MAX ? 0 : VARVE_E_INVALID);
        if (rc != 0) {
            assert_int_equal(more, 77);
            break;
        }
        len = more;
        memcpy(inner, outer, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_value__round_trip),
        cmocka_unit_test(test_payload_value__next),
        cmocka_unit_test(test_payload_value__refused),
        cmocka_unit_test(test_payload_value__too_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
