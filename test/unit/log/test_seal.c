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

#include "format/record.h"
#include "lib/bed.h"

#include "varve/inspect.h"

static void *append_some(void *arg)
{
    struct test_bed *bed = arg;
    return test_ledger_fill(&bed->ledger, bed->log, 20) != 0 ? bed : NULL;
}

/* With a window, a leader waits for company; without, one record is one frame. */
static void test_seal__group_wait(void **state)
{
    (void)state;
    struct test_bed bed;
    pthread_t threads[8];
    void *failed;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){.group_wait_us = 20000, .mark_idle_ms = 3600000, .writes_in_flight = 1},
              100);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, append_some, &bed), 0);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    /* 160 records; each round of 8 is likely to be one frame, and never more than 8 are. */
    assert_true(bed_stats(&bed).frames < 100);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_seal__claimed_once(void **state)
{
    (void)state;
    struct vv_slot slot = {.leader = vv_leader_word(7, VV_LEADER_NONE)};
    assert_false(vv_seal_claim(&slot, 6));
    assert_false(vv_seal_claim(&slot, 8));
    assert_true(vv_seal_claim(&slot, 7));
    assert_false(vv_seal_claim(&slot, 7));
}

/* The disk stands still under the first frame, and the second one's leader is appointed. Once the first is
 * done, one thread leads the second. */
static void *append_x(void *arg)
{
    struct test_bed *bed = arg;
    return varve_append(bed->log, "x", 1, NULL) == 0 ? NULL : bed;
}

static void test_seal__appointed_until_its_turn(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_WRITE_DSYNC};
    pthread_t threads[2];
    void *failed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.writes_in_flight = 1, .mark_idle_ms = UINT32_MAX},
              100);
    assert_null(append_x(&bed)); /* from here on a slot is open */
    uint64_t seq = atomic_load(&bed.log->open_seq) + 1;
    struct vv_slot *next = vv_slot_at(bed.log, seq);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
    assert_int_equal(pthread_create(&threads[0], NULL, append_x, &bed), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    assert_int_equal(pthread_create(&threads[1], NULL, append_x, &bed), 0);
    BED_UNTIL(atomic_load(&next->leader) == vv_leader_word(seq, VV_LEADER_APPOINTED));
    BED_UNTIL(atomic_load(&next->turn_waits) == 1);
    /* Not its turn. */
    assert_false(vv_seal_relieve(bed.log, next, seq));
    atomic_store(&gate.shut, 0);
    BED_UNTIL(varve_durable_lsn(bed.log) == 3);
    assert_int_equal(atomic_load(&next->leader), vv_leader_word(seq, VV_LEADER_LEADS));
    assert_false(vv_seal_relieve(bed.log, next, seq));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* Whoever is awake leads, when it is the slot's turn, in place of the one appointed. */
static void test_seal__relieved(void **state)
{
    (void)state;
    static const struct varve_record record = {.data = "x", .data_bytes = 1};
    struct test_bed bed;
    struct vv_reservation r;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = UINT32_MAX}, 100);
    assert_int_equal(vv_reserve_take(bed.log, vv_record_bytes(1, 0), 1, VV_RESERVE_SHARED, 1, &r), 0);
    vv_encode_record(bed.log, r.slot, r.offset, r.lsn, &record, 1, 1);
    vv_encode_filled(r.slot, 1);
    assert_false(vv_seal_relieve(bed.log, r.slot, r.seq)); /* nobody is appointed */
    assert_true(vv_seal_claim(r.slot, r.seq));
    assert_false(vv_seal_relieve(bed.log, r.slot, r.seq + 1)); /* another life */
    assert_true(vv_seal_relieve(bed.log, r.slot, r.seq));
    assert_int_equal(varve_durable_lsn(bed.log), r.lsn);
    /* The appointed one, when it wakes: there is nothing left to do. */
    vv_seal_lead(bed.log, r.slot, r.seq);
    assert_int_equal(bed_stats(&bed).frames, 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* One that was appointed and relieved wakes when the slot is in its next life, which another is to lead. */
static void test_seal__wakes_in_another_life(void **state)
{
    (void)state;
    static const struct varve_record record = {.data = "x", .data_bytes = 1};
    struct test_bed bed;
    struct vv_reservation r[2];
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_count = 4, .mark_idle_ms = UINT32_MAX}, 100);
    for (unsigned life = 0; life < 2; life++) {
        while (life == 1 && vv_slot_at(bed.log, atomic_load(&bed.log->open_seq)) != r[0].slot) {
            assert_int_equal(varve_append(bed.log, "x", 1, NULL), 0);
        }
        assert_int_equal(vv_reserve_take(bed.log, vv_record_bytes(1, 0), 1, VV_RESERVE_SHARED, 1, &r[life]),
                         0);
        vv_encode_record(bed.log, r[life].slot, r[life].offset, r[life].lsn, &record, 1, 1);
        vv_encode_filled(r[life].slot, 1);
        assert_true(vv_seal_claim(r[life].slot, r[life].seq));
        if (life == 0) {
            assert_true(vv_seal_relieve(bed.log, r[0].slot, r[0].seq));
        }
    }
    assert_ptr_equal(r[0].slot, r[1].slot);
    vv_seal_lead(bed.log, r[0].slot, r[0].seq);
    assert_int_equal(varve_durable_lsn(bed.log), r[1].lsn - 1);
    vv_seal_lead(bed.log, r[1].slot, r[1].seq);
    assert_int_equal(varve_durable_lsn(bed.log), r[1].lsn);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void *append_one(void *arg)
{
    struct test_bed *bed = arg;
    return test_ledger_fill(&bed->ledger, bed->log, 1) != 0 ? bed : NULL;
}

