/* SPDX-License-Identifier: Apache-2.0 */
#include "log/retain.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/wait.h"
#include "lib/bed.h"
#include "lib/clock.h"
#include "log/stages.h"
#include "varve/pin.h"
#include "varve/retain.h"

static const struct varve_options small = {
    .slot_bytes = 16384, .slot_count = 16, .mark_idle_ms = 3600000, .spare_segments = 2};

#define SECOND UINT64_C(1000000)

/* Five segments of 1,000 bytes and 10 records, begun 100 s apart; the last one is in use. */
static struct vv_segment_fact facts[] = {
    {.number = 4, .base_lsn = 31, .bytes = 1000, .created_us = 100 * SECOND},
    {.number = 5, .base_lsn = 41, .bytes = 1000, .created_us = 200 * SECOND},
    {.number = 6, .base_lsn = 51, .bytes = 1000, .created_us = 300 * SECOND},
    {.number = 7, .base_lsn = 61, .bytes = 1000, .created_us = 400 * SECOND},
    {.number = 8, .base_lsn = 71, .bytes = 1000, .created_us = 500 * SECOND},
};

static void test_retain__plan(void **state)
{
    (void)state;
    const struct {
        struct varve_retain_rules rules;
        uint64_t pin, durable; /* 0: no pin; all is durable */
        uint64_t goes, held;
    } cases[] = {
        {{.size = 0}, 0, 0, 0, 0},
        {{.keep_segments = 1}, 0, 0, 4, 0},
        {{.keep_segments = 3}, 0, 0, 2, 0},
        {{.keep_segments = 5}, 0, 0, 0, 0},
        {{.keep_segments = UINT64_MAX}, 0, 0, 0, 0},
        {{.keep_bytes = 1}, 0, 0, 4, 0},
        {{.keep_bytes = 1000}, 0, 0, 4, 0},
        {{.keep_bytes = 1001}, 0, 0, 3, 0},
        {{.keep_bytes = UINT64_MAX}, 0, 0, 0, 0},
        /* It is now second 600. The third ends where the fourth begins, at 400. */
        {{.keep_ms = 200 * 1000}, 0, 0, 3, 0},
        {{.keep_ms = 200 * 1000 + 1}, 0, 0, 2, 0},
        {{.keep_ms = 1}, 0, 0, 4, 0},
        {{.keep_ms = UINT64_MAX}, 0, 0, 0, 0},
        {{.before_lsn = 31}, 0, 0, 0, 0},
        {{.before_lsn = 60}, 0, 0, 2, 0},
        {{.before_lsn = 61}, 0, 0, 3, 0},
        {{.before_lsn = UINT64_MAX}, 0, 0, 4, 0},
        /* Every rule must let it go. */
        {{.keep_segments = 1, .keep_bytes = 3000, .keep_ms = 1}, 0, 0, 2, 0},
        {{.keep_segments = 4, .before_lsn = 71}, 0, 0, 1, 0},
        /* What a pin holds. */
        {{.keep_segments = 1}, 31, 0, 0, 4},
        {{.keep_segments = 1}, 50, 0, 1, 3},
        {{.keep_segments = 1}, 51, 0, 2, 2},
        {{.keep_segments = 1}, 81, 0, 4, 0},
        {{.keep_segments = 5}, 31, 0, 0, 0},
        /* A segment whose first record is not durable may still move, or have no header on disk. */
        {{.keep_segments = 1}, 0, 70, 3, 0},
        {{.keep_segments = 1}, 0, 71, 4, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct vv_shape shape = {.facts = facts,
                                       .count = 5,
                                       .end_bytes = 500,
                                       .durable_lsn = cases[i].durable ? cases[i].durable : 80,
                                       .first_lsn = 31};
        struct vv_pin pin = {.name = "p", .lsn = cases[i].pin};
        struct varve_retain_plan plan = {.size = sizeof plan, .segments = 99, .held_lsn = 99};
        vv_retain_plan(&shape, &cases[i].rules, 600 * SECOND, pin.lsn ? &pin : NULL, &plan);
        if (plan.segments != cases[i].goes || plan.held_segments != cases[i].held) {
            fail_msg("case %u: %u go, %u held", (unsigned)i, (unsigned)plan.segments,
                     (unsigned)plan.held_segments);
        }
        assert_int_equal(plan.size, sizeof plan);
        assert_int_equal(plan.bytes, 1000 * cases[i].goes);
        assert_int_equal(plan.held_bytes, 1000 * cases[i].held);
        assert_int_equal(plan.records, 10 * cases[i].goes);
        assert_int_equal(plan.first_lsn, 31 + 10 * cases[i].goes);
        assert_int_equal(plan.held_lsn, cases[i].held ? pin.lsn : 0);
        assert_string_equal(plan.held_by, cases[i].held ? "p" : "");
    }
    const struct vv_shape none = {.count = 0, .first_lsn = 1};
    struct varve_retain_plan plan = {.size = sizeof plan};
    vv_retain_plan(&none, &cases[1].rules, 600 * SECOND, NULL, &plan);
    assert_int_equal(plan.segments, 0);
    assert_int_equal(plan.first_lsn, 1);
}

static size_t segments(struct test_bed *bed)
{
    pthread_mutex_lock(&bed->log->segments_mutex);
    size_t count = bed->log->fact_count;
    pthread_mutex_unlock(&bed->log->segments_mutex);
    return count;
}

static int pin_at(struct test_bed *bed, uint64_t lsn)
{
    struct varve_pin pin = {.size = sizeof pin, .name = "holder", .lsn = lsn};
    return varve_pin_set(bed->log, &pin, NULL);
}

/* By the log's own thread, as the log grows; the space goes round. */
static void test_retain__on_rotation(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = small;
    options.keep_segments = 3;
    bed_start(&bed, BED_MEMORY, &options, 100000);
    for (int round = 0; round < 10; round++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 40), 0);
        BED_UNTIL(segments(&bed) <= 3);
    }
    assert_true(bed_stats(&bed).segments_trimmed >= 10);
    assert_true(bed_stats(&bed).spares_used >= 5);
    assert_int_equal(pin_at(&bed, 0), 0);
    uint64_t first = varve_first_lsn(bed.log);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_true(segments(&bed) > 5);
    assert_int_equal(varve_first_lsn(bed.log), first);
    assert_int_equal(varve_pin_drop(bed.log, "holder", NULL), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 40), 0);
    BED_UNTIL(segments(&bed) <= 3);
    test_ledger_check(&bed.ledger, bed.log);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void *rotate_run(void *arg)
{
    struct test_bed *bed = arg;
    while (atomic_load(&bed->log->counters.segments_opened) < 2) {
        if (test_ledger_fill(&bed->ledger, bed->log, 1) != 0) {
            return bed;
        }
    }
    return NULL;
}

