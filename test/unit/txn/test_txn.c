/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "lib/rng.h"
#include "txn/control.h"
#include "varve/pin.h"
#include "varve/txn.h"

static const struct varve_options small = {.slot_bytes = 16384, .slot_count = 16, .record_max = 65536};

struct fixture {
    struct test_bed bed;
    struct varve_txns *txns;
};

static void start(struct fixture *f, const struct varve_txns_options *options)
{
    struct varve_txns_options o = *options;
    bed_start(&f->bed, BED_MEMORY, &small, 1000);
    o.size = sizeof o;
    assert_int_equal(varve_txns_open(f->bed.log, &o, &f->txns, &f->bed.error), 0);
}

static void end(struct fixture *f)
{
    varve_txns_close(f->txns);
    assert_int_equal(bed_shut(&f->bed), 0);
    bed_end(&f->bed);
}

static struct varve_txn *begin(struct fixture *f)
{
    struct varve_txn *txn;
    assert_int_equal(varve_txn_begin(f->txns, NULL, &txn), 0);
    return txn;
}

static struct varve_entity key(const char *name)
{
    return (struct varve_entity){.kind = VARVE_ENTITY_KV, .name = {name, strlen(name)}};
}

static int put(struct varve_txn *txn, const char *name, const char *value)
{
    const struct varve_entity entity = key(name);
    return varve_txn_put(txn, &entity, 0, value, strlen(value));
}

/* A put of so many bytes, each of which is `fill`. */
static int put_bytes(struct varve_txn *txn, const char *name, size_t bytes, int fill)
{
    const struct varve_entity entity = key(name);
    char *value = malloc(bytes + 1);
    int rc;
    memset(value, fill, bytes + 1);
    rc = varve_txn_put(txn, &entity, 0, value, bytes);
    free(value);
    return rc;
}

static uint64_t commit(struct varve_txn *txn)
{
    uint64_t lsn = 0;
    assert_int_equal(varve_txn_commit(txn, VARVE_DURABILITY_DEFAULT, &lsn), 0);
    return lsn;
}

static struct varve_txn_replay *replay(struct fixture *f)
{
    const struct varve_txn_replay_options o = {.size = sizeof o};
    struct varve_txn_replay *r;
    assert_int_equal(varve_sync(f->bed.log), 0);
    assert_int_equal(varve_txn_replay_open(f->bed.log, &o, &r, &f->bed.error), 0);
    return r;
}

/* The next mutation is this one. */
static struct varve_txn_change expect(struct varve_txn_replay *r, enum varve_mutation_kind kind,
                                      const char *name, uint64_t commit_lsn, bool last)
{
    struct varve_txn_change c;
    assert_int_equal(varve_txn_replay_next(r, &c), 0);
    assert_int_equal(c.mutation.kind, kind);
    assert_int_equal(c.mutation.entity.name.bytes, strlen(name));
    assert_memory_equal(c.mutation.entity.name.data, name, strlen(name));
    assert_int_equal(c.commit_lsn, commit_lsn);
    assert_int_equal(c.last, last);
    return c;
}

static void expect_end(struct varve_txn_replay *r)
{
    struct varve_txn_change c;
    assert_int_equal(varve_txn_replay_next(r, &c), VARVE_END);
}

static struct varve_txn_replay_stats stats_of(struct varve_txn_replay *r)
{
    struct varve_txn_replay_stats s = {.size = sizeof s};
    assert_int_equal(varve_txn_replay_stats_get(r, &s), 0);
    return s;
}

static struct varve_txns_stats stats(struct fixture *f)
{
    struct varve_txns_stats s = {.size = sizeof s};
    assert_int_equal(varve_txns_stats_get(f->txns, &s), 0);
    return s;
}

