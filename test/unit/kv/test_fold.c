/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "kv/facts.h"
#include "lib/bed.h"
#include "lib/child.h"
#include "lib/rng.h"
#include "lib/store.h"
#include "lib/tmp.h"
#include "varve/pin.h"

#define KEY(text) text, sizeof(text) - 1

static int note_pin(void *arg, const struct varve_pin *pin)
{
    if (strcmp(pin->name, VV_KV_PIN) == 0)
        *(uint64_t *)arg = pin->lsn;
    return 0;
}

/* What is folded leaves memory, is found all the same, and is what opening goes on from. */
static void test_fold__round(void **state)
{
    uint8_t before[VARVE_KV_DIGEST_BYTES];
    struct test_store s;
    uint64_t lsn, count, pin = 0;
    (void)state;
    store_start(&s);
    assert_int_equal(varve_pin_list(varve_kv_log(s.kv), note_pin, &pin, NULL), 0);
    assert_int_equal(pin, 1);
    store_fill(&s, 0, 3000, 20);
    count = varve_kv_count(s.kv);
    store_digest(&s, before);
    assert_true(atomic_load(&s.kv->memory) > 100000);
    lsn = store_snapshot(&s);
    assert_int_equal(atomic_load(&s.kv->memory), 0);
    assert_int_equal(store_snapshot(&s), lsn);
    assert_int_equal(store_stats(&s).snapshots, 1);
    assert_int_equal(store_stats(&s).store, VARVE_KV_STORE_LMDB);
    assert_int_equal(varve_kv_count(s.kv), count);
    store_expect_digest(&s, before);
    store_expect(&s, "key 11", NULL);
    store_fill(&s, 2000, 4000, 30);
    assert_int_equal(varve_kv_lock(s.kv, KEY("lock"), KEY("me"), 1000000, NULL), 0);
    assert_int_equal(varve_kv_delete(s.kv, KEY("key 7"), NULL, NULL), 0);
    store_expect(&s, "key 7", NULL);
    count = varve_kv_count(s.kv);
    store_digest(&s, before);
    for (int i = 0; i < 2; i++) {
        store_again(&s);
        store_expect_digest(&s, before);
        assert_int_equal(varve_kv_count(s.kv), count);
        assert_int_equal(store_recovery(&s).snapshot_lsn, i == 0 ? lsn : store_snapshot(&s));
        lsn = store_snapshot(&s);
        store_again(&s);
        assert_int_equal(store_recovery(&s).records, 0);
        assert_int_equal(store_recovery(&s).snapshot_entries, count);
    }
    assert_int_equal(varve_kv_lock(s.kv, KEY("lock"), KEY("you"), 1, NULL), VARVE_E_CONFLICT);
    store_end(&s);
}

/* The log is held from the third fold back on, and no longer. */
static void test_fold__trims_the_log(void **state)
{
    uint64_t lsns[6], pin = 0;
    struct test_store s;
    (void)state;
    store_start(&s);
    for (int i = 0; i < 6; i++) {
        store_fill(&s, i * 200, (i + 1) * 200, 3000);
        lsns[i] = store_snapshot(&s);
    }
    assert_int_equal(varve_pin_list(varve_kv_log(s.kv), note_pin, &pin, NULL), 0);
    assert_int_equal(pin, lsns[3] + 1);
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) > 1);
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) <= lsns[3] + 1);
    store_end(&s);
}

/* -- both stores, the same history -- */

