/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/store.h"
#include "varve/stream.h"

#define KEY(text) text, sizeof(text) - 1
#define PAIR(name, value)                                    \
    {                                                        \
        (name), sizeof(name) - 1, (value), sizeof(value) - 1 \
    }

static void test_many__set_get_delete(void **state)
{
    static const struct varve_kv_pair pairs[] = {PAIR("a", "1"), PAIR("b", "2"), PAIR("c", "3"),
                                                 PAIR("a", "4")};
    static const struct varve_kv_pair none[] = {PAIR("a", ""), PAIR("x", "")};
    struct varve_kv_value values[4] = {{.data = NULL}};
    struct varve_kv_write how = {.size = sizeof how, .flags = VARVE_KV_IF_ABSENT};
    struct test_store s;
    uint64_t lsn = 0, count = 0;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_set_many(s.kv, pairs, 4, &how, &lsn), 0);
    assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), lsn);
    store_expect(&s, "a", "4");
    assert_int_equal(varve_kv_set_many(s.kv, none, 2, &how, NULL), VARVE_E_CONFLICT);
    store_expect(&s, "x", NULL);
    assert_int_equal(varve_kv_get_many(s.kv, pairs, 4, values), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(values[i].version, lsn);
    assert_memory_equal(values[2].data, "3", 1);
    assert_int_equal(varve_kv_get_many(s.kv, none, 2, values), 0);
    assert_true(values[0].version == lsn && values[1].version == 0);
    assert_int_equal(varve_kv_delete_many(s.kv, none, 2, NULL, &count, &lsn), 0);
    assert_int_equal(count, 1);
    store_expect(&s, "a", NULL);
    assert_int_equal(varve_kv_delete_many(s.kv, none, 2, NULL, &count, &lsn), 0);
    assert_true(count == 0 && lsn == 0);
    if (s.options.store != VARVE_KV_STORE_LMDB) {
        assert_int_equal(varve_kv_stream_append(s.kv, KEY("x"), "e", 1, NULL, NULL, NULL), 0);
        assert_int_equal(varve_kv_get_many(s.kv, none, 2, values), VARVE_E_TYPE);
        assert_int_equal(varve_kv_set_many(s.kv, none, 2, NULL, NULL), VARVE_E_TYPE);
        assert_int_equal(varve_kv_delete_many(s.kv, none, 2, NULL, &count, NULL), 0);
        assert_int_equal(count, 1);
    }
    assert_int_equal(varve_kv_set_many(s.kv, NULL, 1, NULL, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_kv_get_many(s.kv, NULL, 0, NULL), 0);
    store_again(&s);
    assert_int_equal(varve_kv_count(s.kv), 2);
    for (int i = 0; i < 4; i++)
        varve_kv_value_free(&values[i]);
    store_end(&s);
}

static void test_many__copy_and_rename(void **state)
{
    struct varve_kv_write how = {.size = sizeof how, .expires_us = UINT64_MAX / 2};
    struct varve_kv_value value = {.data = NULL};
    struct test_store s;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_set(s.kv, KEY("a"), "one", 3, &how, NULL), 0);
    assert_int_equal(varve_kv_copy(s.kv, KEY("a"), KEY("b"), NULL, NULL), 0);
    store_expect(&s, "a", "one");
    assert_int_equal(varve_kv_get(s.kv, KEY("b"), &value), 0);
    assert_int_equal(value.expires_us, how.expires_us);
    how = (struct varve_kv_write){.size = sizeof how, .flags = VARVE_KV_IF_ABSENT};
    assert_int_equal(varve_kv_rename(s.kv, KEY("a"), KEY("b"), &how, NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_rename(s.kv, KEY("a"), KEY("c"), &how, NULL), 0);
    store_expect(&s, "a", NULL);
    store_expect(&s, "c", "one");
    assert_int_equal(varve_kv_rename(s.kv, KEY("a"), KEY("c"), NULL, NULL), VARVE_E_NO_KEY);
    assert_int_equal(varve_kv_rename(s.kv, KEY("c"), KEY("c"), NULL, NULL), 0);
    store_set(&s, "b", "two");
    assert_int_equal(varve_kv_rename(s.kv, KEY("b"), KEY("c"), NULL, NULL), 0);
    store_expect(&s, "c", "two");
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 100000, NULL), 0);
    assert_int_equal(varve_kv_copy(s.kv, KEY("l"), KEY("c"), NULL, NULL), VARVE_E_TYPE);
    assert_int_equal(varve_kv_rename(s.kv, KEY("c"), KEY("l"), NULL, NULL), VARVE_E_TYPE);
    store_again(&s);
    store_expect(&s, "c", "two");
    assert_int_equal(varve_kv_count(s.kv), 2);
    varve_kv_value_free(&value);
    store_end(&s);
}

enum {
    ROUNDS = 500
};

struct shared {
    struct test_store s;
    _Atomic bool stop;
};

static void *run_setter(void *arg)
{
    struct shared *sh = arg;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        const struct varve_kv_write how = {.size = sizeof how, .flags = VARVE_KV_NO_WAIT};
        const struct varve_kv_pair pairs[] = {
            {"a", 1, &i, sizeof i}, {"b", 1, &i, sizeof i}, {"c", 1, &i, sizeof i}};
        if (varve_kv_set_many(sh->s.kv, pairs, 3, &how, NULL) != 0)
            break;
    }
    atomic_store(&sh->stop, true);
    return NULL;
}

/* Other threads see all of them or none. */
static void test_many__at_one_moment(void **state)
{
    static struct shared sh;
    static const struct varve_kv_pair keys[] = {PAIR("a", ""), PAIR("b", ""), PAIR("c", "")};
    struct varve_kv_value values[3] = {{.data = NULL}};
    pthread_t threads[2];
    (void)state;
    memset(&sh, 0, sizeof sh);
    store_start(&sh.s);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_setter, &sh), 0);
    while (!atomic_load(&sh.stop)) {
        assert_int_equal(varve_kv_get_many(sh.s.kv, keys, 3, values), 0);
        assert_true(values[0].version == values[1].version && values[1].version == values[2].version);
        if (values[0].version != 0)
            assert_memory_equal(values[0].data, values[2].data, 8);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(varve_kv_get_many(sh.s.kv, keys, 3, values), 0);
    assert_int_equal(*(uint64_t *)values[0].data, ROUNDS);
    for (int i = 0; i < 3; i++)
        varve_kv_value_free(&values[i]);
    store_end(&sh.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many__set_get_delete),
        cmocka_unit_test(test_many__copy_and_rename),
        cmocka_unit_test(test_many__at_one_moment),
    };
    int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
    if (store_use(VARVE_KV_STORE_LMDB))
        failed += cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
    return failed;
}