static void test_txn__one_record(void **state)
{
    struct fixture f;
    struct varve_txn_replay *r;
    struct varve_txn_change c;
    struct varve_txn *txn;
    const struct varve_entity b = key("b"), d = key("d");
    uint64_t lsn;
    (void)state;
    start(&f, &(struct varve_txns_options){.size = 0});
    txn = begin(&f);
    assert_int_equal(put(txn, "a", "one"), 0);
    assert_int_equal(varve_txn_delete(txn, &b), 0);
    assert_int_equal(varve_txn_append(txn, &d, 77, "x", 1), 0);
    assert_int_equal(varve_last_lsn(f.bed.log), 0);
    lsn = commit(txn);
    assert_int_equal(lsn, 1);
    assert_int_equal(varve_last_lsn(f.bed.log), 1);
    r = replay(&f);
    c = expect(r, VARVE_MUTATION_PUT, "a", lsn, false);
    assert_int_equal(c.mutation.version, lsn);
    assert_int_equal(c.mutation.value.bytes, 3);
    assert_memory_equal(c.mutation.value.data, "one", 3);
    assert_int_equal(c.entry->type, VARVE_TXN_TYPE);
    expect(r, VARVE_MUTATION_DELETE, "b", lsn, false);
    c = expect(r, VARVE_MUTATION_APPEND, "d", lsn, true);
    assert_int_equal(c.mutation.version, 77);
    expect_end(r);
    assert_int_equal(stats_of(r).committed, 1);
    assert_int_equal(stats_of(r).mutations, 3);
    varve_txn_replay_close(r);
    assert_int_equal(stats(&f).committed, 1);
    assert_int_equal(stats(&f).mutations, 3);
    assert_int_equal(stats(&f).open, 0);
    end(&f);
}

static void test_txn__nothing_in_it(void **state)
{
    struct fixture f;
    struct varve_txn *txn;
    (void)state;
    start(&f, &(struct varve_txns_options){.size = 0});
    assert_int_equal(commit(begin(&f)), 0);
    txn = begin(&f);
    assert_int_equal(put(txn, "a", "one"), 0);
    varve_txn_abort(txn);
    varve_txn_abort(NULL);
    assert_int_equal(varve_last_lsn(f.bed.log), 0);
    assert_int_equal(stats(&f).aborted, 1);
    end(&f);
}

/* 40 puts of 1000 bytes through 4096 bytes of memory. */
static struct varve_txn *stream(struct fixture *f, const char *prefix)
{
    struct varve_txn *txn = begin(f);
    char name[16];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%s%02d", prefix, i);
        assert_int_equal(put_bytes(txn, name, 1000, i), 0);
    }
    return txn;
}

static void expect_stream(struct varve_txn_replay *r, const char *prefix, uint64_t lsn)
{
    char name[16];
    for (int i = 0; i < 40; i++) {
        struct varve_txn_change c;
        snprintf(name, sizeof name, "%s%02d", prefix, i);
        c = expect(r, VARVE_MUTATION_PUT, name, lsn, i == 39);
        assert_int_equal(c.mutation.value.bytes, 1000);
        assert_int_equal(((const char *)c.mutation.value.data)[999], i);
    }
}

static void test_txn__streamed(void **state)
{
    struct fixture f;
    struct varve_txn_replay *r;
    struct varve_txn *a, *b, *c;
    uint64_t lsn_a, lsn_b;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    a = stream(&f, "a");
    b = stream(&f, "b");
    c = stream(&f, "c");
    assert_true(varve_last_lsn(f.bed.log) > 30);
    lsn_b = commit(b);
    varve_txn_abort(c);
    lsn_a = commit(a);
    r = replay(&f);
    expect_stream(r, "b", lsn_b);
    expect_stream(r, "a", lsn_a);
    expect_end(r);
    assert_int_equal(stats_of(r).committed, 2);
    assert_int_equal(stats_of(r).streamed, 2);
    assert_int_equal(stats_of(r).rolled_back, 1);
    assert_int_equal(stats_of(r).open, 0);
    assert_int_equal(varve_txn_replay_settle(r), 0);
    assert_int_equal(stats_of(r).records, varve_last_lsn(f.bed.log));
    varve_txn_replay_close(r);
    assert_int_equal(stats(&f).streamed, 3);
    end(&f);
}

