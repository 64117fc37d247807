/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "log/prepare.h"
#include "varve/inspect.h"

/* Where each record stands, and its checksum, which does not depend on the segment. */
struct copies {
    uint64_t lsn;
    unsigned sound, superseded;
    uint32_t crc[4];
    uint64_t segment[4];
    enum varve_frame_state state; /* of the frame being walked */
    uint64_t current;
};

static int copies_frame(void *arg, const struct varve_frame_info *frame)
{
    struct copies *copies = arg;
    copies->state = frame->state;
    copies->current = frame->segment;
    return 0;
}

static int copies_record(void *arg, const struct varve_record_info *record)
{
    struct copies *copies = arg;
    unsigned n = copies->sound + copies->superseded;
    if (record->lsn != copies->lsn || !record->sound || n == 4) {
        return 0;
    }
    copies->crc[n] = record->crc_stored;
    copies->segment[n] = copies->current;
    copies->sound += copies->state == VARVE_FRAME_SOUND;
    copies->superseded += copies->state == VARVE_FRAME_SUPERSEDED;
    return 0;
}

static struct copies find_copies(struct varve_io *io, uint64_t lsn)
{
    struct copies copies = {.lsn = lsn};
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = &copies, .frame = copies_frame, .record = copies_record};
    struct varve_error error = {.message = "?"};
    if (varve_inspect("log", io, &visitor, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return copies;
}

/* The write arrives, its sync is said to have failed: both copies are on disk, the second one counts. */
static void test_move__single_thread(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 3600000}, 300);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC,
                                                         .prefix = "new-",
                                                         .action = TEST_FAULT_PARTIAL,
                                                         .bytes = SIZE_MAX});
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    assert_int_equal(bed_stats(&bed).moves, 1);
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    assert_int_equal(varve_durable_lsn(bed.log), 20);
    struct copies copies = find_copies(&bed.memory.io, 11);
    assert_int_equal(copies.sound, 1);
    assert_int_equal(copies.superseded, 1);
    assert_int_equal(copies.crc[0], copies.crc[1]);
    assert_int_equal(copies.segment[0], 1);
    assert_int_equal(copies.segment[1], 2);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Nothing is written or synced through the failed file any more. */
static int refuse_first_segment(void *arg, const struct test_fault_call *call)
{
    _Atomic long *touched = arg;
    if ((call->op == TEST_OP_WRITE_DSYNC || call->op == TEST_OP_WRITE || call->op == TEST_OP_SYNC) &&
        strcmp(call->name, "new-0000000000000001.tmp") == 0) {
        atomic_fetch_add(touched, 1);
        return -EIO;
    }
    return 0;
}

static void test_move__failed_file_is_left_alone(void **state)
{
    (void)state;
    struct test_bed bed;
    _Atomic long touched = 0;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 1}, 300);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    test_fault_set_hook(&bed.fault, refuse_first_segment, &touched);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 50), 0);
    assert_int_equal(bed_shut(&bed), 0);
    /* A mark may have been the one to fail. */
    assert_int_equal(touched, 1);
    test_fault_set_hook(&bed.fault, NULL, NULL);
    bed_check(&bed);
    bed_end(&bed);
}

/* There was no space for the next segment, and now there is: whoever moves has one made, and does not take
 * the last try's word for it. */
static void test_move__space_is_asked_for_again(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000}, 15000);
    test_memory_set_space(&bed.memory, 1 << 20);
    do {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    } while (atomic_load(&bed.log->room_bytes) >= vv_prepare_threshold(bed.log));
    BED_UNTIL(atomic_load(&bed.log->space_error) == VARVE_E_NOSPC);
    test_memory_set_space(&bed.memory, UINT64_MAX);
    test_fault_fail_once(&bed.fault, TEST_OP_WRITE_DSYNC, 0, EIO);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    assert_int_equal(bed_stats(&bed).moves, 1);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Nor does it hang where there is none. */
static void test_move__no_space(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000}, 15000);
    test_memory_set_space(&bed.memory, 1 << 20);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    test_fault_fail_once(&bed.fault, TEST_OP_WRITE_DSYNC, 0, EIO);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), VARVE_E_SYNC);
    assert_int_equal(varve_error_first(bed.log, NULL), VARVE_E_SYNC);
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    test_memory_set_space(&bed.memory, UINT64_MAX);
    bed_check(&bed);
    bed_end(&bed);
}

/* Every so many writes one fails, by turns before and after the bytes arrived. */
static void move_often(const struct varve_options *options, size_t bytes_max, unsigned threads,
                       unsigned count, long every)
{
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, options, bytes_max);
    for (int i = 0; i < 8; i++) {
        test_fault_arm(&bed.fault,
                       &(struct test_fault_rule){
                           .op = options->durability == VARVE_BUFFERED ? TEST_OP_SYNC : TEST_OP_WRITE_DSYNC,
                           .prefix = "new-",
                           .after = 3 + every * (i + 1),
                           .action = i % 2 == 0 ? TEST_FAULT_PARTIAL : TEST_FAULT_FAIL,
                           .bytes = i % 4 == 0 ? SIZE_MAX : 512});
    }
    assert_int_equal(bed_crowd(&bed, threads, count), 0);
    assert_true(bed_stats(&bed).moves >= 3);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    assert_int_equal(bed.ledger.acked_count, (uint64_t)threads * count);
    test_ledger_check(&bed.ledger, bed.log);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_move__eight_threads(void **state)
{
    (void)state;
    move_often(&(struct varve_options){.slot_bytes = 4096}, 300, 8, 200, 20);
}

static void test_move__four_writes_in_flight(void **state)
{
    (void)state;
    move_often(&(struct varve_options){.slot_bytes = 4096, .writes_in_flight = 4}, 300, 8, 200, 20);
}

static void test_move__strict(void **state)
{
    (void)state;
    move_often(&(struct varve_options){.slot_bytes = 4096, .durability = VARVE_STRICT, .writes_in_flight = 4},
               300, 4, 100, 20);
}

static void test_move__large_records(void **state)
{
    (void)state;
    /* The large ones end with a sync of their own. */
    move_often(&(struct varve_options){.slot_bytes = 4096, .writes_in_flight = 2}, 9000, 4, 100, 5);
}

static void test_move__buffered(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.slot_bytes = 4096,
                                      .durability = VARVE_BUFFERED,
                                      .backend = VARVE_BACKEND_BUFFERED,
                                      .sync_bytes = 20000},
              300);
    /* About six frames are written and not synced when the sync fails. */
    for (int round = 0; round < 5; round++) {
        test_fault_disarm(&bed.fault);
        test_fault_arm(&bed.fault,
                       &(struct test_fault_rule){.op = TEST_OP_SYNC, .prefix = "new-", .after = 1});
        for (int i = 0; i < 300; i++) {
            assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
        }
        assert_int_equal(varve_sync(bed.log), 0);
    }
    assert_true(bed_stats(&bed).moves >= 1);
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    test_ledger_check(&bed.ledger, bed.log);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move__single_thread),
        cmocka_unit_test(test_move__failed_file_is_left_alone),
        cmocka_unit_test(test_move__space_is_asked_for_again),
        cmocka_unit_test(test_move__no_space),
        cmocka_unit_test(test_move__eight_threads),
        cmocka_unit_test(test_move__four_writes_in_flight),
        cmocka_unit_test(test_move__strict),
        cmocka_unit_test(test_move__large_records),
        cmocka_unit_test(test_move__buffered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
