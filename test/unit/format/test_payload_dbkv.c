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

/* Encoded: null, and the list of it. */
#define NULL_VALUE    \
    {                 \
        "\7\0\0\0", 4 \
    }
#define LIST_VALUE                             \
    {                                          \
        "\5\0\0\0\1\0\0\0\0\0\0\0\7\0\0\0", 16 \
    }

static const struct varve_dbkv_pair pairs[] = {
    {TEXT("m1"), NULL_VALUE},
    {TEXT("\xd0\xba"), LIST_VALUE},
};

static const struct varve_dbkv_operation operations[] = {
    {.type = VARVE_DBKV_SET, .key = TEXT("k"), .value = NULL_VALUE},
    {.type = VARVE_DBKV_SET,
     .key = TEXT("k"),
     .value = LIST_VALUE,
     .has_ttl = 1,
     .ttl_s = UINT64_MAX,
     .ttl_ns = 999999999},
    {.type = VARVE_DBKV_DELETE, .key = TEXT("k")},
    {.type = VARVE_DBKV_INCR, .key = TEXT("k"), .delta = INT64_MIN},
    {.type = VARVE_DBKV_DECR, .key = TEXT("k"), .delta = -1},
    {.type = VARVE_DBKV_MSET, .count = 2, .pairs = pairs, .has_ttl = 1, .ttl_s = 3},
    {.type = VARVE_DBKV_MSET},
    {.type = VARVE_DBKV_MDEL, .count = 2, .pairs = pairs},
    {.type = VARVE_DBKV_MDEL},
    {.type = VARVE_DBKV_SETNX, .key = TEXT("k"), .value = NULL_VALUE, .has_ttl = 1, .ttl_ns = 5},
    {.type = VARVE_DBKV_LOCK, .key = TEXT("k"), .owner = TEXT("o"), .has_ttl = 1, .ttl_s = 30},
    {.type = VARVE_DBKV_UNLOCK, .key = TEXT("k"), .owner = TEXT("")},
    {.type = VARVE_DBKV_EXTEND_LOCK, .key = TEXT("k"), .owner = TEXT("o"), .has_ttl = 1, .ttl_s = 60},
};

static void same(struct varve_bytes a, struct varve_bytes b)
{
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes > 0)
        assert_memory_equal(a.data, b.data, a.bytes);
}

static void check_pairs(struct varve_dbkv_operation *back)
{
    uint64_t count = back->count;
    struct varve_dbkv_pair pair;
    for (uint64_t i = 0; i < count; i++) {
        const struct varve_bytes none = {NULL, 0};
        assert_int_equal(varve_dbkv_next(back, &pair), 0);
        same(pair.key, pairs[i].key);
        same(pair.value, back->type == VARVE_DBKV_MSET ? pairs[i].value : none);
    }
    assert_int_equal(varve_dbkv_next(back, &pair), VARVE_END);
}

static void test_payload_dbkv__round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        const struct varve_dbkv_operation *o = &operations[i];
        struct varve_dbkv_operation back;
        struct varve_format_entry checked = {0};
        uint8_t bytes[256] = {0};
        size_t len, want;
        assert_int_equal(varve_dbkv_put(o, bytes, sizeof bytes, &len), 0);
        const struct iovec whole = {bytes, len};
        assert_int_equal(vv_format_dbkv.check(&whole, 1, &checked), 0);
        assert_int_equal(checked.type, o->type);
        assert_int_equal(varve_dbkv_get(bytes, len, &back), 0);
        assert_int_equal(back.type, o->type);
        same(back.key, o->key);
        same(back.owner, o->owner);
        same(back.value, o->value);
        assert_true(back.delta == o->delta);
        assert_int_equal(back.has_ttl, o->has_ttl);
        assert_true(back.ttl_s == o->ttl_s && back.ttl_ns == o->ttl_ns);
        assert_int_equal(back.count, o->count);
        check_pairs(&back);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(varve_dbkv_get(exact, cut, &back), VARVE_E_CORRUPT);
            assert_int_equal(varve_dbkv_put(o, exact, cut, &want), VARVE_E_TOO_LARGE);
            assert_int_equal(want, len);
            free(exact);
        }
        assert_int_equal(varve_dbkv_get(bytes, len + 1, &back), VARVE_E_CORRUPT);
    }
}

static void refused(struct varve_dbkv_operation o)
{
    uint8_t bytes[1024];
    size_t len = 77;
    assert_int_equal(varve_dbkv_put(&o, bytes, sizeof bytes, &len), VARVE_E_INVALID);
    assert_int_equal(len, 77);
}

#define REFUSED(index, ...)                                \
    do {                                                   \
        struct varve_dbkv_operation o = operations[index]; \
        __VA_ARGS__;                                       \
        refused(o);                                        \
    } while (0)

static void test_payload_dbkv__refused(void **state)
{
    (void)state;
    static const char long_key[257] = "";
    static const struct varve_dbkv_pair bad_key = {TEXT(""), NULL_VALUE};
    static const struct varve_dbkv_pair bad_value = {TEXT("k"), {"\7\0\0", 3}};
    REFUSED(0, o.type = (enum varve_dbkv_type)0);
    REFUSED(0, o.type = (enum varve_dbkv_type)11);
    REFUSED(0, o.key.bytes = 0);
    REFUSED(0, o.key = ((struct varve_bytes){long_key, 257}));
    REFUSED(0, o.key = ((struct varve_bytes){"\xff", 1}));
    REFUSED(0, o.value.bytes = 3);
    REFUSED(0, o.value = ((struct varve_bytes){"\7\0\0\0\0", 5}));
    REFUSED(1, o.ttl_ns = 1000000000);
    REFUSED(10, o.ttl_ns = 1000000000);
    REFUSED(10, o.owner = ((struct varve_bytes){"\xff", 1}));
    REFUSED(5, o.pairs = &bad_key; o.count = 1);
    REFUSED(5, o.pairs = &bad_value; o.count = 1);
    REFUSED(7, o.pairs = &bad_key; o.count = 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload_dbkv__round_trip),
        cmocka_unit_test(test_payload_dbkv__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
