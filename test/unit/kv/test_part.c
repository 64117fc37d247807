/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/store.h"

#define KEY(text) text, sizeof(text) - 1

static void test_part__floats(void **state)
{
    static const char *const no_numbers[] = {"", "x", "1 ", " 1", "0x10", "nan", "inf", "1e", "1.2.3", "--1"};
    struct test_store s;
    double n = 0;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), 0.1, NULL, &n, NULL), 0);
    store_expect(&s, "n", "0.1");
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), 0.2, NULL, &n, NULL), 0);
    store_expect(&s, "n", "0.30000000000000004");
    assert_true(n == 0.1 + 0.2);
    store_set(&s, "n", "5");
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), -7.5, NULL, &n, NULL), 0);
    store_expect(&s, "n", "-2.5");
    assert_int_equal(varve_kv_add(s.kv, KEY("n"), 1, NULL, NULL, NULL), VARVE_E_TYPE);
    store_set(&s, "n", "1e308");
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), 1e308, NULL, &n, NULL), VARVE_E_RANGE);
    store_set(&s, "n", "1e309");
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), 1, NULL, &n, NULL), VARVE_E_RANGE);
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), (double)INFINITY, NULL, &n, NULL), VARVE_E_INVALID);
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++) {
        store_set(&s, "n", no_numbers[i]);
        assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), 1, NULL, &n, NULL), VARVE_E_TYPE);
    }
    assert_int_equal(varve_kv_set(s.kv, KEY("n"), "1\0", 2, NULL, NULL), 0);
    assert_int_equal(varve_kv_add_float(s.kv, KEY("n"), 1, NULL, &n, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("1"), 100000, NULL), 0);
    assert_int_equal(varve_kv_add_float(s.kv, KEY("l"), 1, NULL, &n, NULL), VARVE_E_TYPE);
    store_end(&s);
}

static int note_change(void *arg, const struct varve_kv_change *c)
{
    struct varve_kv_change *last = arg;
    last->kind = c->kind;
    last->position = c->position;
    last->value_bytes = c->value_bytes;
    return 0;
}

static void test_part__ranges(void **state)
{
    struct test_store s;
    struct varve_kv_value value = {.data = NULL};
    struct varve_kv_write how = {.size = sizeof how, .flags = VARVE_KV_IF_ABSENT, .expires_us = 1};
    struct varve_kv_change change = {.lsn = 0};
    uint64_t bytes = 0;
    (void)state;
    store_start(&s);
    store_set(&s, "v", "0123456789");
    assert_int_equal(varve_kv_get_range(s.kv, KEY("v"), 3, 4, &value), 0);
    assert_int_equal(value.bytes, 4);
    assert_memory_equal(value.data, "3456", 4);
    assert_int_equal(varve_kv_get_range(s.kv, KEY("v"), 8, 1000, &value), 0);
    assert_int_equal(value.bytes, 2);
    assert_int_equal(varve_kv_get_range(s.kv, KEY("v"), UINT64_MAX, SIZE_MAX, &value), 0);
    assert_int_equal(value.bytes, 0);
    assert_int_equal(varve_kv_get_range(s.kv, KEY("x"), 0, 1, &value), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), 2, "ab", 2, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 10);
    store_expect(&s, "v", "01ab456789");
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), 9, "XYZ", 3, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 12);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), 14, "!", 1, NULL, &bytes, NULL), 0);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("new"), 3, "end", 3, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 6);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("none"), 0, "", 0, NULL, &bytes, NULL), 0);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), 1 << 18, "x", 1, NULL, NULL, NULL),
                     VARVE_E_TOO_LARGE);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), UINT64_MAX, "x", 1, NULL, NULL, NULL),
                     VARVE_E_TOO_LARGE);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), 0, "x", 1, &how, NULL, NULL), VARVE_E_CONFLICT);
    /* What has expired is as if it were not there, in memory and in what is read back. */
    how.flags = 0;
    assert_int_equal(varve_kv_set(s.kv, KEY("over"), "old value", 9, &how, NULL), 0);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("over"), 1, "b", 1, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 2);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(varve_kv_get(s.kv, KEY("v"), &value), 0);
        assert_int_equal(value.bytes, 15);
        assert_memory_equal(value.data, "01ab45678XYZ\0\0!", 15);
        assert_int_equal(varve_kv_get(s.kv, KEY("new"), &value), 0);
        assert_memory_equal(value.data, "\0\0\0end", 6);
        assert_int_equal(varve_kv_get(s.kv, KEY("over"), &value), 0);
        assert_memory_equal(value.data, "\0b", 2);
        store_expect(&s, "none", "");
        store_again(&s);
    }
    assert_int_equal(varve_kv_history(varve_kv_log(s.kv), KEY("v"), note_change, &change, NULL), 0);
    assert_int_equal(change.kind, VARVE_KV_CHANGE_RANGE);
    assert_true(change.position == 14 && change.value_bytes == 1);
    /* Upon a snapshot it counts once. */
    assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), 0);
    assert_int_equal(varve_kv_set_range(s.kv, KEY("v"), 0, "snap", 4, NULL, NULL, NULL), 0);
    store_again(&s);
    assert_int_equal(varve_kv_get_range(s.kv, KEY("v"), 0, 6, &value), 0);
    assert_memory_equal(value.data, "snap45", 6);
    varve_kv_value_free(&value);
    store_end(&s);
}

static void test_part__no_memory(void **state)
{
    struct test_store s;
    (void)state;
    store_start(&s);
    for (unsigned key = 0; key < 10; key++) {
        for (long n = 0;; n++) {
            uint64_t last = varve_last_lsn(varve_kv_log(s.kv));
            int rc;
            vv_alloc_fail_after(n);
            rc = varve_kv_set_range(s.kv, &key, sizeof key, 5, "x", 1, NULL, NULL, NULL);
            vv_alloc_fail_after(-1);
            assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), last + (rc == 0));
            if (rc == 0)
                break;
            assert_int_equal(rc, VARVE_E_NOMEM);
        }
    }
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part__floats),
        cmocka_unit_test(test_part__ranges),
        cmocka_unit_test(test_part__no_memory),
    };
    int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
    if (store_use(VARVE_KV_STORE_LMDB))
        failed += cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
    return failed;
}
