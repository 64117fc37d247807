/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "lib/store.h"

#define KEY(text) text, sizeof(text) - 1

static struct varve_kv_txn *begin(struct test_store *s)
{
    struct varve_kv_txn *txn;
    assert_int_equal(varve_kv_begin(s->kv, 0, &txn), 0);
    return txn;
}

static void sees(struct varve_kv_txn *txn, const char *key, const char *value)
{
    struct varve_kv_value got = {.data = NULL};
    int rc = varve_kv_txn_get(txn, key, strlen(key), &got);
    if (value == NULL) {
        assert_int_equal(rc, VARVE_E_NO_KEY);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(got.bytes, strlen(value));
        assert_memory_equal(got.data, value, got.bytes);
    }
    varve_kv_value_free(&got);
}

static int put(struct varve_kv_txn *txn, const char *key, const char *value)
{
    return varve_kv_txn_set(txn, key, strlen(key), value, strlen(value), 0);
}

static void test_txn__all_at_once(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    uint64_t lsn, last;
    (void)state;
    store_start(&s);
    store_set(&s, "a", "1");
    store_set(&s, "b", "2");
    last = varve_last_lsn(varve_kv_log(s.kv));
    txn = begin(&s);
    assert_int_equal(put(txn, "a", "one"), 0);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("b")), 0);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("nobody")), 0);
    assert_int_equal(put(txn, "c", "three"), 0);
    sees(txn, "a", "one");
    sees(txn, "b", NULL);
    store_expect(&s, "a", "1");
    store_expect(&s, "c", NULL);
    assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), last);
    assert_int_equal(varve_kv_commit(txn, 0, &lsn), 0);
    assert_int_equal(lsn, last + 1);
    store_expect(&s, "a", "one");
    store_expect(&s, "b", NULL);
    store_expect(&s, "c", "three");
    store_again(&s);
    store_expect(&s, "a", "one");
    store_expect(&s, "b", NULL);
    store_expect(&s, "c", "three");
    assert_int_equal(varve_kv_count(s.kv), 2);
    store_end(&s);
}

/* It sees one moment, whatever is written, deleted and made anew after it. */
static void test_txn__one_moment(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn, *later;
    (void)state;
    store_start(&s);
    store_set(&s, "a", "1");
    store_set(&s, "gone", "was here");
    txn = begin(&s);
    store_set(&s, "a", "2");
    later = begin(&s);
    store_set(&s, "a", "3");
    assert_int_equal(varve_kv_delete(s.kv, KEY("gone"), NULL, NULL), 0);
    store_set(&s, "new", "x");
    store_set(&s, "gone", "again");
    sees(txn, "a", "1");
    sees(later, "a", "2");
    sees(txn, "gone", "was here");
    sees(txn, "new", NULL);
    assert_true(store_stats(&s).kept_versions >= 3);
    varve_kv_abort(txn);
    sees(later, "gone", "was here");
    varve_kv_abort(later);
    assert_int_equal(store_stats(&s).kept_versions, 0);
    store_expect(&s, "a", "3");
    store_end(&s);
}

static void test_txn__first_committer_wins(void **state)
{
    struct test_store s;
    struct varve_kv_txn *a, *b;
    uint64_t lsn = 7;
    (void)state;
    store_start(&s);
    store_set(&s, "k", "0");
    a = begin(&s);
    b = begin(&s);
    sees(a, "k", "0");
    sees(b, "k", "0");
    assert_int_equal(put(a, "k", "a"), 0);
    assert_int_equal(put(b, "other", "b"), 0);
    assert_int_equal(varve_kv_commit(a, 0, NULL), 0);
    /* It has read what is not true any more. */
    assert_int_equal(varve_kv_commit(b, 0, &lsn), VARVE_E_CONFLICT);
    varve_kv_abort(b);
    store_expect(&s, "other", NULL);
    /* Written only, and changed meanwhile: first as absent, then as there. */
    a = begin(&s);
    assert_int_equal(put(a, "fresh", "a"), 0);
    store_set(&s, "fresh", "x");
    assert_int_equal(varve_kv_commit(a, 0, NULL), VARVE_E_CONFLICT);
    varve_kv_abort(a);
    a = begin(&s);
    assert_int_equal(varve_kv_txn_delete(a, KEY("fresh")), 0);
    assert_int_equal(varve_kv_delete(s.kv, KEY("fresh"), NULL, NULL), 0);
    assert_int_equal(varve_kv_commit(a, 0, NULL), VARVE_E_CONFLICT);
    varve_kv_abort(a);
    /* Nothing written: nothing in the log. */
    a = begin(&s);
    sees(a, "k", "a");
    assert_int_equal(varve_kv_commit(a, 0, &lsn), 0);
    assert_int_equal(lsn, 0);
    assert_int_equal(store_stats(&s).txn_conflicts, 3);
    store_end(&s);
}

