/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that read, write, scan, make snapshots, let keys expire and move money in transactions, all at
 * once. The money is never more or less, every view sees all of it, and what is reopened is the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/rng.h"
#include "lib/store.h"
#include "varve/stream.h"

enum {
    ACCOUNTS = 20,
    EACH = 1000,
    MOVERS = 2,
    MOVES = 300,
};

struct shared {
    struct test_store s;
    _Atomic bool stop;
    _Atomic uint64_t wrong, moved, conflicts, looked;
    _Atomic unsigned ids;
};

static size_t account(char name[16], unsigned number)
{
    return (size_t)snprintf(name, 16, "account %u", number);
}

static int read_number(struct varve_kv_txn *txn, unsigned number, long *ret)
{
    struct varve_kv_value value = {.data = NULL};
    char name[16], text[24] = {0};
    int rc = varve_kv_txn_get(txn, name, account(name, number), &value);
    if (rc == 0) {
        memcpy(text, value.data, value.bytes < 23 ? value.bytes : 23);
        *ret = strtol(text, NULL, 10);
    }
    varve_kv_value_free(&value);
    return rc;
}

static int write_number(struct varve_kv_txn *txn, unsigned number, long to)
{
    char name[16], text[24];
    size_t bytes = account(name, number);
    return varve_kv_txn_set(txn, name, bytes, text, (size_t)snprintf(text, sizeof text, "%ld", to), 0);
}

static int move(struct shared *sh, unsigned from, unsigned to, long amount)
{
    struct varve_kv_txn *txn;
    long a = 0, b = 0;
    int rc = varve_kv_begin(sh->s.kv, 0, &txn);
    if (rc != 0)
        return rc;
    rc = read_number(txn, from, &a);
    if (rc == 0)
        rc = read_number(txn, to, &b);
    if (rc == 0)
        rc = write_number(txn, from, a - amount);
    if (rc == 0)
        rc = write_number(txn, to, b + amount);
    if (rc == 0)
        rc = varve_kv_commit(txn, 0, NULL);
    if (rc != 0)
        varve_kv_abort(txn);
    return rc;
}

static void *run_mover(void *arg)
{
    struct shared *sh = arg;
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed() + atomic_fetch_add(&sh->ids, 1));
    for (unsigned i = 0; i < MOVES; i++) {
        unsigned from = (unsigned)test_rng_below(&rng, ACCOUNTS);
        unsigned to = (from + 1 + (unsigned)test_rng_below(&rng, ACCOUNTS - 1)) % ACCOUNTS;
        int rc = move(sh, from, to, (long)test_rng_below(&rng, 10));
        atomic_fetch_add(rc == 0 ? &sh->moved : rc == VARVE_E_CONFLICT ? &sh->conflicts : &sh->wrong, 1);
    }
    return NULL;
}

/* All accounts as of one moment. */
static void *run_auditor(void *arg)
{
    struct shared *sh = arg;
    while (!atomic_load(&sh->stop)) {
        struct varve_kv_txn *txn;
        long sum = 0, one = 0;
        int rc = varve_kv_begin(sh->s.kv, 0, &txn);
        for (unsigned i = 0; i < ACCOUNTS && rc == 0; i++) {
            rc = read_number(txn, i, &one);
            sum += one;
        }
        atomic_fetch_add(&sh->wrong, rc != 0 || sum != (long)ACCOUNTS * EACH);
        atomic_fetch_add(&sh->looked, 1);
        varve_kv_abort(txn);
    }
    return NULL;
}

struct run_of {
    uint64_t expected;
    bool broken;
};

/* Positions follow on each other, but where those in between were trimmed or a stream began anew. */
static int follow(void *arg, const struct varve_kv_event *e)
{
    struct run_of *r = arg;
    r->broken |= r->expected != 0 && e->position < r->expected;
    r->broken |= e->bytes != sizeof e->position && e->bytes != 0;
    r->expected = e->position + 1;
    return 0;
}