static void one_call(struct test_rng *rng, struct test_store *both, unsigned i)
{
    static char value[3000];
    uint64_t chance = test_rng_below(rng, 20), versions[2] = {0};
    size_t bytes = (size_t)test_rng_below(rng, test_rng_once_in(rng, 20) ? sizeof value : 60);
    char key[16];
    int rcs[2];
    size_t key_bytes = (size_t)snprintf(key, sizeof key, "%u", (unsigned)test_rng_below(rng, 300));
    memset(value, (int)('a' + i % 26), bytes);
    for (int n = 0; n < 2; n++) {
        struct varve_kv_write h = {.size = sizeof h, .flags = VARVE_KV_NO_WAIT};
        struct varve_kv *kv = both[n].kv;
        h.expires_us = chance == 0 ? UINT64_MAX - i : 0;
        if (chance < 9)
            rcs[n] = varve_kv_set(kv, key, key_bytes, value, bytes, &h, &versions[n]);
        else if (chance < 13)
            rcs[n] = varve_kv_delete(kv, key, key_bytes, &h, &versions[n]);
        else if (chance < 16)
            rcs[n] = varve_kv_append(kv, key, key_bytes, value, bytes, &h, NULL, &versions[n]);
        else if (chance < 17)
            rcs[n] = varve_kv_expire(kv, key, key_bytes, UINT64_MAX - i, &h, &versions[n]);
        else if (chance < 18)
            rcs[n] = varve_kv_add(kv, "number", 6, i, &h, NULL, &versions[n]);
        else if (chance < 19)
            rcs[n] = varve_kv_lock(kv, "lock", 4, key, key_bytes, 1000000000, &versions[n]);
        else
            rcs[n] = varve_kv_unlock(kv, "lock", 4, key, key_bytes, &versions[n]);
    }
    /* The clock says when a lock ends: it is left out of what is compared. */
    assert_int_equal(rcs[0], rcs[1]);
    assert_int_equal(versions[0], versions[1]);
}

static void one_transaction(struct test_rng *rng, struct test_store *both)
{
    uint64_t seed = test_rng_next(rng), lsns[2] = {0};
    int rcs[2];
    for (int n = 0; n < 2; n++) {
        struct varve_kv_value value = {.data = NULL};
        struct varve_kv_txn *txn;
        struct test_rng own;
        test_rng_init(&own, seed);
        assert_int_equal(varve_kv_begin(both[n].kv, 0, &txn), 0);
        for (unsigned i = 0; i < 6; i++) {
            char key[16];
            size_t bytes = (size_t)snprintf(key, sizeof key, "%u", (unsigned)test_rng_below(&own, 300));
            int rc = varve_kv_txn_get(txn, key, bytes, &value);
            assert_true(rc == 0 || rc == VARVE_E_NO_KEY);
            rc = test_rng_once_in(&own, 3) ? varve_kv_txn_delete(txn, key, bytes)
                                           : varve_kv_txn_set(txn, key, bytes, key, bytes, 0);
            assert_int_equal(rc, 0);
        }
        rcs[n] = varve_kv_commit(txn, VARVE_KV_NO_WAIT, &lsns[n]);
        varve_kv_value_free(&value);
    }
    assert_int_equal(rcs[0], 0);
    assert_int_equal(rcs[1], 0);
    assert_int_equal(lsns[0], lsns[1]);
}

static int note_key(void *arg, const struct varve_kv_entry *e)
{
    unsigned char *times = arg;
    char text[16] = {0};
    if (e->key_bytes < 4) {
        memcpy(text, e->key, e->key_bytes);
        times[strtoul(text, NULL, 10)]++;
    }
    return 0;
}

static void scan(struct test_store *s, unsigned char times[300], size_t limit)
{
    memset(times, 0, 300);
    for (uint64_t cursor = 0; cursor != VARVE_KV_SCAN_END;)
        assert_int_equal(varve_kv_scan(s->kv, &cursor, limit, note_key, times), 0);
}

static void compare(struct test_rng *rng, struct test_store *both)
{
    uint8_t digests[2][VARVE_KV_DIGEST_BYTES];
    unsigned char times[2][300];
    (void)varve_kv_delete(both[0].kv, KEY("lock"), NULL, NULL);
    (void)varve_kv_delete(both[1].kv, KEY("lock"), NULL, NULL);
    assert_int_equal(varve_kv_count(both[0].kv), varve_kv_count(both[1].kv));
    assert_int_equal(store_stats(&both[0]).expiring, store_stats(&both[1]).expiring);
    for (int n = 0; n < 2; n++) {
        store_digest(&both[n], digests[n]);
        scan(&both[n], times[n], (size_t)test_rng_range(rng, 1, 100));
    }
    assert_memory_equal(digests[0], digests[1], sizeof digests[0]);
    assert_memory_equal(times[0], times[1], 300);
}

