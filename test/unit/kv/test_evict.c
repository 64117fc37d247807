/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/rng.h"
#include "lib/store.h"
#include "varve/stream.h"

#define KEY(text) text, sizeof(text) - 1

enum {
    MOST = 1 << 20,
    VALUE = 200
};

static void start(struct test_store *s, uint64_t most)
{
    store_init(s);
    s->log.durability = VARVE_INTERVAL;
    s->options.max_memory = most;
    s->options.evict = VARVE_KV_EVICT_LRU;
    assert_int_equal(store_open(s), 0);
}

static int set(struct test_store *s, const char *what, unsigned number)
{
    static const char value[VALUE];
    char key[32];
    size_t bytes = (size_t)snprintf(key, sizeof key, "%s %u", what, number);
    return varve_kv_set(s->kv, key, bytes, value, sizeof value, NULL, NULL);
}

static bool has(struct test_store *s, const char *what, unsigned number)
{
    struct varve_kv_value value = {.data = NULL};
    char key[32];
    size_t bytes = (size_t)snprintf(key, sizeof key, "%s %u", what, number);
    int rc = varve_kv_get(s->kv, key, bytes, &value);
    varve_kv_value_free(&value);
    assert_true(rc == 0 || rc == VARVE_E_NO_KEY);
    return rc == 0;
}

static void fill(struct test_store *s, const char *what, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(set(s, what, i), 0);
}

static int count_evicted(void *arg, const struct varve_kv_change *c)
{
    unsigned *count = arg;
    *count += c->kind == VARVE_KV_CHANGE_EVICTED;
    return 0;
}

/* What is read again and again stays while four times as much as there is room for goes by; and what is
 * opened again is the same. */
static void test_evict__least_recently_used(void **state)
{
    struct test_store s;
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    unsigned stayed = 0, told = 0, i;
    struct varve_kv_stats stats;
    (void)state;
    start(&s, MOST);
    fill(&s, "hot", 200);
    for (i = 0; i < 16000; i++) {
        assert_int_equal(set(&s, "cold", i), 0);
        (void)has(&s, "hot", i % 200);
    }
    for (i = 0; i < 200; i++)
        stayed += has(&s, "hot", i);
    stats = store_stats(&s);
    assert_true(stayed >= 195);
    assert_true(stats.evicted > 10000);
    assert_true(stats.memory_counted <= MOST && stats.memory_counted > MOST / 10 * 9);
    assert_int_equal(stats.entries + stats.evicted, 16200);
    for (i = 0; has(&s, "cold", i); i++)
        assert_true(i < 16000);
    char key[32];
    (void)snprintf(key, sizeof key, "cold %u", i);
    assert_int_equal(varve_kv_history(varve_kv_log(s.kv), key, strlen(key), count_evicted, &told, &s.error),
                     0);
    assert_int_equal(told, 1);
    store_digest(&s, before);
    store_again(&s);
    store_digest(&s, after);
    assert_memory_equal(before, after, sizeof after);
    store_end(&s);
}

