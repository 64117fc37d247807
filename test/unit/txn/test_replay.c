/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "txn/control.h"
#include "varve/txn.h"
#include "varve/writeset.h"

static const struct varve_options small = {.slot_bytes = 16384, .slot_count = 16};

struct seen {
    unsigned count;
    struct varve_txn_outcome outcomes[16];
};

static void note(void *arg, const struct varve_txn_outcome *outcome)
{
    struct seen *seen = arg;
    assert_true(seen->count < 16);
    seen->outcomes[seen->count++] = *outcome;
}

static uint64_t append(struct test_bed *bed, uint8_t type, uint64_t id, const void *data, size_t bytes)
{
    const struct varve_record record = {
        .data = data, .data_bytes = bytes, .type = type, .flags = VARVE_RECORD_TXN, .txn_id = id};
    uint64_t lsn;
    assert_int_equal(varve_append_record(bed->log, &record, VARVE_DURABILITY_DEFAULT, &lsn), 0);
    return lsn;
}

static uint64_t begin(struct test_bed *bed, uint64_t id)
{
    const struct vv_control control = {0};
    uint8_t out[VV_CONTROL_BYTES_MAX];
    size_t bytes = vv_control_put(VV_CONTROL_BEGIN, &control, out);
    return append(bed, VARVE_TXN_TYPE + VV_CONTROL_BEGIN, id, out, bytes);
}

static size_t writeset(uint8_t value, uint8_t out[64])
{
    const struct varve_entity entity = {.kind = VARVE_ENTITY_RUN};
    struct varve_writeset w;
    size_t bytes;
    varve_writeset_begin(&w, out, 64);
    assert_int_equal(varve_writeset_put(&w, &entity, 0, &value, 1), 0);
    assert_int_equal(varve_writeset_end(&w, &bytes), 0);
    return bytes;
}

static uint64_t part(struct test_bed *bed, uint64_t id, uint8_t value)
{
    uint8_t out[64];
    size_t bytes = writeset(value, out);
    return append(bed, VARVE_TXN_TYPE + VV_CONTROL_PART, id, out, bytes);
}

static uint64_t whole(struct test_bed *bed, uint64_t id, uint8_t value)
{
    uint8_t out[64];
    size_t bytes = writeset(value, out);
    return append(bed, VARVE_TXN_TYPE, id, out, bytes);
}

static uint64_t finish(struct test_bed *bed, enum vv_control_type type, uint64_t id, uint64_t begin_lsn,
                       uint64_t parts)
{
    uint8_t out[VV_CONTROL_BYTES_MAX], set[64];
    const struct vv_control control = {
        .begin_lsn = begin_lsn, .parts = parts, .units = parts, .bytes = parts * writeset(0, set)};
    size_t bytes = vv_control_put(type, &control, out);
    return append(bed, (uint8_t)(VARVE_TXN_TYPE + type), id, out, bytes);
}

static struct varve_txn_replay *replay(struct test_bed *bed, struct varve_txn_replay_options o,
                                       struct seen *seen)
{
    struct varve_txn_replay *r;
    o.size = sizeof o;
    o.outcome = seen ? note : NULL;
    o.outcome_arg = seen;
    if (seen)
        memset(seen, 0, sizeof *seen);
    assert_int_equal(varve_txn_replay_open(bed->log, &o, &r, &bed->error), 0);
    return r;
}

static void expect(struct varve_txn_replay *r, uint8_t value, uint64_t commit_lsn, int last)
{
    struct varve_txn_change c;
    assert_int_equal(varve_txn_replay_next(r, &c), 0);
    assert_int_equal(c.mutation.kind, VARVE_MUTATION_PUT);
    assert_int_equal(*(const uint8_t *)c.mutation.value.data, value);
    assert_int_equal(c.commit_lsn, commit_lsn);
    assert_int_equal(c.last, last);
}

static void expect_rc(struct varve_txn_replay *r, int rc)
{
    struct varve_txn_change c;
    assert_int_equal(varve_txn_replay_next(r, &c), rc);
}

static struct varve_txn_replay_stats stats_of(struct varve_txn_replay *r)
{
    struct varve_txn_replay_stats s = {.size = sizeof s};
    assert_int_equal(varve_txn_replay_stats_get(r, &s), 0);
    return s;
}