/* What each call says, and all that comes of it, is the same whatever is folded when, and reopened when. */
static void test_fold__both_stores_agree(void **state)
{
    struct test_store both[2];
    struct test_rng rng;
    (void)state;
    test_rng_init(&rng, test_rng_seed());
    (void)store_use(VARVE_KV_STORE_MEMORY);
    store_init(&both[0]);
    (void)store_use(VARVE_KV_STORE_LMDB);
    store_init(&both[1]);
    for (int n = 0; n < 2; n++) {
        both[n].log.durability = VARVE_INTERVAL;
        both[n].log.sync_interval_ms = 1;
        assert_int_equal(store_open(&both[n]), 0);
    }
    for (unsigned i = 0; i < 6000; i++) {
        if (test_rng_once_in(&rng, 10))
            one_transaction(&rng, both);
        else
            one_call(&rng, both, i);
        if (test_rng_once_in(&rng, 150))
            store_snapshot(&both[1]);
        if (test_rng_once_in(&rng, 1500))
            store_again(&both[1]);
        if (test_rng_once_in(&rng, 400))
            compare(&rng, both);
    }
    store_again(&both[0]);
    store_again(&both[1]);
    compare(&rng, both);
    store_again(&both[1]);
    compare(&rng, both);
    store_end(&both[0]);
    store_end(&both[1]);
}

/* -- what a fold must not disturb -- */

static void sees(struct varve_kv_txn *txn, const char *key, const char *wanted)
{
    struct varve_kv_value value = {.data = NULL};
    int rc = varve_kv_txn_get(txn, key, strlen(key), &value);
    if (!wanted) {
        assert_int_equal(rc, VARVE_E_NO_KEY);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(value.bytes, strlen(wanted));
        assert_memory_equal(value.data, wanted, value.bytes);
    }
    varve_kv_value_free(&value);
}

/* A transaction sees its moment, whether what it sees was in memory or not, and whatever is folded since. */
static void test_fold__views(void **state)
{
    struct test_store s;
    (void)state;
    for (int folds = 0; folds < 8; folds++) {
        struct varve_kv_txn *txn;
        store_start(&s);
        store_set(&s, "old", "1");
        store_set(&s, "goes", "1");
        store_set(&s, "gone", "1");
        store_set(&s, "again", "1");
        store_snapshot(&s);
        assert_int_equal(varve_kv_delete(s.kv, KEY("gone"), NULL, NULL), 0);
        assert_int_equal(varve_kv_delete(s.kv, KEY("again"), NULL, NULL), 0);
        store_set(&s, "recent", "1");
        if (folds & 1)
            store_snapshot(&s);
        assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
        store_set(&s, "old", "2");
        store_set(&s, "recent", "2");
        store_set(&s, "again", "2");
        store_set(&s, "new", "2");
        assert_int_equal(varve_kv_delete(s.kv, KEY("goes"), NULL, NULL), 0);
        if (folds & 2)
            store_snapshot(&s);
        store_set(&s, "old", "3");
        store_set(&s, "goes", "3");
        if (folds & 4)
            store_snapshot(&s);
        sees(txn, "old", "1");
        sees(txn, "goes", "1");
        sees(txn, "gone", NULL);
        sees(txn, "again", NULL);
        sees(txn, "recent", "1");
        sees(txn, "new", NULL);
        assert_int_equal(varve_kv_txn_set(txn, KEY("new"), "x", 1, 0), 0);
        assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_CONFLICT);
        varve_kv_abort(txn);
        store_expect(&s, "old", "3");
        assert_int_equal(store_stats(&s).kept_versions, 0);
        store_end(&s);
    }
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What expires in the environment is removed by a record, once, also when a fold was faster. */
static void test_fold__expiry(void **state)
{
    struct varve_kv_write h = {.size = sizeof h, .flags = VARVE_KV_NO_WAIT};
    struct test_store s;
    char key[16];
    uint64_t last;
    (void)state;
    store_start(&s);
    store_set(&s, "stays", "1");
    h.expires_us = now_us() + 200000;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        assert_int_equal(varve_kv_set(s.kv, key, strlen(key), "x", 1, &h, NULL), 0);
    }
    h.expires_us = UINT64_MAX - 1;
    assert_int_equal(varve_kv_set(s.kv, KEY("late"), "x", 1, &h, NULL), 0);
    store_snapshot(&s);
    /* One is to live on: what the index says of it is not true any more. */
    assert_int_equal(varve_kv_expire(s.kv, KEY("7"), 0, NULL, NULL), 0);
    BED_UNTIL(varve_kv_count(s.kv) == 3);
    assert_int_equal(store_stats(&s).expired, 49);
    assert_int_equal(store_stats(&s).expiring, 1);
    last = varve_last_lsn(varve_kv_log(s.kv));
    store_snapshot(&s);
    for (int i = 0; i < 10; i++)
        bed_pause();
    assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), last);
    store_expect(&s, "7", "x");
    store_expect(&s, "8", NULL);
    store_again(&s);
    assert_int_equal(varve_kv_count(s.kv), 3);
    assert_int_equal(store_stats(&s).expiring, 1);
    store_end(&s);
}

