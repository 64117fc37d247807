/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions that are larger than their memory. */
#include <errno.h>
#include <inttypes.h>
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
#include "varve/cursor.h"
#include "varve/txn.h"

#define KEY(text) text, sizeof(text) - 1

enum {
    MANY = 300
};

static void start(struct test_store *s)
{
    store_init(s);
    s->options.txn_bytes = 4096;
    assert_int_equal(store_open(s), 0);
}

static struct varve_kv_txn *begin(struct test_store *s)
{
    struct varve_kv_txn *txn;
    assert_int_equal(varve_kv_begin(s->kv, 0, &txn), 0);
    return txn;
}

static int put(struct varve_kv_txn *txn, const char *key, const char *value)
{
    return varve_kv_txn_set(txn, key, strlen(key), value, strlen(value), 0);
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

/* Puts so many keys that it has to stream. */
static int put_many(struct varve_kv_txn *txn, const char *value)
{
    char key[32];
    int rc = 0;
    for (int i = 0; i < MANY && rc == 0; i++) {
        (void)snprintf(key, sizeof key, "many %d", i);
        rc = put(txn, key, value);
    }
    return rc;
}

static void expect_many(struct test_store *s, const char *value)
{
    char key[32];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "many %d", i);
        store_expect(s, key, value);
    }
}

static struct varve_kv_recovery recovery(struct test_store *s)
{
    struct varve_kv_recovery r = {.size = sizeof r};
    assert_int_equal(varve_kv_recovery_get(s->kv, &r), 0);
    return r;
}

/* What it has written last counts, and nobody sees any of it before. */
static void test_spill__all_at_once(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    uint64_t lsn;
    (void)state;
    start(&s);
    store_set(&s, "many 1", "old");
    store_set(&s, "gone", "old");
    txn = begin(&s);
    sees(txn, "many 1", "old");
    assert_int_equal(put(txn, "gone", "for a while"), 0);
    assert_int_equal(put(txn, "back", "for a while"), 0);
    assert_int_equal(put_many(txn, "first"), 0);
    assert_int_equal(store_stats(&s).txn_streamed, 1);
    /* From the log. */
    sees(txn, "gone", "for a while");
    sees(txn, "many 1", "first");
    sees(txn, "nobody", NULL);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("gone")), 0);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("back")), 0);
    assert_int_equal(put_many(txn, "second"), 0);
    sees(txn, "gone", NULL);
    assert_int_equal(put(txn, "back", "again"), 0);
    store_expect(&s, "many 1", "old");
    store_expect(&s, "gone", "old");
    store_expect(&s, "many 2", NULL);
    assert_int_equal(varve_kv_commit(txn, 0, &lsn), 0);
    assert_int_equal(lsn, varve_last_lsn(varve_kv_log(s.kv)));
    expect_many(&s, "second");
    store_expect(&s, "gone", NULL);
    store_expect(&s, "back", "again");
    assert_int_equal(varve_kv_count(s.kv), MANY + 1);
    assert_int_equal(store_stats(&s).kept_versions, 0);
    store_digest(&s, before);
    store_again(&s);
    store_digest(&s, after);
    assert_memory_equal(before, after, sizeof after);
    assert_int_equal(recovery(&s).txn_streamed, 1);
    assert_int_equal(recovery(&s).txn_orphans, 0);
    store_end(&s);
}