/* Locks and streams stay; when there is nothing else, a write gets the error, and nothing has changed. */
static void test_evict__what_stays(void **state)
{
    struct test_store s;
    struct varve_kv_stream stream = {.size = sizeof stream};
    static char large[MOST / 8];
    uint64_t last;
    int rc = 0;
    (void)state;
    start(&s, MOST);
    assert_int_equal(varve_kv_lock(s.kv, KEY("lock"), KEY("me"), 3600000, NULL), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(varve_kv_stream_append(s.kv, KEY("stream"), "event", 5, NULL, NULL, NULL), 0);
    fill(&s, "cold", 16000);
    assert_int_equal(varve_kv_lock(s.kv, KEY("lock"), KEY("you"), 1000, NULL), VARVE_E_CONFLICT);
    assert_int_equal(varve_kv_stream_get(s.kv, KEY("stream"), &stream), 0);
    assert_true(stream.first == 1 && stream.next == 1001);
    for (int i = 0; rc == 0 && i < 100; i++)
        rc = varve_kv_stream_append(s.kv, KEY("stream"), large, sizeof large, NULL, NULL, NULL);
    assert_int_equal(rc, VARVE_E_MEMORY);
    /* What is left is held together with the key itself: by 12 bits of a hash. */
    assert_true(varve_kv_count(s.kv) >= 2 && varve_kv_count(s.kv) < 12);
    assert_true(store_stats(&s).memory_counted <= MOST);
    last = varve_last_lsn(varve_kv_log(s.kv));
    assert_int_equal(varve_kv_stream_append(s.kv, KEY("stream"), large, sizeof large, NULL, NULL, NULL),
                     VARVE_E_MEMORY);
    assert_int_equal(varve_last_lsn(varve_kv_log(s.kv)), last);
    store_end(&s);
}

/* What can never have room makes none. */
static void test_evict__too_large(void **state)
{
    static char large[MOST / 4];
    struct test_store s;
    (void)state;
    start(&s, MOST / 8);
    fill(&s, "a", 100);
    assert_int_equal(varve_kv_set(s.kv, KEY("large"), large, sizeof large - 4096, NULL, NULL),
                     VARVE_E_MEMORY);
    assert_int_equal(store_stats(&s).evicted, 0);
    assert_int_equal(varve_kv_count(s.kv), 100);
    store_end(&s);
}

/* The key that is written is not what goes for it: it goes on from what it was. */
static void test_evict__not_itself(void **state)
{
    struct test_store s;
    int64_t number = 0;
    uint64_t bytes = 0;
    (void)state;
    start(&s, 65536);
    fill(&s, "a", 1000);
    for (int i = 1; i <= 300; i++) {
        assert_int_equal(varve_kv_add(s.kv, KEY("n"), 1, NULL, &number, NULL), 0);
        assert_int_equal(number, i);
        assert_int_equal(varve_kv_append(s.kv, KEY("text"), "12345678901234567890", 20, NULL, &bytes, NULL),
                         0);
        assert_int_equal(bytes, 20 * i);
    }
    assert_true(store_stats(&s).memory_counted <= 65536);
    store_end(&s);
}

static void test_evict__transactions(void **state)
{
    struct test_store s;
    struct varve_kv_txn *txn;
    struct varve_kv_value value = {.data = NULL};
    static char large[2048];
    (void)state;
    start(&s, 262144);
    store_set(&s, "looked at", "1");
    store_set(&s, "not looked at", "1");
    assert_int_equal(varve_kv_begin(s.kv, 0, &txn), 0);
    assert_int_equal(varve_kv_txn_get(txn, KEY("looked at"), &value), 0);
    fill(&s, "cold", 8000);
    assert_true(store_stats(&s).evicted > 5000);
    assert_true(store_stats(&s).memory_counted <= 262144);
    assert_int_equal(varve_kv_txn_get(txn, KEY("not looked at"), &value), VARVE_E_NO_KEY);
    /* It makes room for itself, too. */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(varve_kv_txn_set(txn, &i, sizeof i, large, sizeof large, 0), 0);
    assert_int_equal(varve_kv_commit(txn, 0, NULL), 0);
    store_expect(&s, "looked at", "1");
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(varve_kv_get(s.kv, &i, sizeof i, &value), 0);
    /* It is held no longer. */
    fill(&s, "more", 8000);
    store_expect(&s, "looked at", NULL);
    varve_kv_value_free(&value);
    store_end(&s);
}

/* A limit that is lower than what is there is come to. */
static void test_evict__lower_limit(void **state)
{
    struct test_store s;
    (void)state;
    start(&s, MOST);
    fill(&s, "a", 3000);
    assert_int_equal(store_stats(&s).evicted, 0);
    store_close(&s);
    s.options.max_memory = MOST / 4;
    assert_int_equal(store_open(&s), 0);
    BED_UNTIL(store_stats(&s).memory_counted <= MOST / 4);
    assert_true(varve_kv_count(s.kv) > 500);
    store_close(&s);
    s.options.max_memory = 0;
    assert_int_equal(store_open(&s), VARVE_E_INVALID);
    store_end(&s);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static long resident_bytes(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    (void)fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}
#endif

/* What is counted is what the process takes. */
static void test_evict__honest(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state; /* their allocators take what they like */
#else
    struct test_store s;
    struct varve_kv_stats stats;
    long before, grown;
    char value[1000] = {0};
    struct test_rng rng;
    (void)state;
    test_rng_init(&rng, 1);
    store_init(&s);
    s.log.durability = VARVE_MEMORY;
    s.options.max_memory = UINT64_C(1) << 30;
    assert_int_equal(store_open(&s), 0);
    before = resident_bytes();
    for (unsigned i = 0; i < 60000; i++)
        assert_int_equal(
            varve_kv_set(s.kv, &i, sizeof i, value, (size_t)test_rng_below(&rng, 1000), NULL, NULL), 0);
    grown = resident_bytes() - before;
    stats = store_stats(&s);
    assert_true(stats.memory_counted > (uint64_t)grown / 100 * 85);
    assert_true(stats.memory_counted < (uint64_t)grown / 100 * 115);
    store_end(&s);
#endif
}

static void *run_thread(void *arg)
{
    struct test_store *s = arg;
    struct varve_kv_value value = {.data = NULL};
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed() + (uint64_t)(uintptr_t)&value);
    for (int i = 0; i < 3000; i++) {
        unsigned key = (unsigned)test_rng_below(&rng, 4000);
        struct varve_kv_txn *txn;
        int rc = 0;
        switch (test_rng_below(&rng, 8)) {
        case 0:
            rc = varve_kv_begin(s->kv, 0, &txn);
            assert(rc == 0);
            (void)varve_kv_txn_get(txn, &key, sizeof key, &value);
            rc = varve_kv_txn_set(txn, &key, sizeof key, value.data, value.bytes, 0);
            rc = rc ? rc : varve_kv_commit(txn, 0, NULL);
            if (rc)
                varve_kv_abort(txn);
            assert(rc == 0 || rc == VARVE_E_CONFLICT);
            break;
        case 1:
        case 2:
        case 3:
            rc = varve_kv_get(s->kv, &key, sizeof key, &value);
            assert(rc == 0 || rc == VARVE_E_NO_KEY);
            break;
        default:
            rc = set(s, "k", key);
            assert(rc == 0);
        }
    }
    varve_kv_value_free(&value);
    return NULL;
}

static void test_evict__threads(void **state)
{
    struct test_store s;
    pthread_t threads[3];
    uint8_t before[VARVE_KV_DIGEST_BYTES], after[VARVE_KV_DIGEST_BYTES];
    (void)state;
    start(&s, 131072);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &s), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(store_stats(&s).evicted > 1000);
    BED_UNTIL(store_stats(&s).memory_counted <= 131072);
    assert_int_equal(store_stats(&s).kept_versions, 0);
    assert_int_equal(varve_kv_snapshot(s.kv, NULL, &s.error), 0);
    store_digest(&s, before);
    store_again(&s);
    store_digest(&s, after);
    assert_memory_equal(before, after, sizeof after);
    store_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evict__least_recently_used),
        cmocka_unit_test(test_evict__what_stays),
        cmocka_unit_test(test_evict__too_large),
        cmocka_unit_test(test_evict__not_itself),
        cmocka_unit_test(test_evict__transactions),
        cmocka_unit_test(test_evict__lower_limit),
        cmocka_unit_test(test_evict__honest),
        cmocka_unit_test(test_evict__threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