/* Keys that share a word share a run. Whoever knows the secret of the hash can make such keys. */
static void test_fold__one_word(void **state)
{
    struct test_store s;
    uint64_t keys[4][2];
    struct varve_kv_write h = {.size = sizeof h};
    uint64_t later = now_us() + UINT64_C(3600000000);
    (void)state;
    store_start(&s);
    for (uint64_t i = 0; i < 4; i++) {
        keys[i][0] = s.kv->secret[1];
        keys[i][1] = i;
    }
    assert_true(vv_hash(s.kv->secret, keys[0], 16) == vv_hash(s.kv->secret, keys[1], 16));
    h.expires_us = later;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            assert_int_equal(varve_kv_set(s.kv, keys[i], 16, &round, sizeof round, &h, NULL), 0);
            store_snapshot(&s);
        }
        assert_int_equal(varve_kv_delete(s.kv, keys[round], 16, NULL, NULL), 0);
        assert_int_equal(varve_kv_count(s.kv), 3);
        store_snapshot(&s);
        store_again(&s);
        assert_int_equal(varve_kv_count(s.kv), 3);
        assert_int_equal(store_stats(&s).expiring, 3);
        for (int i = 0; i < 4; i++) {
            struct varve_kv_value value = {.data = NULL};
            int rc = varve_kv_get(s.kv, keys[i], 16, &value);
            assert_int_equal(rc, i == round ? VARVE_E_NO_KEY : 0);
            if (rc == 0)
                assert_memory_equal(value.data, &round, sizeof round);
            varve_kv_value_free(&value);
        }
    }
    /* Of several that expire at one moment in one word the index has one line. */
    assert_int_equal(varve_kv_expire(s.kv, keys[0], 16, now_us() + 50000, NULL, NULL), 0);
    store_snapshot(&s);
    assert_int_equal(varve_kv_expire(s.kv, keys[1], 16, 0, NULL, NULL), 0);
    store_snapshot(&s);
    BED_UNTIL(varve_kv_count(s.kv) == 2);
    store_snapshot(&s);
    assert_int_equal(store_stats(&s).expiring, 1);
    store_end(&s);
}