/* Transactions lie within each other; commits decide the order. */
static void test_replay__interleaved(void **state)
{
    struct test_bed bed;
    struct varve_txn_replay *r;
    struct seen seen;
    uint64_t begin_1, begin_2, commit_1, commit_2, lone;
    (void)state;
    bed_start(&bed, BED_MEMORY, &small, 100);
    begin_1 = begin(&bed, 1);
    begin_2 = begin(&bed, 2);
    part(&bed, 1, 11);
    part(&bed, 2, 21);
    begin(&bed, 3);
    lone = whole(&bed, 4, 41);
    part(&bed, 1, 12);
    part(&bed, 3, 31);
    part(&bed, 2, 22);
    commit_2 = finish(&bed, VV_CONTROL_COMMIT, 2, begin_2, 2);
    commit_1 = finish(&bed, VV_CONTROL_COMMIT, 1, begin_1, 2);
    r = replay(&bed, (struct varve_txn_replay_options){.size = 0}, &seen);
    expect(r, 41, lone, 1);
    expect(r, 21, commit_2, 0);
    expect(r, 22, commit_2, 1);
    expect(r, 11, commit_1, 0);
    expect(r, 12, commit_1, 1);
    expect_rc(r, VARVE_END);
    assert_int_equal(stats_of(r).open, 1);
    /* What is committed while it is read follows. */
    lone = whole(&bed, 5, 51);
    expect(r, 51, lone, 1);
    expect_rc(r, VARVE_END);
    assert_int_equal(varve_txn_replay_settle(r), 1);
    assert_int_equal(seen.count, 5);
    assert_int_equal(seen.outcomes[4].action, VARVE_TXN_ROLLED_BACK);
    assert_int_equal(seen.outcomes[4].txn_id, 3);
    assert_int_equal(seen.outcomes[4].last_lsn, 0);
    varve_txn_replay_close(r);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* What stands before the start is missed, and nothing of such a transaction is given. */
static void test_replay__partial(void **state)
{
    struct test_bed bed;
    struct varve_txn_replay *r;
    struct seen seen;
    uint64_t begin_1, begin_2, lone, first;
    (void)state;
    bed_start(&bed, BED_MEMORY, &small, 100);
    begin_1 = begin(&bed, 1);
    first = part(&bed, 1, 11);
    part(&bed, 1, 12);
    finish(&bed, VV_CONTROL_COMMIT, 1, begin_1, 2);
    lone = whole(&bed, 2, 21);
    /* A commit that counts more than there is, as after a skip over damage. */
    begin_2 = begin(&bed, 3);
    part(&bed, 3, 31);
    finish(&bed, VV_CONTROL_COMMIT, 3, begin_2, 2);
    finish(&bed, VV_CONTROL_ABORT, 4, 1, 0);
    r = replay(&bed, (struct varve_txn_replay_options){.from_lsn = first}, &seen);
    expect(r, 21, lone, 1);
    expect_rc(r, VARVE_END);
    assert_int_equal(stats_of(r).partial, 2);
    assert_int_equal(stats_of(r).committed, 1);
    assert_int_equal(stats_of(r).rolled_back, 1);
    assert_int_equal(seen.outcomes[0].action, VARVE_TXN_PARTIAL);
    assert_int_equal(seen.outcomes[0].first_lsn, first);
    assert_int_equal(seen.outcomes[2].action, VARVE_TXN_PARTIAL);
    varve_txn_replay_close(r);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* From a checkpoint: what it has applied is neither given again nor missed. */
static void test_replay__applied(void **state)
{
    struct test_bed bed;
    struct varve_txn_replay *r;
    struct seen seen;
    uint64_t begin_1, begin_2, commit_1, commit_2;
    (void)state;
    bed_start(&bed, BED_MEMORY, &small, 100);
    begin_1 = begin(&bed, 1);
    part(&bed, 1, 11);
    begin_2 = begin(&bed, 2);
    commit_1 = finish(&bed, VV_CONTROL_COMMIT, 1, begin_1, 1);
    whole(&bed, 3, 31);
    assert_int_equal(varve_append(bed.log, "other", 5, NULL), 0);
    part(&bed, 2, 21);
    commit_2 = finish(&bed, VV_CONTROL_COMMIT, 2, begin_2, 1);
    r = replay(&bed,
               (struct varve_txn_replay_options){
                   .from_lsn = begin_2, .applied_lsn = commit_1 + 2, .flags = VARVE_TXN_REPLAY_OTHERS},
               &seen);
    expect(r, 21, commit_2, 1);
    expect_rc(r, VARVE_END);
    assert_int_equal(seen.count, 1);
    assert_int_equal(stats_of(r).partial, 0);
    varve_txn_replay_close(r);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_replay__others(void **state)
{
    struct test_bed bed;
    struct varve_txn_replay *r;
    struct varve_txn_change c;
    uint64_t lone;
    (void)state;
    bed_start(&bed, BED_MEMORY, &small, 100);
    assert_int_equal(varve_append(bed.log, "other", 5, NULL), 0);
    lone = whole(&bed, 1, 11);
    assert_int_equal(append(&bed, VARVE_TXN_TYPE + VARVE_TXN_TYPES, 1, "more", 4), 3);
    r = replay(&bed, (struct varve_txn_replay_options){.size = 0}, NULL);
    expect(r, 11, lone, 1);
    expect_rc(r, VARVE_END);
    assert_int_equal(stats_of(r).others, 2);
    varve_txn_replay_close(r);
    r = replay(&bed, (struct varve_txn_replay_options){.flags = VARVE_TXN_REPLAY_OTHERS}, NULL);
    assert_int_equal(varve_txn_replay_next(r, &c), 0);
    assert_int_equal(c.mutation.kind, 0);
    assert_memory_equal(c.entry->data, "other", 5);
    expect(r, 11, lone, 1);
    assert_int_equal(varve_txn_replay_next(r, &c), 0);
    assert_int_equal(c.mutation.kind, 0);
    assert_int_equal(c.commit_lsn, 3);
    expect_rc(r, VARVE_END);
    varve_txn_replay_close(r);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* Another program's records under our types are told, by their LSN, and the error stays. */
static void test_replay__strangers(void **state)
{
    static const struct {
        uint8_t type, flags;
        const char *data;
        size_t bytes;
        int rc;
    } strangers[] = {
        {VARVE_TXN_TYPE, 0, "\0\0\0\0", 4, VARVE_E_CORRUPT},
        {VARVE_TXN_TYPE, VARVE_RECORD_TXN, "x", 1, VARVE_E_CORRUPT},
        {VARVE_TXN_TYPE, VARVE_RECORD_TXN, "\1\0\0\0xxxxxxxxxxxxxxxxxxxx", 24, VARVE_E_CORRUPT},
        {VARVE_TXN_TYPE + VV_CONTROL_BEGIN, VARVE_RECORD_TXN, "\2\0\0\0\0\0\0\0", 8, VARVE_E_VERSION},
        {VARVE_TXN_TYPE + VV_CONTROL_COMMIT, VARVE_RECORD_TXN, "\1\0\0\0\0\0\0\0", 8, VARVE_E_CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        const struct varve_record record = {.data = strangers[i].data,
                                            .data_bytes = strangers[i].bytes,
                                            .type = strangers[i].type,
                                            .flags = strangers[i].flags};
        struct varve_error error = {0};
        struct varve_txn_replay *r;
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &small, 100);
        assert_int_equal(varve_append_record(bed.log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
        r = replay(&bed, (struct varve_txn_replay_options){.size = 0}, NULL);
        expect_rc(r, strangers[i].rc);
        expect_rc(r, strangers[i].rc);
        varve_txn_replay_error(r, &error);
        assert_int_equal(error.code, strangers[i].rc);
        assert_non_null(strstr(error.message, "LSN 1 "));
        varve_txn_replay_close(r);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

static void test_replay__options(void **state)
{
    struct varve_txn_replay_options o = {.size = sizeof o};
    struct varve_txn_replay *r;
    struct varve_txns *txns;
    struct varve_txns_options t = {.size = sizeof t};
    struct test_bed bed;
    (void)state;
    bed_start(&bed, BED_MEMORY, &small, 100);
    o.flags = 1u << 7;
    assert_int_equal(varve_txn_replay_open(bed.log, &o, &r, &bed.error), VARVE_E_INVALID);
    o = (struct varve_txn_replay_options){.size = 4};
    assert_int_equal(varve_txn_replay_open(bed.log, &o, &r, &bed.error), VARVE_E_INVALID);
    t.stream_bytes = 4095;
    assert_int_equal(varve_txns_open(bed.log, &t, &txns, &bed.error), VARVE_E_INVALID);
    t.stream_bytes = UINT64_MAX;
    assert_int_equal(varve_txns_open(bed.log, &t, &txns, &bed.error), VARVE_E_INVALID);
    t = (struct varve_txns_options){.size = sizeof t, .type = 252};
    assert_int_equal(varve_txns_open(bed.log, &t, &txns, &bed.error), VARVE_E_INVALID);
    for (long n = 0;; n++) {
        int rc;
        vv_alloc_fail_after(n);
        rc = varve_txns_open(bed.log, NULL, &txns, &bed.error);
        if (rc == 0)
            varve_txns_close(txns);
        if (rc == 0 && vv_alloc_fail_left() >= 0)
            break;
        assert_true(rc == 0 || rc == VARVE_E_NOMEM);
    }
    for (long n = 0;; n++) {
        int rc;
        vv_alloc_fail_after(n);
        rc = varve_txn_replay_open(bed.log, NULL, &r, &bed.error);
        if (rc == 0)
            varve_txn_replay_close(r);
        if (rc == 0 && vv_alloc_fail_left() >= 0)
            break;
        assert_true(rc == 0 || rc == VARVE_E_NOMEM);
    }
    vv_alloc_fail_after(-1);
    assert_string_equal(varve_txn_action_name(VARVE_TXN_COMMITTED), "commit");
    assert_string_equal(varve_txn_action_name(VARVE_TXN_ROLLED_BACK), "rollback");
    assert_string_equal(varve_txn_action_name(VARVE_TXN_PARTIAL), "partial log");
    assert_string_equal(varve_txn_action_name((enum varve_txn_action)9), "unknown action");
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay__interleaved), cmocka_unit_test(test_replay__partial),
        cmocka_unit_test(test_replay__applied),     cmocka_unit_test(test_replay__others),
        cmocka_unit_test(test_replay__strangers),   cmocka_unit_test(test_replay__options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
