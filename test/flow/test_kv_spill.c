/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions of many keys: single reads by other threads see all of one or nothing, and so does who opens
 * the engine after kill -9 at any moment.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/rng.h"
#include "lib/store.h"
#include "lib/tmp.h"

/* -- seen -- */

enum {
    WATCHED = 8,
    FILLERS = 4000,
    ROUNDS = 12,
};

struct shared {
    struct test_store s;
    _Atomic bool stop;
    _Atomic uint64_t wrong;
};

static int put(struct varve_kv_txn *txn, uint32_t key, uint32_t number)
{
    return varve_kv_txn_set(txn, &key, sizeof key, &number, sizeof number, 0);
}

static int put_round(struct varve_kv *kv, uint32_t keys, uint32_t number)
{
    struct varve_kv_txn *txn;
    int rc = varve_kv_begin(kv, 1000000, &txn);
    for (uint32_t key = 0; key < keys && rc == 0; key++)
        rc = put(txn, key, number);
    if (rc == 0)
        rc = varve_kv_commit(txn, 0, NULL);
    return rc;
}

static void *run_rounds(void *arg)
{
    struct shared *sh = arg;
    for (uint32_t i = 1; i <= ROUNDS; i++)
        atomic_fetch_add(&sh->wrong, put_round(sh->s.kv, WATCHED + FILLERS, i) != 0);
    atomic_store(&sh->stop, true);
    return NULL;
}

static uint32_t read_number(struct shared *sh, uint32_t key, struct varve_kv_value *value)
{
    uint32_t number = 0;
    if (varve_kv_get(sh->s.kv, &key, sizeof key, value) == 0)
        memcpy(&number, value->data, sizeof number);
    return number;
}

/* At one moment: all are of the same transaction. */
static void read_several(struct shared *sh, uint32_t from, struct varve_kv_value values[2])
{
    const uint32_t keys[2] = {from % WATCHED, (from + 1 + from / WATCHED % 7) % WATCHED};
    const struct varve_kv_pair pairs[2] = {{&keys[0], sizeof keys[0], NULL, 0},
                                           {&keys[1], sizeof keys[1], NULL, 0}};
    assert_int_equal(varve_kv_get_many(sh->s.kv, pairs, 2, values), 0);
    if (values[0].version != values[1].version)
        fail_msg("%" PRIu64 " and %" PRIu64 " at one moment: half of a transaction", values[0].version,
                 values[1].version);
}

struct scanned {
    uint32_t low;
    unsigned count;
};

static int scan_one(void *arg, const struct varve_kv_entry *e)
{
    struct scanned *scanned = arg;
    uint32_t number;
    memcpy(&number, e->value, sizeof number);
    scanned->count++;
    if (number < scanned->low)
        scanned->low = number;
    return 0;
}

static void test_kv_spill__seen_at_once(void **state)
{
    static struct shared sh;
    struct varve_kv_value value = {.data = NULL}, values[2] = {{.data = NULL}};
    pthread_t writer;
    (void)state;
    store_init(&sh.s);
    sh.s.log.durability = VARVE_INTERVAL;
    sh.s.log.sync_interval_ms = 1;
    sh.s.options.txn_bytes = 65536;
    assert_int_equal(store_open(&sh.s), 0);
    assert_int_equal(pthread_create(&writer, NULL, run_rounds, &sh), 0);
    for (uint32_t i = 0; !atomic_load(&sh.stop); i++) {
        uint32_t first = read_number(&sh, i % WATCHED, &value),
                 second = read_number(&sh, (i + 1 + i / WATCHED % 7) % WATCHED, &value);
        if (second < first)
            fail_msg("%u after %u: half of a transaction", second, first);
        read_several(&sh, i, values);
        if (i % 512 == 0 && first > 0) {
            struct scanned scanned = {.low = UINT32_MAX};
            int rc = 0;
            for (uint64_t cursor = 0; rc == 0 && cursor != VARVE_KV_SCAN_END;)
                rc = varve_kv_scan(sh.s.kv, &cursor, 100, scan_one, &scanned);
            assert_int_equal(rc, 0);
            if (scanned.count != WATCHED + FILLERS || scanned.low < first)
                fail_msg("a scan has %u keys, of %u and later, after %u: half of a transaction",
                         scanned.count, scanned.low, first);
        }
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(atomic_load(&sh.wrong), 0);
    assert_int_equal(store_stats(&sh.s).txn_streamed, ROUNDS);
    varve_kv_value_free(&value);
    varve_kv_value_free(&values[0]);
    varve_kv_value_free(&values[1]);
    store_end(&sh.s);
}

/* -- killed -- */

enum {
    KEYS = 50000,
    KILLS = 4,
};

static struct varve_kv *open_there(const char *path)
{
    const struct varve_options log = {.size = sizeof log, .segment_bytes = 8 << 20};
    const struct varve_kv_options options = {
        .size = sizeof options,
        .log = &log,
        .txn_bytes = 256 << 10,
        .snapshot_operations = 200,
    };
    struct varve_kv *kv = NULL;
    struct varve_error error = {0};
    if (varve_kv_open(path, &options, &kv, &error) != 0)
        fprintf(stderr, "%s\n", error.message);
    return kv;
}

/* The child: never returns. Tells of what is committed. */
static void be_writer(const char *path, uint32_t from, _Atomic uint32_t *told)
{
    struct varve_kv *kv = open_there(path);
    for (uint32_t i = from; kv; i++) {
        if (put_round(kv, KEYS, i) != 0)
            break;
        atomic_store(told, i);
    }
    _exit(1);
}

struct found {
    unsigned count;
    uint32_t number;
    bool mixed;
};

static int find_one(void *arg, const struct varve_kv_entry *e)
{
    struct found *found = arg;
    uint32_t number;
    memcpy(&number, e->value, sizeof number);
    found->mixed = found->mixed || (found->count > 0 && number != found->number);
    found->number = number;
    found->count++;
    return 0;
}

/* What is there is one transaction, the last that was told of or the next. */
static uint32_t look_at(const char *path, uint32_t told)
{
    struct varve_kv *kv = open_there(path);
    struct found found = {.count = 0};
    int rc = 0;
    assert_non_null(kv);
    for (uint64_t cursor = 0; rc == 0 && cursor != VARVE_KV_SCAN_END;)
        rc = varve_kv_scan(kv, &cursor, 1000, find_one, &found);
    assert_int_equal(rc, 0);
    assert_false(found.mixed);
    assert_true(found.count == KEYS || (found.count == 0 && told == 0));
    assert_true(found.number == told || found.number == told + 1);
    assert_int_equal(varve_kv_close(kv, NULL), 0);
    return found.number;
}

static void test_kv_spill__killed(void **state)
{
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "store");
    _Atomic uint32_t *told =
        mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct test_rng rng;
    (void)state;
    assert_ptr_not_equal(told, MAP_FAILED);
    test_rng_init(&rng, test_rng_seed());
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        uint64_t ms = test_rng_range(&rng, 20, 500);
        const struct timespec wait = {.tv_nsec = (long)ms * 1000000};
        uint32_t from = atomic_load(told) + 1;
        pid_t child = fork();
        int status;
        assert_true(child >= 0);
        if (child == 0)
            be_writer(path, from, told);
        (void)nanosleep(&wait, NULL);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        atomic_store(told, look_at(path, atomic_load(told)));
    }
    (void)munmap(told, sizeof *told);
    free(path);
    test_tmp_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kv_spill__killed), /* first: it forks */
        cmocka_unit_test(test_kv_spill__seen_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