/* A key that it has streamed was changed, made, or removed since it began: the first committer wins. */
static void test_spill__first_committer_wins(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    start(&s);
    for (int how = 0; how < 5; how++) {
        store_set(&s, "many 7", "old");
        store_set(&s, "read", "old");
        txn = begin(&s);
        if (how == 3)
            sees(txn, "read", "old");
        assert_int_equal(put_many(txn, "mine"), 0);
        if (how == 0)
            store_set(&s, "many 7", "theirs");
        if (how == 1)
            store_set(&s, "many 8", "theirs");
        if (how == 2)
            assert_int_equal(varve_kv_delete(s.kv, KEY("many 7"), NULL, NULL), 0);
        if (how == 3)
            store_set(&s, "read", "theirs");
        assert_int_equal(varve_kv_commit(txn, 0, NULL), how == 4 ? 0 : VARVE_E_CONFLICT);
        if (how != 4)
            varve_kv_abort(txn);
        store_expect(&s, "many 9", how == 4 ? "mine" : NULL);
        if (how == 1)
            assert_int_equal(varve_kv_delete(s.kv, KEY("many 8"), NULL, NULL), 0);
    }
    assert_int_equal(store_stats(&s).txn_conflicts, 4);
    expect_many(&s, "mine");
    store_again(&s);
    expect_many(&s, "mine");
    assert_int_equal(recovery(&s).txn_rolled_back, 4);
    store_end(&s);
}

/* Older views see what was there before it. */
static void test_spill__views(void **state)
{
    struct test_store s;
    struct varve_kv_txn *viewer, *txn;
    (void)state;
    start(&s);
    store_set(&s, "many 5", "old");
    viewer = begin(&s);
    txn = begin(&s);
    assert_int_equal(put_many(txn, "new"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    sees(viewer, "many 5", "old");
    sees(viewer, "many 6", NULL);
    varve_kv_abort(viewer);
    assert_int_equal(store_stats(&s).kept_versions, 0);
    store_expect(&s, "many 5", "new");
    store_end(&s);
}

/* Snapshots between its beginning and its commit: replay begins where it began, and the log is kept. */
static void test_spill__snapshots(void **state)
{
    struct test_store s, after;
    struct varve_kv_txn *txn;
    static char large[2000];
    char key[32];
    (void)state;
    store_init(&s);
    s.options.txn_bytes = 4096;
    s.options.snapshot_keep = 1;
    assert_int_equal(store_open(&s), 0);
    store_set(&s, "many 5", "old");
    txn = begin(&s);
    assert_int_equal(put_many(txn, "first"), 0);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof key, "other %d", i);
        assert_int_equal(varve_kv_set(s.kv, key, strlen(key), large, sizeof large, NULL, NULL), 0);
        if (i % 700 == 699)
            assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), 0);
    }
    assert_int_equal(put_many(txn, "second"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    store_set(&s, "many 6", "newer");
    store_cut(&s, &after);
    assert_true(recovery(&after).snapshot_lsn > 1000);
    assert_int_equal(recovery(&after).txn_streamed, 1);
    store_expect(&after, "many 5", "second");
    store_expect(&after, "many 6", "newer");
    assert_int_equal(varve_kv_count(after.kv), MANY + 2000);
    store_end(&after);
    /* One after it: now what it has streamed can go. */
    assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), 0);
    store_again(&s);
    assert_int_equal(recovery(&s).txn_streamed, 0);
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) > 1000);
    store_expect(&s, "many 5", "second");
    store_end(&s);
}

/* Never ended: rolled back, counted, told; and the log is not held any more. */
static void test_spill__orphan(void **state)
{
    struct test_store s, after;
    struct varve_kv_txn *txn;
    (void)state;
    start(&s);
    store_set(&s, "many 5", "old");
    txn = begin(&s);
    assert_int_equal(put_many(txn, "mine"), 0);
    store_set(&s, "x", "y");
    store_cut(&s, &after);
    assert_int_equal(recovery(&after).txn_orphans, 1);
    assert_non_null(strstr(after.told, "1 streamed transactions had not ended"));
    store_expect(&after, "many 5", "old");
    store_expect(&after, "many 6", NULL);
    store_expect(&after, "x", "y");
    store_end(&after);
    varve_kv_abort(txn);
    store_again(&s);
    assert_int_equal(recovery(&s).txn_orphans, 0);
    assert_int_equal(recovery(&s).txn_rolled_back, 1);
    store_end(&s);
}