/* A segment lets the one before it go when its first record is durable, and not only when the next one comes.
 */
static void test_retain__once_the_next_is_durable(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC, .prefix = "new-0000000000000002", .shut = 1};
    struct varve_options options = small;
    pthread_t thread;
    void *failed;
    options.keep_segments = 1;
    bed_start(&bed, BED_MEMORY, &options, 16000);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    assert_int_equal(pthread_create(&thread, NULL, rotate_run, &bed), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    for (unsigned i = 0; i < 50; i++) {
        bed_pause(); /* the log's own thread looks, and finds nothing that may go yet */
    }
    assert_int_equal(segments(&bed), 2);
    atomic_store(&gate.shut, 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    BED_UNTIL(segments(&bed) == 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Old segments go by time too, in a log where nothing else happens. */
static void test_retain__by_age(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_clock clock;
    struct varve_options options = small;
    options.keep_ms = 60 * 1000;
    bed_init(&bed, BED_MEMORY, &options, 100000);
    test_clock_init(&clock, &bed.fault.pass.io, UINT64_C(1700000000000000), 1, 7);
    bed.options.io = &clock.pass.io;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    size_t count = segments(&bed);
    assert_true(count >= 4);
    test_clock_advance(&clock, 59 * SECOND);
    vv_prepare_kick(bed.log);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    assert_true(segments(&bed) >= count);
    test_clock_advance(&clock, 11 * SECOND);
    vv_prepare_kick(bed.log);
    BED_UNTIL(segments(&bed) == 1);
    assert_int_equal(bed_shut(&bed), 0);
    test_clock_close(&clock);
    bed.options.io = &bed.fault.pass.io;
    bed_check(&bed);
    bed_end(&bed);
}

/* In a log that has failed nothing is removed any more, so age brings no work: its thread sleeps. */
static void test_retain__sleeps_in_a_failed_log(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_clock clock;
    struct varve_options options = small;
    options.keep_ms = 60 * 1000;
    bed_init(&bed, BED_MEMORY, &options, 100000);
    test_clock_init(&clock, &bed.fault.pass.io, UINT64_C(1700000000000000), 1, 7);
    bed.options.io = &clock.pass.io;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    assert_true(vv_retain_sleep_us(bed.log) >= 0);
    vv_fail_log(bed.log, &(struct varve_error){.code = VARVE_E_IO, .message = "the disk is gone"});
    test_clock_advance(&clock, 3600 * SECOND);
    vv_retain_tick(bed.log);
    assert_int_equal(vv_retain_sleep_us(bed.log), VV_WAIT_FOREVER);
    assert_int_equal(bed_shut(&bed), VARVE_E_IO);
    test_clock_close(&clock);
    bed.options.io = &bed.fault.pass.io;
    bed_check(&bed);
    bed_end(&bed);
}

static void test_retain__on_demand(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_retain_rules rules = {.size = sizeof rules, .keep_segments = 2};
    struct varve_retain_plan plan = {.size = sizeof plan}, dry = plan;
    bed_start(&bed, BED_MEMORY, &small, 100000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    size_t count = segments(&bed);
    /* Nothing is said, nothing goes. */
    assert_int_equal(varve_retain(bed.log, NULL, 0, &plan, NULL), 0);
    assert_int_equal(plan.segments, 0);
    assert_int_equal(varve_retain(bed.log, &rules, 1, &dry, NULL), 0);
    assert_int_equal(dry.segments, count - 2);
    assert_int_equal(segments(&bed), count);
    assert_int_equal(pin_at(&bed, 0), 0);
    assert_int_equal(varve_retain(bed.log, &rules, 0, &plan, NULL), 0);
    assert_int_equal(plan.segments, 0);
    assert_int_equal(plan.held_segments, count - 2);
    assert_string_equal(plan.held_by, "holder");
    assert_int_equal(varve_pin_drop(bed.log, "holder", NULL), 0);

    /* Who reads beside the writer sees the same. */
    struct varve_options options = bed.options;
    struct varve_log *reader;
    options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(varve_open("log", &options, &reader, NULL), 0);
    assert_int_equal(varve_retain(reader, &rules, 1, &plan, NULL), 0);
    assert_memory_equal(&plan, &dry, sizeof plan);
    assert_int_equal(varve_retain(reader, &rules, 0, &plan, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_close(reader, NULL), 0);

    /* It cannot be written down: nothing is gone. */
    test_fault_fail_always(&bed.fault, TEST_OP_RENAME, 0, EIO);
    assert_int_equal(varve_retain(bed.log, &rules, 0, &plan, &bed.error), VARVE_E_IO);
    test_fault_disarm(&bed.fault);
    assert_int_equal(segments(&bed), count);
    assert_int_equal(varve_retain(bed.log, &rules, 0, &plan, NULL), 0);
    assert_memory_equal(&plan, &dry, sizeof plan);
    assert_int_equal(segments(&bed), 2);
    assert_int_equal(varve_first_lsn(bed.log), plan.first_lsn);

    rules.before_lsn = 102;
    assert_int_equal(varve_retain(bed.log, &rules, 0, &plan, NULL), VARVE_E_INVALID);
    rules.before_lsn = 101;
    assert_int_equal(varve_retain(bed.log, &rules, 0, NULL, NULL), 0);
    rules.size = 8;
    assert_int_equal(varve_retain(bed.log, &rules, 0, NULL, NULL), VARVE_E_INVALID);
    plan.size = 8;
    assert_int_equal(varve_retain(bed.log, NULL, 0, &plan, NULL), VARVE_E_INVALID);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 100);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retain__plan),
        cmocka_unit_test(test_retain__on_rotation),
        cmocka_unit_test(test_retain__once_the_next_is_durable),
        cmocka_unit_test(test_retain__by_age),
        cmocka_unit_test(test_retain__sleeps_in_a_failed_log),
        cmocka_unit_test(test_retain__on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