/* The map grows while data is read, and before it is in anybody's way. */
static void test_fold__map_grows(void **state)
{
    struct test_store s;
    uint64_t first;
    (void)state;
    store_init(&s);
    s.log.durability = VARVE_INTERVAL;
    s.log.segment_bytes = 8 << 20;
    assert_int_equal(store_open(&s), 0);
    first = store_stats(&s).env_map_bytes;
    for (int i = 0; i < 3; i++) {
        store_fill(&s, i * 600, (i + 1) * 600, 15000);
        store_snapshot(&s);
    }
    assert_true(store_stats(&s).env_map_bytes > first);
    assert_true(store_stats(&s).env_bytes > 20 << 20);
    store_again(&s);
    assert_true(store_stats(&s).env_map_bytes > first);
    assert_int_equal(varve_kv_count(s.kv), 1800 - 164);
    store_end(&s);
}

/* -- what does not fit together -- */

/* An environment in the place of that of another engine, or of its own past. */
static void put_environment(const char *from, const char *to)
{
    char source[64], target[64];
    (void)snprintf(source, sizeof source, "%s/%s", from, VV_ENV_DIR);
    (void)snprintf(target, sizeof target, "%s/%s", to, VV_ENV_DIR);
    test_tmp_remove(target);
    test_tmp_copy(source, target);
}

static void test_fold__does_not_fit(void **state)
{
    struct test_store s, other;
    (void)state;
    store_start(&s);
    store_fill(&s, 0, 100, 10);
    store_snapshot(&s);
    store_close(&s);
    test_tmp_copy(s.path, "past");
    /* Newer than the log. */
    store_start(&other);
    store_set(&other, "a", "one");
    store_close(&other);
    put_environment(s.path, other.path);
    assert_int_equal(store_open(&other), VARVE_E_SNAPSHOT);
    assert_non_null(strstr(other.error.message, "newer than the log"));
    store_end(&other);
    /* The log was trimmed past it; with the environment gone, too. */
    assert_int_equal(store_open(&s), 0);
    for (int i = 0; i < 6; i++) {
        store_fill(&s, i * 200, (i + 1) * 200, 3000);
        store_snapshot(&s);
    }
    assert_true(varve_first_lsn(varve_kv_log(s.kv)) > store_recovery(&s).snapshot_lsn + 1);
    store_close(&s);
    test_tmp_copy(s.path, "sound");
    put_environment("past", s.path);
    assert_int_equal(store_open(&s), VARVE_E_SNAPSHOT);
    assert_non_null(strstr(s.error.message, "trimmed away"));
    test_tmp_remove("past");
    {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", s.path, VV_ENV_DIR);
        test_tmp_remove(path);
    }
    assert_int_equal(store_open(&s), VARVE_E_SNAPSHOT);
    assert_non_null(strstr(s.error.message, "the log begins at LSN"));
    s.options.store = VARVE_KV_STORE_DEFAULT;
    assert_int_equal(store_open(&s), VARVE_E_SNAPSHOT);
    put_environment("sound", s.path);
    assert_int_equal(store_open(&s), 0);
    test_tmp_remove("sound");
    store_end(&s);
}

static void test_fold__options(void **state)
{
    struct test_store s;
    (void)state;
    store_init(&s);
    s.log.durability = VARVE_MEMORY;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    assert_non_null(strstr(s.error.message, "durability"));
    s.log.durability = VARVE_GROUP;
    s.options.shards = 65536;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.options.shards = 8;
    s.options.store = VARVE_KV_STORE_LMDB + 1;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    s.options.store = VARVE_KV_STORE_LMDB;
    assert_int_equal(store_open(&s), 0);
    store_set(&s, "a", "one");
    /* LMDB would lose its locks. */
    struct varve_kv_options options = s.options;
    struct varve_options log = s.log;
    struct varve_kv *second;
    log.flags = VARVE_OPEN_READ_ONLY;
    options.log = &log;
    assert_int_equal(varve_kv_open(s.path, &options, &second, &s.error), VARVE_E_UNSUPPORTED);
    assert_non_null(strstr(s.error.message, "in this process already"));
    store_close(&s);
    s.options.store = VARVE_KV_STORE_MEMORY;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    assert_non_null(strstr(s.error.message, "has the store lmdb"));
    s.options.store = VARVE_KV_STORE_DEFAULT;
    assert_int_equal(store_open(&s), 0);
    assert_int_equal(store_stats(&s).store, VARVE_KV_STORE_LMDB);
    store_expect(&s, "a", "one");
    store_end(&s);
    /* With snapshots it is one of memory, and stays so. */
    store_init(&s);
    s.options.store = VARVE_KV_STORE_DEFAULT;
    assert_int_equal(store_open(&s), 0);
    assert_int_equal(store_stats(&s).store, VARVE_KV_STORE_MEMORY);
    store_set(&s, "a", "one");
    store_snapshot(&s);
    store_close(&s);
    s.options.store = VARVE_KV_STORE_LMDB;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    assert_non_null(strstr(s.error.message, "has the store memory"));
    store_end(&s);
}