static void test_spill__time_limit(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    start(&s);
    assert_int_equal(varve_kv_begin(s.kv, 50, &txn), 0);
    while (put_many(txn, "mine") == 0)
        ;
    assert_int_equal(put(txn, "k", "1"), VARVE_E_TIMEOUT);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_TIMEOUT);
    varve_kv_abort(txn);
    assert_int_equal(varve_kv_count(s.kv), 0);
    store_end(&s);
}

/* A lock is no place for a value, unless it was deleted before, here, however long ago. */
static void test_spill__locks(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    start(&s);
    assert_int_equal(varve_kv_lock(s.kv, KEY("l"), KEY("me"), 100000, NULL), 0);
    txn = begin(&s);
    assert_int_equal(put_many(txn, "mine"), 0);
    assert_int_equal(put(txn, "l", "x"), VARVE_E_TYPE);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("l")), 0);
    assert_int_equal(put_many(txn, "mine"), 0);
    assert_int_equal(put(txn, "l", "x"), 0);
    assert_int_equal(put_many(txn, "mine"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    store_expect(&s, "l", "x");
    store_end(&s);
}

static void test_spill__limits(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    static char large[1 << 18];
    int rc = 0;
    (void)state;
    store_init(&s);
    s.options.txn_bytes = 100;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.options.txn_bytes = 4096;
    s.options.max_memory = 20000;
    assert_int_equal(store_open(&s), 0);
    txn = begin(&s);
    /* A write may be larger than the memory, as long as a record holds it. */
    assert_int_equal(varve_kv_txn_set(txn, KEY("large"), large, sizeof large - 100, 0), 0);
    assert_int_equal(varve_kv_txn_set(txn, KEY("large"), large, sizeof large, 0), VARVE_E_TOO_LARGE);
    assert_int_equal(put_many(txn, "mine"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_MEMORY);
    assert_int_equal(varve_kv_txn_delete(txn, KEY("large")), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    expect_many(&s, "mine");
    store_end(&s);
    /* In a mode that writes nothing there is nothing to stream into. */
    store_init(&s);
    s.options.txn_bytes = 4096;
    s.log.durability = VARVE_MEMORY;
    assert_int_equal(store_open(&s), 0);
    txn = begin(&s);
    while ((rc = put_many(txn, "mine")) == 0 &&
           (rc = varve_kv_txn_set(txn, KEY("large"), large, sizeof large - 100, 0)) == 0)
        ;
    assert_int_equal(rc, VARVE_E_TOO_LARGE);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    assert_int_equal(store_stats(&s).txn_streamed, 0);
    expect_many(&s, "mine");
    store_end(&s);
}

struct seen {
    unsigned count;
    uint64_t lsn;
    char last[16];
};

static int note_change(void *arg, const struct varve_kv_change *change)
{
    struct seen *seen = arg;
    seen->count++;
    seen->lsn = change->lsn;
    (void)snprintf(seen->last, sizeof seen->last, "%.*s", (int)change->value_bytes,
                   (const char *)change->value);
    return 0;
}

/* History has it under its commit, also as of a moment before that; and nothing of what was aborted. */
static void test_spill__history(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    struct seen seen = {.count = 0};
    uint64_t lsn;
    (void)state;
    start(&s);
    txn = begin(&s);
    assert_int_equal(put_many(txn, "no"), 0);
    varve_kv_abort(txn);
    txn = begin(&s);
    assert_int_equal(put_many(txn, "first"), 0);
    assert_int_equal(put_many(txn, "second"), 0);
    assert_int_equal(varve_kv_commit(txn, 0, &lsn), 0);
    assert_int_equal(varve_kv_history(varve_kv_log(s.kv), KEY("many 3"), note_change, &seen, NULL), 0);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.lsn, lsn);
    assert_string_equal(seen.last, "second");
    store_close(&s);
    s.log.flags = VARVE_OPEN_READ_ONLY;
    s.options.at_lsn = lsn - 1;
    assert_int_equal(store_open(&s), 0);
    assert_int_equal(varve_kv_count(s.kv), 0);
    store_close(&s);
    s.options.at_lsn = lsn;
    assert_int_equal(store_open(&s), 0);
    expect_many(&s, "second");
    store_end(&s);
}

static int count_operation(void *arg, const void *key, size_t key_bytes, const struct varve_kv_change *change)
{
    uint64_t *count = arg;
    (void)key;
    assert_true(key_bytes > 5 && change->txn_id != 0);
    assert_true(change->kind == VARVE_KV_CHANGE_SET || change->kind == VARVE_KV_CHANGE_DELETE);
    ++*count;
    return 0;
}

/* Of its records the parts say all that it does, begin and end nothing, and one that is cut says why. */
static void test_spill__operations(void **state)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct test_store s;
    struct varve_kv_txn *txn;
    uint64_t count = 0;
    unsigned types[5] = {0};
    (void)state;
    start(&s);
    for (int i = 0; i < 2; i++) {
        txn = begin(&s);
        assert_int_equal(put_many(txn, "mine"), 0);
        if (i == 0)
            varve_kv_abort(txn);
    }
    assert_int_equal(varve_kv_txn_delete(txn, KEY("many 7")), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    assert_int_equal(varve_cursor_open(varve_kv_log(s.kv), VARVE_POLICY_TRUNCATE, &cursor, NULL), 0);
    while (varve_cursor_next(cursor, &entry) == 0) {
        uint64_t before = count;
        unsigned type = entry.type - VARVE_TXN_TYPE;
        assert_true(type < 5);
        types[type]++;
        assert_int_equal(varve_kv_operations(&entry, count_operation, &count, NULL), 0);
        assert_int_equal(count > before, type == 2);
        entry.data_bytes--;
        assert_int_equal(varve_kv_operations(&entry, count_operation, &count, NULL), VARVE_E_CORRUPT);
    }
    varve_cursor_close(cursor);
    assert_true(types[0] == 0 && types[1] == 2 && types[2] > 3 && types[3] == 1 && types[4] == 1);
    /* What was aborted had not been streamed to its end. */
    assert_true(count > MANY + 1 && count <= 2 * MANY + 1);
    store_end(&s);
}

/* Keys of two shards change, and one of them goes: several at one moment show both or none, also parts. */
static void test_spill__seen_by_all(void **state)
{
    static const struct varve_kv_pair keys[] = {
        {KEY("many 1"), NULL, 0}, {KEY("many 2"), NULL, 0}, {KEY("gone"), NULL, 0}};
    struct varve_kv_value values[3] = {{.data = NULL}};
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    start(&s);
    store_set(&s, "many 1", "old");
    store_set(&s, "gone", "old");
    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            txn = begin(&s);
            assert_int_equal(varve_kv_txn_delete(txn, KEY("gone")), 0);
            assert_int_equal(put_many(txn, "mine"), 0);
            assert_int_equal(store_stats(&s).txn_streamed, 1);
        }
        assert_int_equal(varve_kv_get_many(s.kv, keys, 3, values), 0);
        assert_int_equal(values[0].bytes, i == 0 ? 3 : 4);
        assert_int_equal(values[1].version != 0, i == 1);
        assert_int_equal(values[2].version != 0, i == 0);
        assert_int_equal(varve_kv_get_range(s.kv, KEY("many 1"), 1, 9, &values[0]), 0);
        assert_int_equal(values[0].bytes, i == 0 ? 2 : 3);
        if (i == 0)
            assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    }
    for (int i = 0; i < 3; i++)
        varve_kv_value_free(&values[i]);
    store_end(&s);
}

