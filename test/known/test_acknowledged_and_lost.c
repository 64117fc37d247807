/* SPDX-License-Identifier: Apache-2.0 */
/* Failures seen in other logs: what was acknowledged and lost. README.md says which line of the list is
 * where. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/clock.h"
#include "lib/judge.h"
#include "lib/sample.h"

/* The log's files as a power cut at this moment leaves them at the least hold all that was acknowledged. */
static void check_power_cut(struct test_bed *bed)
{
    struct test_memory cut;
    struct varve_options options = bed->options;
    test_memory_crash(&bed->memory, TEST_CRASH_NOTHING, NULL, &cut);
    options.io = &cut.io;
    (void)test_ledger_reopen(&bed->ledger, bed->path, &options);
    test_memory_close(&cut);
}

/* An acknowledgement comes after the sync of what it is about, also of the first record and of a new
 * segment's. */
static void test_known__acknowledged_before_its_sync(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_STRICT, VARVE_BUFFERED};
    for (unsigned i = 0; i < 3; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.durability = modes[i], .slot_bytes = 65536, .slot_count = 4},
                  60000);
        for (unsigned k = 0; k < 60; k++) {
            enum varve_durability asked = modes[i] == VARVE_STRICT ? VARVE_STRICT : VARVE_GROUP;
            assert_int_equal(test_ledger_append(&bed.ledger, bed.log, asked, NULL), 0);
            check_power_cut(&bed);
        }
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

/* When the first bytes go into a segment, everything in those before it is durable. */
struct newer {
    struct test_bed *bed;
    uint64_t begun;
    int wrong;
};

static int newer_hook(void *arg, const struct test_fault_call *call)
{
    struct newer *newer = arg;
    bool write = call->op == TEST_OP_WRITE || call->op == TEST_OP_WRITE_DSYNC;
    if (!write || call->offset != 0 || call->bytes <= 4096 || call->bytes == 65536) {
        return 0; /* a segment begins with its header and its first frame; zeros go out in pieces of 64 KiB */
    }
    /* Not by the ledger, which another thread writes at the moment: by the log's own word. */
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_options options = newer->bed->options;
    struct test_memory cut;
    struct varve_log *log;
    newer->begun++;
    newer->wrong += varve_stats_get(newer->bed->log, &stats) != 0 || stats.durable_lsn != stats.written_lsn;
    test_memory_crash(&newer->bed->memory, TEST_CRASH_NOTHING, NULL, &cut);
    options.io = &cut.io;
    if (varve_open(newer->bed->path, &options, &log, NULL) != 0) {
        newer->wrong++;
    } else {
        newer->wrong += varve_last_lsn(log) != stats.durable_lsn;
        newer->wrong += varve_close(log, NULL) != 0;
    }
    test_memory_close(&cut);
    return 0;
}

static void test_known__newer_segment_synced_before_the_older(void **state)
{
    (void)state;
    for (int buffered = 0; buffered < 2; buffered++) {
        struct test_bed bed;
        struct newer newer = {.bed = &bed};
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.durability = buffered ? VARVE_BUFFERED : VARVE_GROUP,
                                          .slot_bytes = 32768,
                                          .slot_count = 8},
                  30000);
        test_fault_set_hook(&bed.fault, newer_hook, &newer);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 250), 0);
        assert_int_equal(varve_sync(bed.log), 0);
        test_fault_set_hook(&bed.fault, NULL, NULL);
        assert_true(newer.begun >= 3);
        assert_int_equal(newer.wrong, 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

/* And if the older one lost its end all the same, recovery does not run past the hole. */
static void test_known__recovery_runs_past_a_hole(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct test_sample s;
        test_sample_make(&s, TEST_SAMPLE_BIG, 12, clean);
        test_sample_map(&s);
        const struct test_sample_frame *frame = test_sample_frame_of(&s, 4);
        struct test_verdict v = {.verdict = VARVE_VERDICT_HOLE, .sound_last = 3, .gone_last = 5, .last = 12};
        assert_int_equal(test_sample_frame_of(&s, 6)->segment, 2);
        test_sample_zero(&s, 1, frame->offset, (1 << 20) - frame->offset);
        test_judge(&s, &v);
        test_sample_close(&s);
    }
}

/* A sync that failed is not tried again on that file: its frames move, and what the file holds does not
 * count. */
static void test_known__failed_sync_retried(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_BUFFERED}, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    uint64_t opened = bed_stats(&bed).segments_opened;
    (void)test_fault_fail_once(&bed.fault, TEST_OP_SYNC, 0, EIO);
    assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_GROUP, NULL), 0);
    assert_int_equal(bed_stats(&bed).moves, 1);
    assert_int_equal(bed_stats(&bed).segments_opened, opened + 1);
    check_power_cut(&bed);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* A later success clears no earlier error. */
static void test_known__success_clears_an_error(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_error error = {0};
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.retry_count = 1}, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    (void)test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 0, EIO);
    assert_true(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) < 0);
    int first = varve_error_first(bed.log, &error);
    assert_true(first < 0);
    test_fault_disarm(&bed.fault);
    for (int i = 0; i < 3; i++) {
        assert_true(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) < 0);
        assert_true(varve_sync(bed.log) < 0);
        assert_int_equal(varve_error_first(bed.log, &error), first);
    }
    assert_int_equal(bed_shut(&bed), first);
    bed_check(&bed);
    bed_end(&bed);
}

