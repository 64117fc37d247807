/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fixed story (open a new log, append, rotate, trim, close, open again, append, close) in which one call of
 * the system fails, or one allocation: the first, the second, and so on to the last. After each story the log
 * opens, also after a power cut, and holds all that was acknowledged and nothing else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"

struct story {
    struct test_bed bed;
    bool failed; /* a call said so */
};

/* Opens it if it can be. A failure must name the path and leave nothing open. */
static bool story_open(struct story *story)
{
    struct test_bed *bed = &story->bed;
    bed->log = NULL;
    if (bed_open(bed) == 0) {
        return true;
    }
    story->failed = true;
    assert_null(bed->log);
    assert_string_not_equal(bed->error.message, "?");
    assert_int_equal(atomic_load(&bed->fault.open_files), 0);
    assert_int_equal(atomic_load(&bed->fault.open_dirs), 0);
    return false;
}

static void story_append(struct story *story, unsigned count)
{
    struct test_bed *bed = &story->bed;
    for (unsigned i = 0; i < count; i++) {
        /* The buffered modes promise nothing before a sync: there every record asks for it. */
        enum varve_durability durability =
            bed->options.durability == VARVE_STRICT ? VARVE_STRICT : VARVE_GROUP;
        story->failed |= test_ledger_append(&bed->ledger, bed->log, durability, NULL) != 0;
    }
}

/* Two lives of a log that rotates about three times. */
static void story_tell(struct story *story)
{
    struct test_bed *bed = &story->bed;
    for (int life = 0; life < 2; life++) {
        if (!story_open(story)) {
            continue;
        }
        story_append(story, 6);
        uint64_t last = varve_durable_lsn(bed->log);
        story_append(story, 6);
        story->failed |= varve_trim(bed->log, last, NULL) != 0;
        story_append(story, 4);
        story->failed |= varve_sync(bed->log) != 0;
        story->failed |= bed_shut(bed) != 0;
    }
}

static const struct varve_options small = {
    .slot_bytes = 65536, .slot_count = 4, .mark_idle_ms = 3600000, .retry_count = 2, .spare_segments = 1};

/* `step`: 1 = each call fails once, 3 = each third one. */
static void calls_fail(enum varve_durability durability, enum varve_backend backend, int error,
                       size_t bytes_max, long step)
{
    unsigned told = 0, silent = 0;
    for (long n = 0;; n += step) {
        struct story story = {.failed = false};
        struct varve_options options = small;
        options.durability = durability;
        options.backend = backend;
        bed_init(&story.bed, BED_MEMORY, &options, bytes_max);
        story.bed.ledger.bytes_min = bytes_max / 2;
        test_fault_fail_after(&story.bed.fault, n, error);
        story_tell(&story);
        bool over = test_fault_left(&story.bed.fault) >= 0;
        bed_check(&story.bed);
        bed_end(&story.bed);
        if (over) {
            assert_false(story.failed);
            break;
        }
        told += story.failed;
        silent += !story.failed;
    }
    /* Some are for the caller to know of, some are mended. */
    print_message("%u calls failed and were told of, %u were mended\n", told, silent);
    assert_true(told > 10);
    assert_true(silent > 5);
}

static void test_countdown__group(void **state)
{
    (void)state;
    calls_fail(VARVE_GROUP, VARVE_BACKEND_DIRECT, EIO, 300000, 1);
    calls_fail(VARVE_GROUP, VARVE_BACKEND_AUTO, ENOSPC, 300000, 3);
}

static void test_countdown__small_records(void **state)
{
    (void)state;
    calls_fail(VARVE_GROUP, VARVE_BACKEND_BUFFERED, EIO, 300, 2);
}

static void test_countdown__buffered(void **state)
{
    (void)state;
    calls_fail(VARVE_BUFFERED, VARVE_BACKEND_BUFFERED, EIO, 300000, 3);
    calls_fail(VARVE_BUFFERED, VARVE_BACKEND_BUFFERED, EIO, 300, 3);
}

static void test_countdown__interval(void **state)
{
    (void)state;
    calls_fail(VARVE_INTERVAL, VARVE_BACKEND_DIRECT, ENXIO, 300000, 3);
}

static void test_countdown__strict(void **state)
{
    (void)state;
    calls_fail(VARVE_STRICT, VARVE_BACKEND_DIRECT, EROFS, 300000, 3);
}

static void test_countdown__allocations(void **state)
{
    (void)state;
    unsigned told = 0;
    for (long n = 0;; n++) {
        struct story story = {.failed = false};
        bed_init(&story.bed, BED_MEMORY, &small, 300000);
        story.bed.ledger.bytes_min = 150000;
        vv_alloc_fail_after(n);
        story_tell(&story);
        bool over = vv_alloc_fail_left() >= 0;
        vv_alloc_fail_after(-1);
        bed_check(&story.bed);
        bed_end(&story.bed);
        if (over) {
            assert_false(story.failed);
            break;
        }
        told += story.failed;
    }
    print_message("%u allocations failed and were told of\n", told);
    assert_true(told > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_countdown__group),    cmocka_unit_test(test_countdown__small_records),
        cmocka_unit_test(test_countdown__buffered), cmocka_unit_test(test_countdown__interval),
        cmocka_unit_test(test_countdown__strict),   cmocka_unit_test(test_countdown__allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