/* Over an environment, and in a format of others, it is one record as before. */
static void test_spill__stays_one_record(void **state)
{
    static const char *const formats[] = {"dbkv", "stra"};
    struct test_store s;
    struct varve_kv_txn *txn;
    uint64_t lsn;
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (i == 2 && !store_use(VARVE_KV_STORE_LMDB))
            break;
        store_init(&s);
        if (i < 2)
            assert_int_equal(varve_options_preset(&s.log, formats[i]), 0);
        s.log.segment_bytes = 1 << 20;
        s.log.sync_bytes = 0;
        s.options.txn_bytes = 4096;
        assert_int_equal(store_open(&s), 0);
        txn = begin(&s);
        assert_int_equal(put_many(txn, "mine"), 0);
        assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), 0);
        assert_int_equal(varve_kv_commit(txn, 0, &lsn), 0);
        assert_int_equal(lsn, 1);
        assert_int_equal(store_stats(&s).txn_streamed, 0);
        expect_many(&s, "mine");
        store_again(&s);
        expect_many(&s, "mine");
        store_end(&s);
    }
    (void)store_use(VARVE_KV_STORE_MEMORY);
}

/* A log of the store `memory`, taken over by the other while memory is small: whatever read fails first, what
 * was folded until then has all of a transaction that was open meanwhile. */