static void test_txn__time_limit(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    store_start(&s);
    store_set(&s, "k", "0");
    assert_int_equal(varve_kv_begin(s.kv, 20, &txn), 0);
    assert_int_equal(put(txn, "k", "1"), 0);
    BED_UNTIL(store_stats(&s).txn_timed_out == 1);
    assert_int_equal(put(txn, "k", "1"), VARVE_E_TIMEOUT);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_TIMEOUT);
    varve_kv_abort(txn);
    varve_kv_abort(NULL);
    store_set(&s, "k", "2");
    assert_int_equal(store_stats(&s).kept_versions, 0);
    /* One that is forgotten ends with the engine. */
    assert_int_equal(put(begin(&s), "k", "3"), 0);
    store_end(&s);
}

static void test_txn__many_keys(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn = NULL;
    char key[32];
    (void)state;
    store_start(&s);
    txn = begin(&s);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof key, "key %d", i);
        assert_int_equal(put(txn, key, "value"), 0);
    }
    for (int i = 0; i < 3000; i += 3) {
        (void)snprintf(key, sizeof key, "key %d", i);
        assert_int_equal(varve_kv_txn_delete(txn, key, strlen(key)), 0);
    }
    static char large[1 << 18];
    assert_int_equal(varve_kv_txn_set(txn, KEY("large"), large, sizeof large - 5, 0), VARVE_E_TOO_LARGE);
    assert_int_equal(varve_kv_commit(txn, VARVE_KV_NO_WAIT, NULL), 0);
    assert_int_equal(varve_kv_count(s.kv), 2000);
    store_again(&s);
    assert_int_equal(varve_kv_count(s.kv), 2000);
    store_end(&s);
}

static void test_txn__locks(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 100000, NULL), 0);
    txn = begin(&s);
    assert_int_equal(put(txn, "l", "x"), VARVE_E_TYPE);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("l")), 0);
    assert_int_equal(put(txn, "l", "x"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    store_expect(&s, "l", "x");
    store_end(&s);
}

/* Each allocation fails once, and the transaction is whole or not there. */
static void test_txn__no_memory(void **state)
{
    struct test_store s;
    struct varve_kv_txn *viewer;
    (void)state;
    store_start(&s);
    store_set(&s, "x", "0");
    viewer = begin(&s);
    for (long n = 0;; n++) {
        struct varve_kv_txn *txn;
        char value[24];
        int rc;
        (void)snprintf(value, sizeof value, "%ld", n);
        vv_alloc_fail_after(n);
        rc = varve_kv_begin(s.kv, 0, &txn);
        if (rc == 0) {
            rc = put(txn, "x", value);
            for (char key[2] = "a"; key[0] <= 'z' && rc == 0; key[0]++)
                rc = put(txn, key, value);
            if (rc == 0)
                rc = varve_kv_commit(txn, 0, NULL);
            if (rc != 0)
                varve_kv_abort(txn);
        }
        if (vv_alloc_fail_left() >= 0) {
            vv_alloc_fail_after(-1);
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, VARVE_E_NOMEM);
        store_expect(&s, "x", "0");
        store_expect(&s, "a", NULL);
    }
    sees(viewer, "x", "0");
    varve_kv_abort(viewer);
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_txn__all_at_once),
        cmocka_unit_test(test_txn__one_moment),
        cmocka_unit_test(test_txn__first_committer_wins),
        cmocka_unit_test(test_txn__time_limit),
        cmocka_unit_test(test_txn__many_keys),
        cmocka_unit_test(test_txn__locks),
        cmocka_unit_test(test_txn__no_memory),
    };
    int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
    if (store_use(VARVE_KV_STORE_LMDB))
        failed += cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
    return failed;
}