/* A record that has its place and is not copied there yet: the frame waits for it. */
static void test_seal__waits_for_the_last_copy(void **state)
{
    (void)state;
    struct test_bed bed;
    struct vv_reservation r;
    unsigned char payload[100];
    size_t bytes;
    pthread_t thread;
    void *failed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 3600000, .writes_in_flight = 1}, 100);
    uint64_t before = test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC);
    uint64_t id = test_ledger_offer(&bed.ledger, payload, &bytes), now_us = vv_log_now_us(bed.log);
    const struct varve_record record = {.data = payload, .data_bytes = bytes, .type = (uint8_t)id};
    assert_int_equal(
        vv_reserve_take(bed.log, vv_record_bytes(bytes, false), 1, VV_RESERVE_SHARED, now_us, &r), 0);
    assert_int_equal(pthread_create(&thread, NULL, append_one, &bed), 0);
    BED_UNTIL(atomic_load(&r.slot->leader_waits) || varve_durable_lsn(bed.log) != 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_WRITE_DSYNC), before);
    vv_encode_record(bed.log, r.slot, r.offset, r.lsn, &record, bytes, now_us);
    vv_encode_filled(r.slot, 1);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(varve_durable_lsn(bed.log), 2);
    test_ledger_ack(&bed.ledger, r.lsn, id);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

struct frames {
    unsigned count;
    uint64_t records, next_lsn, time_us, durable;
    bool sound;
};

static int see_frame(void *arg, const struct varve_frame_info *frame)
{
    struct frames *frames = arg;
    frames->sound &= frame->state == VARVE_FRAME_SOUND && frame->first_lsn == frames->next_lsn &&
                     frame->durable_lsn < frame->first_lsn + (frame->records == 0) &&
                     frame->time_us >= frames->time_us && frame->frame_bytes % 512 == 0 &&
                     frame->codec == 0 && frame->flags == 0 && frame->stored_bytes == frame->raw_bytes &&
                     frame->frame_bytes - 64 - frame->raw_bytes < 512;
    frames->next_lsn += frame->records;
    frames->records += frame->records;
    frames->time_us = frame->time_us;
    /* With several writes in flight a later frame may have been sealed earlier, and say less. */
    frames->durable = frame->durable_lsn > frames->durable ? frame->durable_lsn : frames->durable;
    frames->count++;
    return 0;
}

static int see_record(void *arg, const struct varve_record_info *record)
{
    struct frames *frames = arg;
    frames->sound &= record->sound && record->time_us >= frames->time_us && record->offset % 8 == 0;
    return 0;
}

/* What stands in the headers, as it is read back. */
static void test_seal__headers(void **state)
{
    (void)state;
    struct test_bed bed;
    struct frames frames = {.next_lsn = 1, .sound = true};
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = &frames, .frame = see_frame, .record = see_record};
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.writes_in_flight = 4, .slot_bytes = 4096}, 9000);
    assert_int_equal(bed_crowd(&bed, 6, 30), 0);
    BED_UNTIL(atomic_load(&bed.log->vouched_lsn) == 180);
    uint64_t expected = bed_stats(&bed).frames + bed_stats(&bed).marks;
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(varve_inspect("log", &bed.memory.io, &visitor, NULL), 0);
    assert_true(frames.sound);
    assert_int_equal(frames.records, 180);
    assert_int_equal(frames.count, expected);
    assert_int_equal(frames.durable, 180);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal__group_wait),
        cmocka_unit_test(test_seal__claimed_once),
        cmocka_unit_test(test_seal__appointed_until_its_turn),
        cmocka_unit_test(test_seal__relieved),
        cmocka_unit_test(test_seal__wakes_in_another_life),
        cmocka_unit_test(test_seal__waits_for_the_last_copy),
        cmocka_unit_test(test_seal__headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