static int use_stream(struct shared *sh, struct test_rng *rng)
{
    if (sh->s.options.store == VARVE_KV_STORE_LMDB)
        return 0; /* it has no streams */
    const struct varve_kv_write h = {.size = sizeof h, .flags = VARVE_KV_NO_WAIT};
    struct varve_kv_stream stream = {.size = sizeof stream};
    struct run_of run = {.expected = 0};
    char name[32];
    size_t bytes = (size_t)snprintf(name, sizeof name, "stream %u", (unsigned)test_rng_below(rng, 3));
    uint64_t chance = test_rng_below(rng, 40);
    int rc;
    if (chance == 0)
        return varve_kv_delete(sh->s.kv, name, bytes, &h, NULL);
    if (chance > 3)
        return varve_kv_stream_append(sh->s.kv, name, bytes, &chance, sizeof chance, &h, NULL, NULL);
    if (chance == 1) {
        rc = varve_kv_stream_get(sh->s.kv, name, bytes, &stream);
        return rc ? rc
                  : varve_kv_stream_trim(sh->s.kv, name, bytes, (stream.first + stream.next) / 2, &h, NULL);
    }
    rc = varve_kv_stream_range(sh->s.kv, name, bytes, 0, VARVE_KV_STREAM_END, 0, follow, &run, NULL);
    atomic_fetch_add(&sh->wrong, run.broken);
    return rc;
}

static void *run_writer(void *arg)
{
    struct shared *sh = arg;
    struct varve_kv_value value = {.data = NULL};
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed() + atomic_fetch_add(&sh->ids, 1));
    while (!atomic_load(&sh->stop)) {
        struct varve_kv_write h = {.size = sizeof h, .flags = VARVE_KV_NO_WAIT};
        char name[32];
        size_t bytes = (size_t)snprintf(name, sizeof name, "key %u", (unsigned)test_rng_below(&rng, 500));
        uint64_t chance = test_rng_below(&rng, 8);
        int rc = use_stream(sh, &rng);
        atomic_fetch_add(&sh->wrong, rc != 0 && rc != VARVE_E_NO_KEY && rc != VARVE_E_INVALID);
        h.expires_us = chance == 0 ? 1 : 0;
        if (chance < 3)
            rc = varve_kv_set(sh->s.kv, name, bytes, name, bytes, &h, NULL);
        else if (chance < 4)
            rc = varve_kv_append(sh->s.kv, name, bytes, "+", 1, &h, NULL, NULL);
        else if (chance < 5)
            rc = varve_kv_delete(sh->s.kv, name, bytes, &h, NULL);
        else
            rc = varve_kv_get(sh->s.kv, name, bytes, &value);
        atomic_fetch_add(&sh->wrong, rc != 0 && rc != VARVE_E_NO_KEY && rc != VARVE_E_TOO_LARGE);
    }
    varve_kv_value_free(&value);
    return NULL;
}

static int count_account(void *arg, const struct varve_kv_entry *e)
{
    unsigned *count = arg;
    *count += e->key_bytes > 8 && memcmp(e->key, "account ", 8) == 0;
    return 0;
}

static void *run_scanner(void *arg)
{
    struct shared *sh = arg;
    while (!atomic_load(&sh->stop)) {
        unsigned accounts = 0;
        int rc = 0;
        for (uint64_t cursor = 0; rc == 0 && cursor != VARVE_KV_SCAN_END;)
            rc = varve_kv_scan(sh->s.kv, &cursor, 20, count_account, &accounts);
        atomic_fetch_add(&sh->wrong, rc != 0 || accounts != ACCOUNTS);
        rc = varve_kv_snapshot(sh->s.kv, NULL, NULL);
        atomic_fetch_add(&sh->wrong, rc != 0);
    }
    return NULL;
}