/* The state of a moment comes from the log alone, as long as that begins at LSN 1. */
static void test_fold__the_past(void **state)
{
    struct test_store s;
    uint64_t lsns[3];
    (void)state;
    store_start(&s);
    lsns[0] = store_set(&s, "k", "one");
    lsns[1] = store_set(&s, "k", "two");
    store_snapshot(&s);
    lsns[2] = store_set(&s, "k", "three");
    store_close(&s);
    s.log.flags = VARVE_OPEN_READ_ONLY;
    for (int i = 0; i < 3; i++) {
        s.options.at_lsn = lsns[i];
        assert_int_equal(store_open(&s), 0);
        store_expect(&s, "k", i == 0 ? "one" : i == 1 ? "two" : "three");
        assert_int_equal(varve_kv_count(s.kv), 1);
        store_close(&s);
    }
    s.options.at_lsn = 0;
    s.log.flags = 0;
    assert_int_equal(store_open(&s), 0);
    for (int i = 0; i < 5; i++) {
        store_fill(&s, 0, 200, 3000);
        store_snapshot(&s);
    }
    store_close(&s);
    s.log.flags = VARVE_OPEN_READ_ONLY;
    s.options.at_lsn = lsns[1];
    assert_int_equal(store_open(&s), VARVE_E_TRIMMED);
    store_end(&s);
}

/* -- beside other processes -- */

struct beside {
    char path[32];
    int to_child[2], to_parent[2];
};

static int read_beside(void *arg)
{
    struct beside *b = arg;
    struct varve_kv_value value = {.data = NULL};
    struct test_store s;
    char byte;
    store_at(&s, b->path);
    s.log.flags = VARVE_OPEN_READ_ONLY;
    TEST_CHILD_CHECK(read(b->to_child[0], &byte, 1) == 1);
    TEST_CHILD_CHECK(store_open(&s) == 0);
    TEST_CHILD_CHECK(write(b->to_parent[1], "r", 1) == 1);
    TEST_CHILD_CHECK(read(b->to_child[0], &byte, 1) == 1);
    /* As it was, whatever was folded and however the map has grown. */
    TEST_CHILD_CHECK(varve_kv_get(s.kv, KEY("key 3"), &value) == 0 && value.bytes == 700);
    TEST_CHILD_CHECK(varve_kv_get(s.kv, KEY("key 1390"), &value) == VARVE_E_NO_KEY);
    TEST_CHILD_CHECK(varve_kv_get(s.kv, KEY("recent"), &value) == 0);
    TEST_CHILD_CHECK(varve_kv_close(s.kv, NULL) == 0);
    TEST_CHILD_CHECK(store_open(&s) == 0);
    TEST_CHILD_CHECK(varve_kv_get(s.kv, KEY("key 1390"), &value) == 0);
    varve_kv_value_free(&value);
    return varve_kv_close(s.kv, NULL) == 0 ? 0 : 1;
}

/* While this process has no other thread. */
static pid_t start_reader(struct beside *b)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(b->to_child[1]);
        (void)close(b->to_parent[0]);
        (void)alarm(60);
        test_child_exit(read_beside(b));
    }
    (void)close(b->to_child[0]);
    (void)close(b->to_parent[1]);
    return pid;
}