static void test_txn__large_mutations(void **state)
{
    struct fixture f;
    struct varve_txn_replay *r;
    struct varve_txn *txn;
    uint64_t lsn;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    txn = begin(&f);
    assert_int_equal(put(txn, "a", "small"), 0);
    assert_int_equal(put_bytes(txn, "b", 60000, 1), 0);
    assert_int_equal(put_bytes(txn, "refused", 65536, 1), VARVE_E_TOO_LARGE);
    assert_int_equal(varve_txn_put(txn, &(struct varve_entity){.kind = VARVE_ENTITY_KV, .name = {"\xff", 1}},
                                   0, "", 0),
                     VARVE_E_INVALID);
    assert_int_equal(varve_txn_put(txn, &(struct varve_entity){.kind = VARVE_ENTITY_RUN}, 0, NULL, 1),
                     VARVE_E_INVALID);
    assert_int_equal(put_bytes(txn, "c", 60000, 2), 0);
    assert_int_equal(put(txn, "d", "small"), 0);
    lsn = commit(txn);
    r = replay(&f);
    expect(r, VARVE_MUTATION_PUT, "a", lsn, false);
    assert_int_equal(expect(r, VARVE_MUTATION_PUT, "b", lsn, false).mutation.value.bytes, 60000);
    expect(r, VARVE_MUTATION_PUT, "c", lsn, false);
    expect(r, VARVE_MUTATION_PUT, "d", lsn, true);
    expect_end(r);
    varve_txn_replay_close(r);
    end(&f);
}

static void test_txn__time_limit(void **state)
{
    const struct varve_txn_options none = {.size = sizeof none, .limit_ms = VARVE_TXN_NO_LIMIT};
    struct fixture f;
    struct varve_txn_replay *r;
    struct varve_txn *whole, *streamed, *unlimited;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096, .limit_ms = 50});
    assert_int_equal(varve_txn_begin(f.txns, &none, &unlimited), 0);
    whole = begin(&f);
    assert_int_equal(put(whole, "a", "one"), 0);
    streamed = begin(&f);
    for (int i = 0; i < 8; i++)
        (void)put_bytes(streamed, "b", 1000, i);
    BED_UNTIL(stats(&f).timed_out == 2);
    assert_int_equal(put(whole, "a", "two"), VARVE_E_TIMEOUT);
    assert_int_equal(varve_txn_commit(whole, VARVE_DURABILITY_DEFAULT, NULL), VARVE_E_TIMEOUT);
    assert_int_equal(varve_txn_commit(streamed, VARVE_DURABILITY_DEFAULT, NULL), VARVE_E_TIMEOUT);
    varve_txn_abort(whole);
    varve_txn_abort(streamed);
    assert_int_equal(put(unlimited, "c", "three"), 0);
    commit(unlimited);
    r = replay(&f);
    expect(r, VARVE_MUTATION_PUT, "c", varve_last_lsn(f.bed.log), true);
    expect_end(r);
    assert_int_equal(stats_of(r).rolled_back, 1);
    varve_txn_replay_close(r);
    assert_int_equal(stats(&f).timed_out, 2);
    assert_int_equal(stats(&f).aborted, 0);
    end(&f);
}

static int note_pin(void *arg, const struct varve_pin *pin)
{
    uint64_t *lsn = arg;
    if (strcmp(pin->name, "varve-txn-240") == 0)
        *lsn = pin->lsn;
    return 0;
}

static uint64_t pinned(struct fixture *f)
{
    uint64_t lsn = 0;
    assert_int_equal(varve_pin_list(f->bed.log, note_pin, &lsn, NULL), 0);
    return lsn;
}

static void test_txn__holds_the_log(void **state)
{
    struct fixture f;
    struct varve_txn *a, *b;
    uint64_t first;
    char filler[4000] = {0};
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    for (int i = 0; i < 600; i++)
        assert_int_equal(varve_append(f.bed.log, filler, sizeof filler, NULL), 0);
    assert_int_equal(varve_txns_floor(f.txns), 601);
    a = stream(&f, "a");
    assert_int_equal(varve_txns_floor(f.txns), 601);
    assert_int_equal(pinned(&f), 601);
    b = stream(&f, "b");
    commit(a);
    assert_true(varve_txns_floor(f.txns) > 610);
    assert_int_equal(pinned(&f), varve_txns_floor(f.txns));
    for (int i = 0; i < 600; i++)
        assert_int_equal(varve_append(f.bed.log, filler, sizeof filler, NULL), 0);
    assert_int_equal(varve_trim(f.bed.log, varve_last_lsn(f.bed.log), &first), 0);
    assert_true(first <= pinned(&f));
    commit(b);
    assert_int_equal(pinned(&f), 0);
    assert_int_equal(varve_txns_floor(f.txns), varve_last_lsn(f.bed.log) + 1);
    assert_int_equal(varve_trim(f.bed.log, varve_last_lsn(f.bed.log), &first), 0);
    assert_true(first > 700);
    end(&f);
}

