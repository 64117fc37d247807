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

#include "varve/inspect.h"

struct layout {
    uint64_t segment, offset, end, base_lsn, next_lsn;
    unsigned segments, starts;
    bool sound;
};

static int layout_segment(void *arg, const struct varve_segment_info *segment)
{
    struct layout *layout = arg;
    if (segment->state == VARVE_SEGMENT_EMPTY) {
        return 0;
    }
    layout->sound &= segment->state == VARVE_SEGMENT_SOUND && segment->number > layout->segment &&
                     segment->base_lsn == layout->next_lsn;
    layout->segment = segment->number;
    layout->end = 4096;
    layout->segments++;
    return 0;
}

/* Frames follow each other without a gap, on sectors. */
static int layout_frame(void *arg, const struct varve_frame_info *frame)
{
    struct layout *layout = arg;
    layout->sound &= frame->state == VARVE_FRAME_SOUND && frame->segment == layout->segment &&
                     frame->offset == layout->end && frame->offset % 512 == 0 &&
                     frame->first_lsn == layout->next_lsn && frame->durable_lsn < frame->first_lsn;
    layout->end = frame->offset + frame->frame_bytes;
    layout->next_lsn += frame->records;
    return 0;
}

static void check_layout(struct test_bed *bed, uint64_t last, unsigned segments)
{
    struct layout layout = {.next_lsn = 1, .sound = true};
    const struct varve_visitor visitor = {
        .size = sizeof visitor, .arg = &layout, .segment = layout_segment, .frame = layout_frame};
    assert_int_equal(varve_inspect(bed->path, bed->options.io, &visitor, NULL), 0);
    assert_true(layout.sound);
    assert_int_equal(layout.next_lsn, last + 1);
    assert_true(layout.segments >= segments);
}

static void rotate(int where, const struct varve_options *options, size_t bytes_max, unsigned threads,
                   unsigned count, unsigned segments)
{
    struct test_bed bed;
    bed_start(&bed, where, options, bytes_max);
    assert_int_equal(bed_crowd(&bed, threads, count), 0);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), threads * count);
    assert_true(bed_stats(&bed).segments_opened >= segments);
    assert_int_equal(bed_shut(&bed), 0);
    check_layout(&bed, threads * count, segments);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_place__many_segments(void **state)
{
    (void)state;
    for (uint32_t flying = 1; flying <= 8; flying *= 2) {
        rotate(BED_MEMORY,
               &(struct varve_options){.slot_bytes = 16384, .writes_in_flight = flying, .mark_idle_ms = 1},
               12000, 8, 150, 7);
    }
    rotate(BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .durability = VARVE_BUFFERED}, 12000, 4,
           300, 6);
    rotate(BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .durability = VARVE_STRICT}, 12000, 4,
           200, 4);
    rotate(BED_MEMORY,
           &(struct varve_options){
               .slot_bytes = 16384, .durability = VARVE_INTERVAL, .sync_interval_ms = 1, .mark_idle_ms = 1},
           12000, 4, 300, 6);
}

/* Records from nothing to nearly a segment, among each other. */
static void test_place__large_records(void **state)
{
    (void)state;
    for (uint32_t flying = 1; flying <= 4; flying *= 4) {
        rotate(BED_MEMORY, &(struct varve_options){.slot_bytes = 8192, .writes_in_flight = flying}, 1000000,
               4, 12, 20);
        rotate(BED_MEMORY,
               &(struct varve_options){
                   .slot_bytes = 8192, .writes_in_flight = flying, .durability = VARVE_BUFFERED},
               40000, 4, 100, 7);
    }
}

static void test_place__backends(void **state)
{
    (void)state;
    static const enum varve_backend backends[] = {VARVE_BACKEND_AUTO, VARVE_BACKEND_BUFFERED,
                                                  VARVE_BACKEND_DIRECT};
    for (unsigned i = 0; i < 3; i++) {
        struct test_bed bed;
        bed_init(&bed, BED_DISK, &(struct varve_options){.backend = backends[i]}, 100);
        int rc = bed_open(&bed);
        if (rc == VARVE_E_UNSUPPORTED && backends[i] == VARVE_BACKEND_DIRECT) {
            print_message("no direct I/O here\n");
            bed_end(&bed);
            continue;
        }
        assert_int_equal(rc, 0);
        bool direct = bed_stats(&bed).backend == VARVE_BACKEND_DIRECT;
        assert_true(i == 0 || direct == (i == 2));
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
        rotate(BED_DISK, &(struct varve_options){.backend = backends[i], .writes_in_flight = 2}, 20000, 4, 60,
               2);
        rotate(BED_DISK, &(struct varve_options){.backend = backends[i], .durability = VARVE_BUFFERED}, 20000,
               2, 200, 3);
        rotate(BED_DISK, &(struct varve_options){.backend = backends[i], .sector_bytes = 4096}, 200000, 2, 20,
               2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place__many_segments),
        cmocka_unit_test(test_place__large_records),
        cmocka_unit_test(test_place__backends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