/* A reader in another process has the moment at which it opened. */
static void test_fold__beside_a_reader(void **state)
{
    struct test_store s;
    struct beside b;
    pid_t reader;
    int status;
    char byte;
    (void)state;
    store_init(&s);
    memcpy(b.path, s.path, sizeof b.path);
    assert_int_equal(pipe(b.to_child) | pipe(b.to_parent), 0);
    reader = start_reader(&b);
    s.log.segment_bytes = 8 << 20;
    assert_int_equal(store_open(&s), 0);
    store_fill(&s, 0, 100, 700);
    store_snapshot(&s);
    store_set(&s, "recent", "1");
    store_set(&s, "vouches", "for it");
    assert_int_equal(write(b.to_child[1], "o", 1), 1);
    assert_int_equal(read(b.to_parent[0], &byte, 1), 1);
    for (int i = 0; i < 2; i++) {
        store_fill(&s, i * 700, (i + 1) * 700, 15000);
        store_snapshot(&s);
    }
    assert_int_equal(varve_kv_delete(s.kv, KEY("recent"), NULL, NULL), 0);
    assert_int_equal(write(b.to_child[1], "g", 1), 1);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    (void)close(b.to_child[1]);
    (void)close(b.to_parent[0]);
    store_end(&s);
}

/* -- memory -- */

struct busy {
    struct test_store *s;
    _Atomic uint64_t most, wrong;
    _Atomic unsigned ids;
    _Atomic int left;
};

enum {
    LIMIT = 2 << 20,
    WRITERS = 3,
    WRITES = 2000,
    WRITE_BYTES = 1500,
};

static void *write_much(void *arg)
{
    static char value[WRITE_BYTES];
    struct busy *b = arg;
    unsigned id = atomic_fetch_add(&b->ids, 1);
    struct varve_kv_value got = {.data = NULL};
    for (unsigned i = 0; i < WRITES; i++) {
        const struct varve_kv_write h = {.size = sizeof h, .flags = i % 50 ? VARVE_KV_NO_WAIT : 0};
        unsigned key[2] = {id, i};
        int rc = varve_kv_set(b->s->kv, key, sizeof key, value, 1 + i % sizeof value, &h, NULL);
        uint64_t used = atomic_load(&b->s->kv->memory), most = atomic_load(&b->most);
        atomic_fetch_add(&b->wrong, rc != 0);
        while (used > most && !atomic_compare_exchange_weak(&b->most, &most, used))
            ;
        key[1] = i * 7919 % (i + 1);
        rc = varve_kv_get(b->s->kv, key, sizeof key, &got);
        atomic_fetch_add(&b->wrong, rc != 0 || got.bytes != 1 + key[1] % sizeof value);
    }
    varve_kv_value_free(&got);
    atomic_fetch_sub(&b->left, 1);
    return NULL;
}