/* The power fails with transactions open: they are orphans, and the pin that they left behind goes. */
static void test_txn__left_open(void **state)
{
    struct varve_options options;
    struct test_memory cut;
    struct fixture f, after;
    struct varve_txn_replay *r;
    struct varve_txn *a;
    uint64_t lsn;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    a = stream(&f, "a");
    lsn = commit(stream(&f, "b"));
    test_memory_crash(&f.bed.memory, TEST_CRASH_NOTHING, NULL, &cut);
    memset(&after, 0, sizeof after);
    options = f.bed.options;
    options.io = &cut.io;
    assert_int_equal(varve_open("log", &options, &after.bed.log, NULL), 0);
    assert_true(pinned(&after) > 0);
    assert_int_equal(varve_txns_open(after.bed.log, NULL, &after.txns, NULL), 0);
    assert_int_equal(pinned(&after), 0);
    r = replay(&after);
    expect_stream(r, "b", lsn);
    expect_end(r);
    assert_int_equal(stats_of(r).open, 1);
    assert_int_equal(varve_txn_replay_settle(r), 1);
    assert_int_equal(stats_of(r).open, 0);
    assert_int_equal(stats_of(r).orphans, 1);
    varve_txn_replay_close(r);
    varve_txns_close(after.txns);
    assert_int_equal(varve_close(after.bed.log, NULL), 0);
    test_memory_close(&cut);
    varve_txn_abort(a);
    end(&f);
}

static void test_txn__log_fails(void **state)
{
    struct fixture f;
    struct varve_txn *txn, *other;
    int rc;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    txn = begin(&f);
    other = begin(&f);
    assert_int_equal(put(txn, "a", "one"), 0);
    assert_int_equal(put(other, "b", "one"), 0);
    test_fault_fail_always(&f.bed.fault, TEST_OP_ANY_CHANGE, 0, EROFS);
    assert_int_not_equal(varve_txn_commit(txn, VARVE_DURABILITY_DEFAULT, NULL), 0);
    assert_int_not_equal(put(txn, "a", "two"), 0);
    varve_txn_abort(txn);
    rc = varve_txn_commit(other, VARVE_DURABILITY_DEFAULT, NULL);
    assert_true(rc == VARVE_E_READONLY || rc == VARVE_E_SYNC);
    varve_txn_abort(other);
    assert_int_equal(stats(&f).failed, 2);
    assert_int_equal(stats(&f).committed, 0);
    test_fault_disarm(&f.bed.fault);
    varve_txns_close(f.txns);
    assert_int_not_equal(bed_shut(&f.bed), 0);
    bed_end(&f.bed);
}

/* A log that has no room at the moment: the transaction can be committed when it has. */
static void test_txn__tries_again(void **state)
{
    struct fixture f;
    struct varve_txn *txn;
    struct varve_txn_replay *r;
    struct varve_options options = small;
    struct test_gate gate = {.op = TEST_OP_ANY_WRITE, .prefix = "wal-", .shut = 1};
    char filler[12000] = {0};
    uint64_t lsn;
    int rc = 0;
    (void)state;
    options.slot_count = 4;
    options.backpressure = VARVE_BACKPRESSURE_FAIL;
    bed_start(&f.bed, BED_MEMORY, &options, 1000);
    assert_int_equal(varve_txns_open(f.bed.log, NULL, &f.txns, &f.bed.error), 0);
    txn = begin(&f);
    assert_int_equal(put_bytes(txn, "a", 9000, 1), 0);
    test_fault_set_hook(&f.bed.fault, test_gate_hook, &gate);
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = varve_append_async(f.bed.log,
                                &(struct varve_record){.data = filler, .data_bytes = sizeof filler}, &lsn);
    assert_int_equal(rc, VARVE_E_BACKPRESSURE);
    assert_int_equal(varve_txn_commit(txn, VARVE_DURABILITY_DEFAULT, NULL), VARVE_E_BACKPRESSURE);
    atomic_store(&gate.shut, 0);
    BED_UNTIL(varve_durable_lsn(f.bed.log) == lsn);
    lsn = commit(txn);
    r = replay(&f);
    expect(r, VARVE_MUTATION_PUT, "a", lsn, true);
    expect_end(r);
    varve_txn_replay_close(r);
    test_fault_set_hook(&f.bed.fault, NULL, NULL);
    end(&f);
}