/* The bytes of a frame whose sync failed are in the file, and its LSNs are given once: the log reads as
 * before. */
static void test_known__failed_sync_reuses_the_number(void **state)
{
    (void)state;
    for (long after = 0; after < 6; after++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 1000);
        (void)test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                                   .after = after,
                                                                   .action = TEST_FAULT_PARTIAL,
                                                                   .bytes = 1 << 20});
        uint64_t before = 0;
        for (int i = 0; i < 12; i++) {
            uint64_t lsn = 0;
            assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, &lsn), 0);
            assert_int_equal(lsn, before + 1);
            before = lsn;
        }
        assert_int_equal(bed_stats(&bed).moves, 1);
        assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 12);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

/* Where there is no room for an append it says so; what it took is there. */
static void test_known__full_queue_drops(void **state)
{
    (void)state;
    struct test_bed bed;
    uint64_t accepted = 0, refused = 0;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.durability = VARVE_BUFFERED,
                                      .backpressure = VARVE_BACKPRESSURE_FAIL,
                                      .slot_bytes = 4096,
                                      .slot_count = 4},
              900);
    struct test_gate gate = {.op = TEST_OP_ANY_WRITE, .shut = 1};
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    while (refused < 50) {
        int rc = test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL);
        assert_true(rc == 0 || rc == VARVE_E_BACKPRESSURE);
        accepted += rc == 0;
        refused += rc != 0;
    }
    assert_int_equal(varve_last_lsn(bed.log), accepted);
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), accepted);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Any number of rotations while the clock does not move at all. */
static void test_known__two_rotations_within_a_second(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_clock clock;
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 65536, .slot_count = 4}, 60000);
    test_clock_init(&clock, &bed.fault.pass.io, 1, 0, 1);
    bed.options.io = &clock.pass.io;
    assert_int_equal(bed_open(&bed), 0);
    while (bed_stats(&bed).segments_opened < 6) {
        assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
    }
    uint64_t last = varve_last_lsn(bed.log);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), last);
    assert_int_equal(bed_shut(&bed), 0);
    test_clock_close(&clock);
    bed_check(&bed);
    bed_end(&bed);
}

/* Trimming while records come, and opening again: what was not trimmed is there. */
static void test_known__truncation_and_restart_lose_what_follows(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 65536, .slot_count = 4}, 60000);
    for (unsigned round = 0; round < 4; round++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 70), 0);
        uint64_t last = varve_last_lsn(bed.log), first = 0;
        assert_int_equal(varve_trim(bed.log, last - 20, &first), 0);
        assert_true(first <= last - 20);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
        check_power_cut(&bed);
        assert_int_equal(bed_shut(&bed), 0);
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(varve_first_lsn(bed.log), first);
        assert_int_equal(test_ledger_check(&bed.ledger, bed.log), last + 10);
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* In a file that is used again a record of its first life stands just where the log ends. */
static void test_known__recycled_record_continues_the_log(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct test_sample s;
        struct varve_stats stats = {.size = sizeof stats};
        uint64_t first = 0, last;
        /* All frames have one size, so the old ones stand where new ones would. */
        test_sample_make(&s, TEST_SAMPLE_BIG, 13, true);
        struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
        assert_int_equal(varve_trim(log, 13, &first), 0);
        do {
            test_sample_append(&s, log, 1);
            assert_int_equal(varve_stats_get(log, &stats), 0);
        } while (stats.spares_used < 1 || stats.segments_opened < 2);
        last = varve_last_lsn(log);
        if (clean) {
            assert_int_equal(varve_close(log, NULL), 0);
        } else {
            test_sample_crash(&s, log);
        }
        struct test_verdict v = {.first = first, .sound_last = last, .last = last};
        test_judge_verify(&s, &v);
        test_judge_read_only(&s, &v);
        test_judge_open(&s, &v, VARVE_POLICY_HALT);
        test_sample_close(&s);
    }
}

/* A reader stands in a segment that is trimmed and used again under it: it is told, and gets no other record.
 */
static void test_known__reset_races_with_a_reader(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_cursor *cursor = NULL;
    struct varve_entry entry;
    int rc;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 13);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, NULL), 0);
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    assert_int_equal(varve_trim(log, 13, NULL), 0);
    test_sample_append(&s, log, 20);
    uint64_t lsn = 2;
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        assert_int_equal(entry.lsn, lsn);
        assert_true(test_sample_is(&s, lsn, entry.data, entry.data_bytes));
        lsn++;
    }
    assert_int_equal(rc, VARVE_E_TRIMMED);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* Every write comes short, by any number of bytes: the rest goes where it belongs, and the next one behind.
 */