/* Whatever is written, memory stays within its limit, and nobody is refused. */
static void test_fold__memory_limit(void **state)
{
    struct test_store s;
    struct busy b = {.s = &s, .left = WRITERS};
    struct varve_kv_txn *txn;
    static char value[200000];
    pthread_t threads[WRITERS];
    (void)state;
    store_init(&s);
    s.options.max_memory = LIMIT;
    s.log.durability = VARVE_INTERVAL;
    assert_int_equal(store_open(&s), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_much, &b), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&b.wrong), 0);
    assert_true(atomic_load(&b.most) <= LIMIT);
    assert_true(store_stats(&s).snapshots >= 2);
    assert_int_equal(varve_kv_count(s.kv), WRITERS * WRITES);
    assert_true(store_stats(&s).env_bytes > LIMIT);
    /* A transaction as large as half of it, and one that can never fit. */
    for (int round = 0; round < 4; round++) {
        assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
        assert_int_equal(varve_kv_txn_set(txn, &round, sizeof round, value, sizeof value, 0), 0);
        assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    }
    store_close(&s);
    s.options.max_memory = 1000;
    assert_int_equal(store_open(&s), 0);
    assert_true(atomic_load(&s.kv->memory) <= 1000);
    assert_int_equal(varve_kv_set(s.kv, "k", 1, value, 2000, NULL, NULL), VARVE_E_MEMORY);
    assert_int_equal(varve_kv_set(s.kv, "k", 1, value, 500, NULL, NULL), 0);
    assert_int_equal(varve_kv_set(s.kv, "l", 1, value, 500, NULL, NULL), 0);
    assert_int_equal(varve_kv_add(s.kv, "n", 1, 5, NULL, NULL, NULL), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(varve_kv_add(s.kv, "n", 1, 5, NULL, NULL, NULL), 0);
    store_expect(&s, "n", "255");
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(varve_kv_txn_set(txn, "x", 1, value, 2000, 0), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), VARVE_E_MEMORY);
    varve_kv_abort(txn);
    store_end(&s);
}

/* What stands in the file is checked before it is believed. */
static void test_fold__damage(void **state)
{
    struct vv_env_facts facts = {.shards = 4, .lsn = 5, .end_lsn = 6, .past = {5, 3}, .past_count = 2}, again;
    struct vv_entry *e = vv_entry_new("key", 3, VV_ENTRY_VALUE, 77, "value", 5, NULL, 0);
    const struct vv_stored stored = vv_stored_of(e);
    uint8_t bytes[200], *end;
    struct vv_stored found;
    (void)state;
    end = vv_stored_put(&stored, 9, bytes);
    end = vv_stored_put(&stored, 9, end);
    for (size_t i = 0; i < (size_t)(end - bytes) / 2; i++) {
        const uint8_t *at = bytes;
        assert_int_equal(vv_stored_next(9, &at, bytes + i, &found), i ? VARVE_E_CORRUPT : VARVE_END);
        bytes[i] ^= 0x10;
        assert_int_equal(vv_stored_next(9, &at, end, &found), VARVE_E_CORRUPT);
        bytes[i] ^= 0x10;
    }
    assert_int_equal(vv_stored_find(9, bytes, (size_t)(end - bytes), "key", 3, &found), 0);
    assert_int_equal(found.expires_us, 77);
    assert_int_equal(vv_stored_find(8, bytes, (size_t)(end - bytes), "key", 3, &found), VARVE_E_CORRUPT);
    assert_int_equal(vv_stored_find(9, bytes, (size_t)(end - bytes), "kez", 3, &found), VARVE_END);
    vv_free(e);
    memset(&again, 0, sizeof again);
    vv_facts_put(&facts, bytes);
    assert_int_equal(vv_facts_get(bytes, vv_facts_bytes(&facts), &again), 0);
    assert_memory_equal(&facts, &again, sizeof facts);
    for (size_t i = 0; i < vv_facts_bytes(&facts); i++) {
        assert_int_equal(vv_facts_get(bytes, i, &again), VARVE_E_CORRUPT);
        bytes[i] ^= 0x10;
        assert_int_not_equal(vv_facts_get(bytes, vv_facts_bytes(&facts), &again), 0);
        bytes[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold__round),
        cmocka_unit_test(test_fold__trims_the_log),
        cmocka_unit_test(test_fold__both_stores_agree),
        cmocka_unit_test(test_fold__views),
        cmocka_unit_test(test_fold__expiry),
        cmocka_unit_test(test_fold__one_word),
        cmocka_unit_test(test_fold__map_grows),
        cmocka_unit_test(test_fold__does_not_fit),
        cmocka_unit_test(test_fold__options),
        cmocka_unit_test(test_fold__the_past),
        cmocka_unit_test(test_fold__beside_a_reader),
        cmocka_unit_test(test_fold__memory_limit),
        cmocka_unit_test(test_fold__damage),
    };
    if (!store_use(VARVE_KV_STORE_LMDB))
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
