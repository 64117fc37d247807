/* SPDX-License-Identifier: Apache-2.0 */
/* Folds that fail, and processes that end in the middle of one. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "kv/store.h"
#include "lib/bed.h"
#include "lib/child.h"
#include "lib/lmdb_calls.h"
#include "lib/store.h"
#include "lib/tmp.h"

#define KEY(text) text, sizeof(text) - 1

/* Every call of LMDB on its file fails once, or from then on: the environment is as it was, everything is in
 * memory and in the log, it is told, and the next fold goes well. */
static void test_fold_fails__faults(void **state)
{
    static const int errors[] = {ENOSPC, EIO};
    uint8_t before[VARVE_KV_DIGEST_BYTES];
    struct test_store s, after;
    (void)state;
    for (size_t e = 0; e < 2; e++) {
        bool done = false;
        store_start(&s);
        store_fill(&s, 0, 300, 200);
        store_snapshot(&s);
        for (long n = 0; !done; n++) {
            int rc;
            store_fill(&s, 200, 260, 3000);
            store_set(&s, "round", n % 2 ? "odd" : "even");
            store_digest(&s, before);
            test_lmdb_arm(n, errors[e], e == 1);
            rc = varve_kv_snapshot(s.kv, NULL, &s.error);
            done = test_lmdb_disarm() <= n;
            assert_int_equal(rc == 0, done);
            if (rc != 0) {
                assert_int_equal(rc, errors[e] == ENOSPC ? VARVE_E_NOSPC : VARVE_E_IO);
                assert_non_null(strstr(s.error.message, "lmdb"));
                assert_true(atomic_load(&s.kv->memory) > 0);
            }
            store_expect_digest(&s, before);
            store_expect(&s, "round", n % 2 ? "odd" : "even");
            if (n < 4) {
                store_cut(&s, &after);
                store_expect_digest(&after, before);
                store_end(&after);
            }
            assert_true(n < 200);
        }
        store_snapshot(&s);
        store_again(&s);
        store_expect_digest(&s, before);
        store_end(&s);
    }
}

enum {
    CHANGES = 40
};

static int change(struct test_store *s)
{
    int rc = 0;
    for (int i = 0; i < CHANGES && rc == 0; i++) {
        const struct varve_kv_write h = {.size = sizeof h, .flags = VARVE_KV_NO_WAIT};
        char key[16];
        (void)snprintf(key, sizeof key, "key %d", i);
        rc = varve_kv_set(s->kv, key, strlen(key), "changed", 7, &h, NULL);
    }
    return rc ? rc : varve_kv_delete(s->kv, KEY("key 50"), NULL, NULL);
}

/* After so many calls the process is killed; negative: never. */
struct killed {
    const char *path;
    long lmdb_calls, other_calls;
};

static int die_in_time(void *arg, const struct test_fault_call *call)
{
    static _Atomic long count;
    const struct killed *k = arg;
    (void)call;
    if (atomic_fetch_add(&count, 1) == k->other_calls)
        (void)kill(getpid(), SIGKILL);
    return 0;
}

static int fold_and_die(void *arg)
{
    struct killed *k = arg;
    struct test_store s;
    store_at(&s, k->path);
    TEST_CHILD_CHECK(store_open(&s) == 0);
    TEST_CHILD_CHECK(change(&s) == 0);
    if (k->other_calls >= 0)
        test_fault_set_hook(&s.fault, die_in_time, k);
    if (k->lmdb_calls >= 0)
        test_lmdb_arm(k->lmdb_calls, 0, 0);
    TEST_CHILD_CHECK(varve_kv_snapshot(s.kv, NULL, NULL) == 0);
    return 0;
}

/* What is left of it opens, is the state from before the fold or from after it, and all that was durable is
 * there. */
static void check_killed(const char *path, const uint8_t *wanted, uint64_t before_lsn, unsigned seen[2])
{
    struct test_store s;
    bool is_after;
    store_at(&s, path);
    if (store_open(&s) != 0)
        fail_msg("%s", s.error.message);
    is_after = store_recovery(&s).snapshot_lsn != before_lsn;
    if (is_after)
        assert_int_equal(store_recovery(&s).snapshot_lsn, before_lsn + CHANGES + 1);
    seen[is_after]++;
    store_expect_digest(&s, wanted);
    store_snapshot(&s);
    store_again(&s);
    store_expect_digest(&s, wanted);
    store_end(&s);
}

/* Killed at each call that LMDB makes on its file, and at each that the fold makes on the log afterwards. */
static void test_fold_fails__killed(void **state)
{
    uint8_t wanted[VARVE_KV_DIGEST_BYTES];
    struct test_store s;
    uint64_t before_lsn;
    unsigned seen[2] = {0};
    (void)state;
    store_start(&s);
    store_fill(&s, 0, 400, 500);
    before_lsn = store_snapshot(&s);
    store_close(&s);
    test_tmp_copy(s.path, "same");
    assert_int_equal(store_open(&s), 0);
    assert_int_equal(change(&s), 0);
    store_digest(&s, wanted);
    store_close(&s);
    for (int which = 0; which < 2; which++) {
        for (long n = 0;; n++) {
            struct killed k = {"victim", which == 0 ? n : -1, which == 1 ? n : -1};
            test_tmp_copy("same", "victim");
            int rc = test_child_run(fold_and_die, &k);
            assert_true(rc == 0 || rc == -SIGKILL);
            check_killed("victim", wanted, before_lsn, seen);
            test_tmp_remove("victim");
            assert_true(n < 100);
            if (rc == 0)
                break;
        }
    }
    assert_true(seen[0] > 3 && seen[1] > 3);
    test_tmp_remove("same");
    store_end(&s);
}

/* Memory is full and cannot be folded: writes are refused with the reason, reads go on, and when there is
 * space again writes do. */
static void test_fold_fails__full_disk(void **state)
{
    struct test_store s;
    static char value[2000];
    int rc = 0;
    unsigned i = 0;
    (void)state;
    store_init(&s);
    s.options.max_memory = 100000;
    assert_int_equal(store_open(&s), 0);
    test_lmdb_arm(0, ENOSPC, 1);
    for (; rc == 0 && i < 100; i++)
        rc = varve_kv_set(s.kv, &i, sizeof i, value, sizeof value, NULL, NULL);
    assert_int_equal(rc, VARVE_E_NOSPC);
    assert_true(i > 40);
    BED_UNTIL(strstr(s.told, "was not folded") != NULL);
    assert_non_null(strstr(s.told, "free space"));
    assert_true(atomic_load(&s.kv->memory) <= 100000);
    for (unsigned k = 0; k + 1 < i; k++) {
        struct varve_kv_value got = {.data = NULL};
        assert_int_equal(varve_kv_get(s.kv, &k, sizeof k, &got), 0);
        varve_kv_value_free(&got);
    }
    (void)test_lmdb_disarm();
    BED_UNTIL(varve_kv_set(s.kv, &i, sizeof i, value, sizeof value, NULL, NULL) == 0);
    store_again(&s);
    assert_int_equal(varve_kv_count(s.kv), i);
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold_fails__faults),
        cmocka_unit_test(test_fold_fails__killed),
        cmocka_unit_test(test_fold_fails__full_disk),
    };
    if (!store_use(VARVE_KV_STORE_LMDB))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
