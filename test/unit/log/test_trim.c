/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "varve/retain.h"

static const struct varve_options small = {
    .slot_bytes = 16384, .slot_count = 16, .mark_idle_ms = 3600000, .spare_segments = 2};

struct counting {
    const char *prefix;
    unsigned count;
};

static int count_name(void *arg, const char *name)
{
    struct counting *counting = arg;
    counting->count += strncmp(name, counting->prefix, strlen(counting->prefix)) == 0;
    return 0;
}

static unsigned count_prefix(struct test_bed *bed, const char *prefix)
{
    struct varve_io *io = &bed->memory.io;
    struct counting counting = {prefix, 0};
    struct varve_dir *dir;
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(io->dir_list(io, dir, count_name, &counting), 0);
    io->dir_close(io, dir);
    return counting.count;
}

static void test_trim__rules(void **state)
{
    (void)state;
    struct test_bed bed;
    uint64_t first = 0;
    bed_start(&bed, BED_MEMORY, &small, 100000);
    assert_int_equal(varve_trim(bed.log, 1, &first), 0);
    assert_int_equal(first, 1);
    assert_int_equal(varve_trim(bed.log, 2, &first), VARVE_E_INVALID);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    uint64_t segments = bed_stats(&bed).segments_opened;
    assert_true(segments >= 4);
    assert_int_equal(varve_trim(bed.log, 102, &first), VARVE_E_INVALID);
    assert_int_equal(varve_trim(bed.log, UINT64_MAX, &first), VARVE_E_INVALID);
    assert_int_equal(first, 1);
    assert_int_equal(varve_trim(bed.log, 2, &first), 0);
    assert_int_equal(first, 1);
    /* Whole segments only, and what is asked for once more is done already. */
    assert_int_equal(varve_trim(bed.log, 50, &first), 0);
    assert_true(first > 1 && first <= 50);
    uint64_t trimmed = bed_stats(&bed).segments_trimmed, again = 0;
    assert_int_equal(varve_trim(bed.log, 50, &again), 0);
    assert_int_equal(again, first);
    assert_int_equal(varve_trim(bed.log, 1, &again), 0);
    assert_int_equal(again, first);
    assert_int_equal(bed_stats(&bed).segments_trimmed, trimmed);
    assert_int_equal(varve_first_lsn(bed.log), first);
    test_ledger_check(&bed.ledger, bed.log);
    /* Everything: the active segment stays. */
    assert_int_equal(varve_trim(bed.log, 101, &first), 0);
    assert_true(first > 50 && first <= 101);
    assert_int_equal(bed_stats(&bed).segments_trimmed, segments - 1);
    assert_int_equal(bed.log->fact_count, 1);
    assert_true(count_prefix(&bed, "wal-") <= 3);
    assert_int_equal(count_prefix(&bed, "spare-"), 2);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 100);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_trim__spares_are_used_again(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &small, 100000);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 30), 0);
        assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log) + 1, NULL), 0);
        assert_true(count_prefix(&bed, "spare-") <= 2);
        assert_true(count_prefix(&bed, "wal-") <= 4);
        test_ledger_check(&bed.ledger, bed.log);
    }
    assert_true(bed_stats(&bed).spares_used >= 5);
    assert_int_equal(varve_last_lsn(bed.log), 600);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_trim__no_spares(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = small;
    options.spare_segments = UINT32_MAX;
    bed_start(&bed, BED_MEMORY, &options, 100000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 60), 0);
    assert_int_equal(varve_trim(bed.log, 61, NULL), 0);
    assert_int_equal(count_prefix(&bed, "spare-"), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* One call fails: trimmed or not, what is not trimmed is there. */
static void test_trim__faults(void **state)
{
    (void)state;
    unsigned told = 0;
    for (long n = 0;; n++) {
        struct test_bed bed;
        uint64_t first = 77;
        bed_start(&bed, BED_MEMORY, &small, 16000);
        do {
            assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        } while (bed_stats(&bed).segments_opened < 3 || atomic_load(&bed.log->room_bytes) > 500000);
        /* From here on the log's own thread has nothing to do: the calls are the trimming's. */
        BED_UNTIL(atomic_load(&bed.log->ready_count) >= 1);
        uint64_t last = varve_last_lsn(bed.log);
        test_fault_fail_after(&bed.fault, n, EIO);
        int rc = varve_trim(bed.log, last + 1, &first);
        bool over = test_fault_left(&bed.fault) >= 0;
        test_fault_disarm(&bed.fault);
        assert_true(rc == 0 || rc == VARVE_E_IO);
        assert_true(rc != 0 ? first == 77 : first == varve_first_lsn(bed.log));
        told += rc != 0;
        assert_int_equal(varve_trim(bed.log, last + 1, &first), 0);
        assert_true(first > 1);
        assert_int_equal(test_ledger_check(&bed.ledger, bed.log), last);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
        if (over) {
            break;
        }
    }
    assert_true(told >= 5);
}

static void on_message(void *arg, const struct varve_message *message)
{
    if (message->event == VARVE_EVENT_NOT_TRIMMED && message->level == VARVE_MESSAGE_WARNING) {
        atomic_fetch_add((_Atomic unsigned *)arg, 1);
    }
}

/* Where nothing could be trimmed there is nothing to wake anybody for, and one message for one reason. */
static void test_trim__disk_full(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_fault_rule rule = {.op = TEST_OP_CREATE, .prefix = "MANIFEST", .times = TEST_FAULT_FOREVER};
    _Atomic unsigned told = 0;
    struct varve_options options = small;
    options.message = on_message;
    options.message_arg = &told;
    bed_start(&bed, BED_MEMORY, &options, 100000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 40), 0);
    for (unsigned round = 1; round <= 2; round++) {
        rule.error = round == 1 ? ENOSPC : EIO;
        test_fault_arm(&bed.fault, &rule);
        uint32_t kicks = atomic_load(&bed.log->prepare_event);
        for (unsigned i = 0; i < 5; i++) {
            assert_true(varve_trim(bed.log, varve_last_lsn(bed.log) + 1, NULL) != 0);
        }
        assert_int_equal(atomic_load(&bed.log->prepare_event), kicks);
        assert_int_equal(atomic_load(&told), round);
        test_fault_disarm(&bed.fault);
    }
    assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log) + 1, NULL), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 40), 0);
    test_fault_arm(&bed.fault, &rule);
    assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log) + 1, NULL), VARVE_E_IO);
    assert_int_equal(atomic_load(&told), 3);
    test_fault_disarm(&bed.fault);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.message = NULL;
    bed_check(&bed);
    bed_end(&bed);
}