static void test_spill__taken_over(void **state)
{
    static char large[2000];
    struct test_store s;
    struct varve_kv_txn *txn;
    (void)state;
    if (!store_use(VARVE_KV_STORE_LMDB))
        skip();
    memset(large, 'x', sizeof large - 1);
    store_init(&s);
    s.options.store = VARVE_KV_STORE_MEMORY;
    s.options.txn_bytes = 4096;
    assert_int_equal(store_open(&s), 0);
    txn = begin(&s);
    assert_int_equal(put_many(txn, "mine"), 0);
    for (int i = 0; i < 60; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "other %d", i);
        store_set(&s, key, large);
    }
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    store_close(&s);
    s.options.store = VARVE_KV_STORE_LMDB;
    s.options.max_memory = 65536;
    for (long n = 0;; n++) {
        int rule = test_fault_fail_once(&s.fault, TEST_OP_PREAD, n, EIO), rc = store_open(&s);
        long hits = test_fault_hits(&s.fault, rule);
        test_fault_disarm(&s.fault);
        if (hits == 0) {
            assert_int_equal(rc, 0);
            break;
        }
        if (rc == 0)
            store_close(&s);
    }
    expect_many(&s, "mine");
    store_again(&s);
    expect_many(&s, "mine");
    assert_int_equal(varve_kv_count(s.kv), MANY + 60);
    store_end(&s);
    (void)store_use(VARVE_KV_STORE_MEMORY);
}

/* Each allocation fails once: it is whole, or goes on where it was. */
static void test_spill__no_memory(void **state)
{
    struct test_store s;
    (void)state;
    start(&s);
    store_set(&s, "many 0", "old");
    for (long n = 0;; n += 1 + n / 8) {
        struct varve_kv_txn *txn;
        int rc;
        assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
        vv_alloc_fail_after(n);
        rc = put_many(txn, "mine");
        if (rc == 0)
            rc = varve_kv_commit(txn, 0, NULL);
        if (vv_alloc_fail_left() >= 0) {
            vv_alloc_fail_after(-1);
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, VARVE_E_NOMEM);
        store_expect(&s, "many 0", "old");
        store_expect(&s, "many 1", NULL);
        varve_kv_abort(txn);
    }
    expect_many(&s, "mine");
    store_again(&s);
    expect_many(&s, "mine");
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spill__all_at_once), cmocka_unit_test(test_spill__first_committer_wins),
        cmocka_unit_test(test_spill__views),       cmocka_unit_test(test_spill__snapshots),
        cmocka_unit_test(test_spill__orphan),      cmocka_unit_test(test_spill__time_limit),
        cmocka_unit_test(test_spill__locks),       cmocka_unit_test(test_spill__limits),
        cmocka_unit_test(test_spill__history),     cmocka_unit_test(test_spill__no_memory),
        cmocka_unit_test(test_spill__operations),  cmocka_unit_test(test_spill__seen_by_all),
        cmocka_unit_test(test_spill__taken_over),  cmocka_unit_test(test_spill__stays_one_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