static void test_known__short_write_goes_on_at_a_wrong_offset(void **state)
{
    (void)state;
    static const size_t bytes[] = {1, 511, 512, 513, 4096, 4097, 5000};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &(struct varve_options){.backend = VARVE_BACKEND_BUFFERED}, 6000);
        int rule = test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                                        .times = 40,
                                                                        .action = TEST_FAULT_SHORT,
                                                                        .bytes = bytes[i]});
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 20), 0);
        assert_true(test_fault_hits(&bed.fault, rule) > 0);
        assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 20);
        check_power_cut(&bed);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

/* Names last: the log's own directory, its files, each new segment, and nothing is renamed unsynced. */
struct naming {
    char dirty[64][64]; /* files that were written and not synced since */
    unsigned dirty_count, renames, wrong;
    bool began;
};

static int naming_hook(void *arg, const struct test_fault_call *call)
{
    struct naming *n = arg;
    unsigned at = 0;
    while (call->name != NULL && at < n->dirty_count && strcmp(n->dirty[at], call->name) != 0) {
        at++;
    }
    switch (call->op) {
    case TEST_OP_CREATE:
    case TEST_OP_WRITE:
    case TEST_OP_ALLOCATE:
        if (at == n->dirty_count && at < 64) {
            (void)strncpy(n->dirty[n->dirty_count++], call->name, 63);
        }
        break;
    case TEST_OP_SYNC:
        if (at < n->dirty_count) {
            memcpy(n->dirty[at], n->dirty[--n->dirty_count], 64);
        }
        break;
    case TEST_OP_RENAME:
        n->renames++;
        n->wrong += at < n->dirty_count;
        break;
    default:
        break;
    }
    return 0;
}

static void test_known__renamed_before_it_is_synced(void **state)
{
    (void)state;
    struct test_bed bed;
    struct naming naming = {.dirty_count = 0};
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 65536, .slot_count = 4}, 60000);
    test_fault_set_hook(&bed.fault, naming_hook, &naming);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log), NULL), 0);
    assert_int_equal(bed_shut(&bed), 0);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    assert_true(naming.renames >= 5);
    assert_int_equal(naming.wrong, 0);
    bed_end(&bed);
}

static void test_known__name_never_synced(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 65536, .slot_count = 4}, 60000);
    for (uint64_t opened = 1; opened < 5; opened++) {
        /* The first record of the log, and then of each segment. */
        do {
            assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
        } while (bed_stats(&bed).segments_opened < opened);
        check_power_cut(&bed);
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* What is written down of how far the log is durable moves with it: frames, marks, MANIFEST. */
static void test_known__written_position_never_advances(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_info info = {.size = sizeof info};
    test_sample_init(&s, 100);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    for (uint64_t lsn = 1; lsn <= 10; lsn++) {
        test_sample_append(&s, log, 1);
        assert_int_equal(varve_durable_lsn(log), lsn);
        test_sample_map(&s);
        assert_int_equal(test_sample_frame_of(&s, lsn)->durable_lsn, lsn - 1);
    }
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_info_get("log", &s.memory.io, &info, NULL), 0);
    assert_int_equal(info.durable_lsn, 10);
    test_sample_close(&s);
}

/* A record is refused before it has an LSN, or it is in the log. */
static void test_known__accepted_and_then_refused(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_record record = {.data_bytes = 0};
    const size_t room = (1 << 20) - 4096 - 64 - 16;
    char *bytes = calloc(1, room + 4096);
    uint64_t lsn = 0, next = 1;
    assert_non_null(bytes);
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 8192, .slot_count = 8}, 100);
    uint64_t most = bed_stats(&bed).record_max;
    assert_true(most <= room);
    for (size_t size = most - 20; size < most + 20; size++) {
        record.data = bytes;
        record.data_bytes = size;
        int rc = varve_append_record(bed.log, &record, VARVE_DURABILITY_DEFAULT, &lsn);
        assert_int_equal(rc, size <= most ? 0 : VARVE_E_TOO_LARGE);
        next += rc == 0;
        assert_int_equal(varve_last_lsn(bed.log), next - 1);
    }
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(varve_last_lsn(bed.log), next - 1);
    assert_int_equal(bed_shut(&bed), 0);
    free(bytes);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known__acknowledged_before_its_sync),
        cmocka_unit_test(test_known__newer_segment_synced_before_the_older),
        cmocka_unit_test(test_known__recovery_runs_past_a_hole),
        cmocka_unit_test(test_known__failed_sync_retried),
        cmocka_unit_test(test_known__success_clears_an_error),
        cmocka_unit_test(test_known__failed_sync_reuses_the_number),
        cmocka_unit_test(test_known__full_queue_drops),
        cmocka_unit_test(test_known__two_rotations_within_a_second),
        cmocka_unit_test(test_known__truncation_and_restart_lose_what_follows),
        cmocka_unit_test(test_known__recycled_record_continues_the_log),
        cmocka_unit_test(test_known__reset_races_with_a_reader),
        cmocka_unit_test(test_known__short_write_goes_on_at_a_wrong_offset),
        cmocka_unit_test(test_known__renamed_before_it_is_synced),
        cmocka_unit_test(test_known__name_never_synced),
        cmocka_unit_test(test_known__written_position_never_advances),
        cmocka_unit_test(test_known__accepted_and_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