struct filler {
    struct test_bed *bed;
    int rc;
};

static void *filler_run(void *arg)
{
    struct filler *filler = arg;
    filler->rc = test_ledger_fill(&filler->bed->ledger, filler->bed->log, 200);
    return NULL;
}

/* A segment that is started has no header on disk before its first frame is: the log must not begin there
 * yet, whatever a power cut leaves. */
static void test_trim__not_onto_a_segment_without_a_header(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC, .prefix = "new-0000000000000002", .shut = 1};
    struct test_memory cut;
    pthread_t thread;
    uint64_t first = 0;
    struct varve_retain_rules rules = {.size = sizeof rules, .keep_segments = 1};
    bed_start(&bed, BED_MEMORY, &small, 16000);
    struct filler filler = {.bed = &bed};
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    assert_int_equal(pthread_create(&thread, NULL, filler_run, &filler), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    assert_int_equal(varve_trim(bed.log, varve_durable_lsn(bed.log) + 1, &first), 0);
    assert_int_equal(first, 1);
    assert_int_equal(varve_retain(bed.log, &rules, 0, NULL, NULL), 0);
    assert_int_equal(varve_first_lsn(bed.log), 1);
    test_memory_crash(&bed.memory, TEST_CRASH_NOTHING, NULL, &cut);
    atomic_store(&gate.shut, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(filler.rc, 0);
    struct varve_options options = bed.options;
    struct varve_log *log;
    options.io = &cut.io;
    for (int life = 0; life < 2; life++) {
        assert_int_equal(varve_open("log", &options, &log, &bed.error), 0);
        assert_int_equal(varve_first_lsn(log), 1);
        assert_int_equal(varve_close(log, NULL), 0);
    }
    test_memory_close(&cut);
    assert_int_equal(varve_trim(bed.log, varve_durable_lsn(bed.log) + 1, &first), 0);
    assert_true(first > 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void *trimmer_run(void *arg)
{
    struct test_bed *bed = arg;
    uint64_t first = 0;
    while (first < 1200) {
        if (varve_trim(bed->log, varve_durable_lsn(bed->log) + 1, &first) != 0) {
            return bed;
        }
    }
    return NULL;
}

static void test_trim__beside_appenders(void **state)
{
    (void)state;
    struct test_bed bed;
    pthread_t trimmer;
    void *failed;
    bed_start(&bed, BED_MEMORY, &small, 20000);
    assert_int_equal(pthread_create(&trimmer, NULL, trimmer_run, &bed), 0);
    assert_int_equal(bed_crowd(&bed, 4, 400), 0);
    assert_int_equal(pthread_join(trimmer, &failed), 0);
    assert_null(failed);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 1600);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim__rules),
        cmocka_unit_test(test_trim__spares_are_used_again),
        cmocka_unit_test(test_trim__no_spares),
        cmocka_unit_test(test_trim__faults),
        cmocka_unit_test(test_trim__disk_full),
        cmocka_unit_test(test_trim__not_onto_a_segment_without_a_header),
        cmocka_unit_test(test_trim__beside_appenders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