static void test_kv_threads__all_at_once(void **state)
{
    static struct shared sh;
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    void *(*const others[])(void *) = {run_auditor, run_writer, run_writer, run_scanner};
    pthread_t movers[MOVERS], threads[4];
    (void)state;
    memset(&sh, 0, sizeof sh);
    store_start(&sh.s);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char name[16], text[24];
        account(name, i);
        (void)snprintf(text, sizeof text, "%d", EACH);
        store_set(&sh.s, name, text);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, others[i], &sh), 0);
    for (unsigned i = 0; i < MOVERS; i++)
        assert_int_equal(pthread_create(&movers[i], NULL, run_mover, &sh), 0);
    for (unsigned i = 0; i < MOVERS; i++)
        assert_int_equal(pthread_join(movers[i], NULL), 0);
    atomic_store(&sh.stop, true);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&sh.wrong), 0);
    assert_true(atomic_load(&sh.moved) > 0 && atomic_load(&sh.looked) > 0);
    assert_int_equal(store_stats(&sh.s).txn_open, 0);
    assert_int_equal(store_stats(&sh.s).kept_versions, 0);
    /* Read-only: nobody removes what has expired meanwhile. */
    store_close(&sh.s);
    sh.s.log.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(store_open(&sh.s), 0);
    store_digest(&sh.s, before);
    assert_true(varve_kv_count(sh.s.kv) >= ACCOUNTS);
    store_again(&sh.s);
    store_digest(&sh.s, after);
    assert_memory_equal(before, after, sizeof after);
    store_end(&sh.s);
}

enum {
    PAIRS = 4000
};

/* Makes two keys the same number, again and again. */
static void *run_pairs(void *arg)
{
    struct shared *sh = arg;
    for (unsigned i = 1; i <= PAIRS; i++) {
        struct varve_kv_txn *txn;
        char text[16];
        size_t bytes = (size_t)snprintf(text, sizeof text, "%08u", i);
        int rc = varve_kv_begin(sh->s.kv, 0, &txn);
        for (unsigned key = 0; key < 8 && rc == 0; key++)
            rc = varve_kv_txn_set(txn, &key, sizeof key, text, bytes, 0);
        if (rc == 0)
            rc = varve_kv_commit(txn, 0, NULL);
        atomic_fetch_add(&sh->wrong, rc != 0);
    }
    atomic_store(&sh->stop, true);
    return NULL;
}

static unsigned long read_pair(struct shared *sh, unsigned key, struct varve_kv_value *value)
{
    char text[16] = {0};
    if (varve_kv_get(sh->s.kv, &key, sizeof key, value) != 0)
        return 0;
    memcpy(text, value->data, value->bytes < 15 ? value->bytes : 15);
    return strtoul(text, NULL, 10);
}

/* Who has seen one key of a transaction sees the others too, with single calls as well, and in a mode that
 * waits for no disk. */
static void test_kv_threads__one_after_the_other(void **state)
{
    static struct shared sh;
    struct varve_kv_value value = {.data = NULL};
    pthread_t writer;
    (void)state;
    memset(&sh, 0, sizeof sh);
    store_init(&sh.s);
    sh.s.log.durability = VARVE_INTERVAL;
    assert_int_equal(store_open(&sh.s), 0);
    assert_int_equal(pthread_create(&writer, NULL, run_pairs, &sh), 0);
    for (unsigned i = 0; !atomic_load(&sh.stop); i++) {
        unsigned long first = read_pair(&sh, i % 8, &value),
                      second = read_pair(&sh, (i + 1 + i / 8 % 7) % 8, &value);
        if (second < first)
            fail_msg("%lu after %lu", second, first);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(atomic_load(&sh.wrong), 0);
    varve_kv_value_free(&value);
    store_end(&sh.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_threads__all_at_once),
        cmocka_unit_test(test_kv_threads__one_after_the_other),
    };
    int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
    if (store_use(VARVE_KV_STORE_LMDB))
        failed += cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
    return failed;
}