/* Each allocation fails once: nothing is lost by it, and nothing is half there. */
static void test_txn__no_memory(void **state)
{
    struct fixture f;
    struct varve_txn_replay *r;
    struct varve_txn_change c;
    uint64_t committed = 0;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    for (long n = 0;; n++) {
        struct varve_txn *txn;
        int rc;
        vv_alloc_fail_after(n);
        rc = varve_txn_begin(f.txns, NULL, &txn);
        if (rc != 0) {
            assert_int_equal(rc, VARVE_E_NOMEM);
            continue;
        }
        for (int i = 0; i < 9 && rc == 0; i++)
            rc = put_bytes(txn, "a", i == 5 ? 9000 : 700, i);
        if (rc == 0)
            rc = varve_txn_commit(txn, VARVE_DURABILITY_DEFAULT, NULL);
        if (rc == 0) {
            committed++;
        } else {
            assert_int_equal(rc, VARVE_E_NOMEM);
            varve_txn_abort(txn);
        }
        if (vv_alloc_fail_left() >= 0)
            break;
        assert_true(n < 1000);
    }
    vv_alloc_fail_after(-1);
    r = replay(&f);
    for (uint64_t i = 0; i < committed * 9; i++)
        assert_int_equal(varve_txn_replay_next(r, &c), 0);
    expect_end(r);
    assert_int_equal(stats_of(r).committed, committed);
    varve_txn_replay_close(r);
    end(&f);
}

enum {
    THREADS = 4,
    TXNS_EACH = 150
};

struct worker {
    struct fixture *f;
    unsigned index;
    uint64_t committed, failed;
};

/* Commits, aborts and lets time pass, beside the others. */
static void *work(void *arg)
{
    struct worker *w = arg;
    struct test_rng rng;
    test_rng_init(&rng, test_rng_seed() + w->index);
    for (unsigned i = 0; i < TXNS_EACH; i++) {
        const struct varve_txn_options hasty = {.size = sizeof hasty, .limit_ms = 1};
        const struct varve_entity entity = key("shared");
        struct varve_txn *txn;
        uint64_t count = test_rng_range(&rng, 1, 20);
        int rc = varve_txn_begin(w->f->txns, test_rng_once_in(&rng, 4) ? &hasty : NULL, &txn);
        for (uint64_t n = 0; n < count && rc == 0; n++) {
            unsigned char value[600] = {(unsigned char)w->index, (unsigned char)count, (unsigned char)n};
            rc = varve_txn_put(txn, &entity, 0, value, sizeof value);
        }
        if (rc == 0 && test_rng_once_in(&rng, 5))
            rc = VARVE_END;
        if (rc == 0)
            rc = varve_txn_commit(txn, VARVE_DURABILITY_DEFAULT, NULL);
        if (rc == 0)
            w->committed++;
        else
            varve_txn_abort(txn);
        w->failed += rc != 0 && rc != VARVE_END && rc != VARVE_E_TIMEOUT;
    }
    return NULL;
}

static void test_txn__threads(void **state)
{
    struct fixture f;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct varve_txn_replay *r;
    struct varve_txn_change c;
    uint64_t committed = 0, next = 0;
    (void)state;
    start(&f, &(struct varve_txns_options){.stream_bytes = 4096});
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){&f, i, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failed, 0);
        committed += workers[i].committed;
    }
    r = replay(&f);
    while (varve_txn_replay_next(r, &c) == 0) {
        const unsigned char *value = c.mutation.value.data;
        assert_int_equal(value[2], next);
        next = c.last ? 0 : next + 1;
        assert_int_equal(c.last, value[2] + 1 == value[1]);
    }
    assert_int_equal(stats_of(r).committed, committed);
    assert_int_equal(stats_of(r).open, 0);
    assert_int_equal(stats(&f).committed, committed);
    assert_int_equal(stats(&f).committed + stats(&f).aborted + stats(&f).timed_out, THREADS * TXNS_EACH);
    varve_txn_replay_close(r);
    assert_int_equal(pinned(&f), 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_txn__one_record),  cmocka_unit_test(test_txn__nothing_in_it),
        cmocka_unit_test(test_txn__streamed),    cmocka_unit_test(test_txn__large_mutations),
        cmocka_unit_test(test_txn__time_limit),  cmocka_unit_test(test_txn__holds_the_log),
        cmocka_unit_test(test_txn__left_open),   cmocka_unit_test(test_txn__log_fails),
        cmocka_unit_test(test_txn__tries_again), cmocka_unit_test(test_txn__no_memory),
        cmocka_unit_test(test_txn__threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
