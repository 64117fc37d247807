/* SPDX-License-Identifier: Apache-2.0 */
/* Cursors on a sound log: where they can be put, what they give, and when they wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/sample.h"

static struct varve_cursor *cursor_on(struct varve_log *log, enum varve_policy policy)
{
    struct varve_cursor *cursor = NULL;
    struct varve_error error = {0};
    if (varve_cursor_open(log, policy, &cursor, &error) != 0) {
        fail_msg("cursor: %s", error.message);
    }
    return cursor;
}

static void expect(struct test_sample *s, struct varve_cursor *cursor, uint64_t lsn)
{
    struct varve_entry entry;
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    assert_int_equal(entry.lsn, lsn);
    assert_true(test_sample_is(s, lsn, entry.data, entry.data_bytes));
}

static void expect_end(struct varve_cursor *cursor)
{
    struct varve_entry entry;
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
    assert_int_equal(varve_cursor_verdict(cursor), VARVE_VERDICT_CLEAN_END);
}

/* Every position, in the writer's process and beside it. */
static void test_cursor__seek_lsn(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE), *reader = NULL;
    test_sample_append(&s, log, 14);
    for (int beside = 0; beside < 2; beside++) {
        if (beside) {
            assert_int_equal(varve_close(log, NULL), 0);
            assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, VARVE_OPEN_READ_ONLY, &reader, NULL),
                             0);
        }
        struct varve_cursor *cursor = cursor_on(beside ? reader : log, VARVE_POLICY_HALT);
        for (uint64_t lsn = 0; lsn <= 14; lsn++) {
            assert_int_equal(varve_cursor_seek_lsn(cursor, lsn), 0);
            for (uint64_t at = lsn != 0 ? lsn : 1; at <= 14; at++) {
                expect(&s, cursor, at);
            }
            expect_end(cursor);
        }
        for (uint64_t lsn = 15; lsn < 20; lsn++) {
            assert_int_equal(varve_cursor_seek_lsn(cursor, lsn), 0);
            expect_end(cursor);
        }
        assert_int_equal(varve_cursor_seek_lsn(cursor, UINT64_MAX), 0);
        expect_end(cursor);
        varve_cursor_close(cursor);
    }
    assert_int_equal(varve_close(reader, NULL), 0);
    test_sample_close(&s);
}

/* An LSN that is not given yet: the cursor waits for just that one. */
static void test_cursor__seek_beyond_the_end(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    struct varve_entry entry;
    test_sample_append(&s, log, 3);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 6), 0);
    expect_end(cursor);
    test_sample_append(&s, log, 2);
    expect_end(cursor);
    assert_int_equal(varve_cursor_follow(cursor, 5, &entry), VARVE_END);
    test_sample_append(&s, log, 2);
    assert_int_equal(varve_cursor_follow(cursor, 5, &entry), 0);
    assert_int_equal(entry.lsn, 6);
    expect(&s, cursor, 7);
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void test_cursor__trimmed(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_entry entry;
    struct varve_error error = {0};
    uint64_t first = 0;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 23);
    struct varve_cursor *slow = cursor_on(log, VARVE_POLICY_TRUNCATE);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    expect(&s, slow, 1);
    assert_int_equal(varve_trim(log, 18, &first), 0);
    assert_int_equal(first, 16);
    /* One that stands in what is gone is told so, or reads on what it holds: never anything else. */
    uint64_t lsn = 2;
    int rc;
    while ((rc = varve_cursor_next(slow, &entry)) == 0) {
        assert_int_equal(entry.lsn, lsn);
        assert_true(test_sample_is(&s, lsn, entry.data, entry.data_bytes));
        lsn++;
    }
    assert_int_equal(rc, VARVE_E_TRIMMED);
    assert_true(lsn < 16);
    assert_int_equal(varve_cursor_next(slow, &entry), VARVE_E_TRIMMED);
    varve_cursor_error(slow, &error);
    assert_int_equal(error.code, VARVE_E_TRIMMED);
    assert_int_equal(varve_cursor_seek_lsn(slow, first), 0);
    expect(&s, slow, 16);
    /* One that was opened before and had not begun is moved to the beginning that there is, by seeking. */
    assert_int_equal(varve_cursor_seek_lsn(cursor, 15), VARVE_E_TRIMMED);
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_E_TRIMMED);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 0), 0);
    for (lsn = 16; lsn <= 23; lsn++) {
        expect(&s, cursor, lsn);
    }
    expect_end(cursor);
    varve_cursor_close(slow);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* The file that a slow cursor stands in has begun another life meanwhile. */
/* A segment in which nothing was ever acknowledged goes with the next trim, also one that asks for no record
 * to be gone. A cursor that still has it in its list is at the log's beginning, and nothing was trimmed
 * there. */
static void test_cursor__trimmed_before_its_place(void **state)
{
    (void)state;
    struct test_sample s;
    uint64_t first = 0;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 1, false);
    test_sample_flip(&s, 1, 4096 + 64 + 20, 0);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_last_lsn(log), 0);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    test_sample_next_life(&s, 1);
    test_sample_append(&s, log, 2);
    assert_true(test_sample_has(&s, "wal-0000000000000001.seg"));
    assert_int_equal(varve_trim(log, 1, &first), 0);
    assert_int_equal(first, 1);
    assert_false(test_sample_has(&s, "wal-0000000000000001.seg"));
    expect(&s, cursor, 1);
    expect(&s, cursor, 2);
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* The same where the segment held records, but none that the cursor is to give. */
static void test_cursor__trimmed_on_its_way(void **state)
{
    (void)state;
    struct test_sample s;
    uint64_t first = 0;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 5);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 7), 0);
    test_sample_append(&s, log, 5);
    assert_int_equal(varve_trim(log, 7, &first), 0);
    assert_int_equal(first, 6);
    for (uint64_t lsn = 7; lsn <= 10; lsn++) {
        expect(&s, cursor, lsn);
    }
    expect_end(cursor);
    /* But what was to be given and is gone is said to be. */
    struct varve_entry entry;
    assert_int_equal(varve_cursor_seek_lsn(cursor, 12), 0);
    test_sample_append(&s, log, 6);
    assert_int_equal(varve_trim(log, 16, &first), 0);
    assert_int_equal(first, 16);
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_E_TRIMMED);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void test_cursor__recycled_under_it(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_entry entry;
    uint64_t first;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 13);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_SKIP);
    expect(&s, cursor, 1);
    assert_int_equal(varve_trim(log, 13, &first), 0);
    test_sample_append(&s, log, 20);
    uint64_t lsn = 2;
    int rc;
    while ((rc = varve_cursor_next(cursor, &entry)) == 0 && entry.lsn == lsn) {
        assert_true(test_sample_is(&s, lsn, entry.data, entry.data_bytes));
        lsn++;
    }
    assert_int_equal(rc, VARVE_E_TRIMMED);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* What is not durable is not given, in a mode that syncs when it is asked to. */
static void test_cursor__never_past_durable(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_entry entry;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    s.options.durability = VARVE_BUFFERED;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 5);
    uint64_t given = 0;
    while (varve_cursor_next(cursor, &entry) == 0) {
        given = entry.lsn;
    }
    assert_true(given <= varve_durable_lsn(log));
    assert_int_equal(varve_sync(log), 0);
    while (varve_cursor_next(cursor, &entry) == 0) {
        assert_int_equal(entry.lsn, ++given);
    }
    assert_int_equal(given, 5);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* Beside a writer, here a second handle, a reader goes as far as something vouches for. */
static void test_cursor__beside_a_writer(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_log *reader = NULL;
    struct varve_entry entry;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 4);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, VARVE_OPEN_READ_ONLY, &reader, NULL), 0);
    assert_int_equal(varve_durable_lsn(reader), 3);
    struct varve_cursor *cursor = cursor_on(reader, VARVE_POLICY_HALT);
    for (uint64_t lsn = 1; lsn <= 3; lsn++) {
        expect(&s, cursor, lsn);
    }
    expect_end(cursor);
    assert_int_equal(varve_cursor_follow(cursor, 5, &entry), VARVE_END);
    test_sample_append(&s, log, 1);
    assert_int_equal(varve_cursor_follow(cursor, 1000, &entry), 0);
    assert_int_equal(entry.lsn, 4);
    expect_end(cursor);
    /* It follows into segments that did not exist when it was opened. */
    s.record_bytes = TEST_SAMPLE_BIG;
    test_sample_append(&s, log, 12);
    s.record_bytes = TEST_SAMPLE_SMALL;
    expect(&s, cursor, 5);
    s.record_bytes = TEST_SAMPLE_BIG;
    for (uint64_t lsn = 6; lsn < 17; lsn++) {
        expect(&s, cursor, lsn);
    }
    expect_end(cursor);
    /* The writer is gone: what is sound is the log. */
    assert_int_equal(varve_close(log, NULL), 0);
    expect(&s, cursor, 17);
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(reader, NULL), 0);
    test_sample_close(&s);
}

/* The writer comes when the cursor stands in the middle of a log that nobody had open: from then on it gives
 * what is vouched for, and no more. */
static void test_cursor__before_a_writer(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_log *reader = NULL;
    test_sample_make(&s, TEST_SAMPLE_BIG, 3, true);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, VARVE_OPEN_READ_ONLY, &reader, NULL), 0);
    struct varve_cursor *cursor = cursor_on(reader, VARVE_POLICY_HALT);
    expect(&s, cursor, 1);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 1);
    expect(&s, cursor, 2);
    expect(&s, cursor, 3);
    expect_end(cursor);
    test_sample_append(&s, log, 1);
    expect(&s, cursor, 4);
    expect_end(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    expect(&s, cursor, 5);
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(reader, NULL), 0);
    test_sample_close(&s);
}

/* A write under way is not a tear, under no policy: here it is half of a frame that nobody vouches for. */
static void test_cursor__write_under_way(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_log *reader = NULL;
    test_sample_init(&s, 3000);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 1);
    test_sample_map(&s);
    uint64_t offset = test_sample_frame_of(&s, 1)->offset;
    test_sample_zero(&s, 1, offset + 512, 512);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_HALT, VARVE_OPEN_READ_ONLY, &reader, NULL), 0);
    struct varve_cursor *cursor = cursor_on(reader, VARVE_POLICY_HALT);
    struct varve_entry entry;
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
    assert_int_equal(varve_cursor_follow(cursor, 5, &entry), VARVE_END);
    assert_int_equal(varve_close(log, NULL), 0);
    /* The writer is gone, and what it left is no clean end. */
    assert_true(varve_cursor_next(cursor, &entry) < 0);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(reader, NULL), 0);
    test_sample_close(&s);
}

static void test_cursor__several_at_once(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_cursor *cursors[4];
    test_sample_make(&s, 3000, 40, true);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    for (unsigned i = 0; i < 4; i++) {
        cursors[i] = cursor_on(log, VARVE_POLICY_TRUNCATE);
        assert_int_equal(varve_cursor_seek_lsn(cursors[i], 1 + 5 * i), 0);
    }
    for (uint64_t lsn = 1; lsn <= 25; lsn++) {
        for (unsigned i = 0; i < 4; i++) {
            expect(&s, cursors[i], lsn + 5 * i);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        varve_cursor_close(cursors[i]);
    }
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void append_size(struct test_sample *s, struct varve_log *log, size_t bytes)
{
    s->record_bytes = bytes;
    test_sample_append(s, log, 1);
}

/* From nothing to the largest record there can be; some larger than what a cursor holds at once. */
static void test_cursor__sizes(void **state)
{
    (void)state;
    static const size_t small[] = {0, 1, 7, 8, 9, 431, 432, 433, 4095, 32767, 32768, 32769, 1000000};
    static const size_t large[] = {1048575, 1048576 - 80, 1048576, 1048577, 3000000, 0, 5};
    struct test_sample s;
    size_t sizes[32], count = 0;
    test_sample_init(&s, 0);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    struct varve_stats stats = {.size = sizeof stats};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        append_size(&s, log, sizes[count++] = small[i]);
    }
    assert_int_equal(varve_stats_get(log, &stats), 0);
    append_size(&s, log, sizes[count++] = stats.record_max);
    assert_int_equal(varve_append(log, sizes, (size_t)stats.record_max + 1, NULL), VARVE_E_TOO_LARGE);
    assert_int_equal(varve_close(log, NULL), 0);
    s.options.segment_bytes = 4 << 20;
    log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        append_size(&s, log, sizes[count++] = large[i]);
    }
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_HALT);
    for (uint64_t lsn = 1; lsn <= count; lsn++) {
        s.record_bytes = sizes[lsn - 1];
        expect(&s, cursor, lsn);
    }
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* What a record carries comes back as it was given. */
static void test_cursor__record_fields(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_entry entry;
    struct varve_record record = {
        .data = "content", .data_bytes = 7, .type = 255, .flags = VARVE_RECORD_TXN, .txn_id = UINT64_MAX - 3};
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    for (unsigned i = 0; i < VARVE_ORIGIN_BYTES; i++) {
        record.origin[i] = (unsigned char)(0xf0 + i);
    }
    assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
    struct iovec pieces[] = {{(void *)(uintptr_t) "ab", 2}, {NULL, 0}, {(void *)(uintptr_t) "cde", 3}};
    struct varve_record other = {.iov = pieces, .iov_count = 3, .type = 9};
    assert_int_equal(varve_append_record(log, &other, VARVE_DURABILITY_DEFAULT, NULL), 0);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    assert_int_equal(entry.type, 255);
    assert_int_equal(entry.flags, VARVE_RECORD_TXN);
    assert_true(entry.txn_id == UINT64_MAX - 3);
    assert_memory_equal(entry.origin, record.origin, VARVE_ORIGIN_BYTES);
    assert_int_equal(entry.data_bytes, 7);
    assert_memory_equal(entry.data, "content", 7);
    assert_int_equal(entry.segment, 1);
    assert_int_equal(entry.frame_offset, 4096);
    assert_int_equal(entry.record_offset, 0);
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    assert_int_equal(entry.type, 9);
    assert_int_equal(entry.flags, 0);
    assert_int_equal(entry.txn_id, 0);
    assert_int_equal(entry.data_bytes, 5);
    assert_memory_equal(entry.data, "abcde", 5);
    assert_int_equal(entry.frame_offset, 4096 + 512);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* -- time -- */

static struct varve_log *open_with(struct test_sample *s, struct test_clock *clock)
{
    struct varve_options options = s->options;
    struct varve_log *log = NULL;
    struct varve_error error = {0};
    options.io = &clock->pass.io;
    if (varve_open("log", &options, &log, &error) != 0) {
        fail_msg("open: %s", error.message);
    }
    return log;
}

/* Times of all records, checked not to decrease. */
static uint64_t read_times(struct varve_log *log, uint64_t *times)
{
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_HALT);
    struct varve_entry entry;
    uint64_t count = 0;
    while (varve_cursor_next(cursor, &entry) == 0) {
        times[count++] = entry.time_us;
        assert_int_equal(entry.lsn, count);
        assert_true(count == 1 || times[count - 1] >= times[count - 2]);
    }
    varve_cursor_close(cursor);
    return count;
}

static void test_cursor__times_never_decrease(void **state)
{
    (void)state;
    struct test_sample s;
    struct test_clock clock;
    uint64_t times[64];
    test_sample_init(&s, TEST_SAMPLE_BIG);
    test_clock_init(&clock, &s.memory.io, 5000000, 3, 1);
    struct varve_log *log = open_with(&s, &clock);
    test_sample_append(&s, log, 4);
    test_clock_set_realtime(&clock, 1000000); /* back, while the log is open */
    test_sample_append(&s, log, 4);
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_set_realtime(&clock, 2000000); /* still behind, when it is opened again */
    log = open_with(&s, &clock);
    test_sample_append(&s, log, 4);
    test_clock_advance(&clock, 10000000); /* past all of that */
    test_sample_append(&s, log, 4);
    assert_int_equal(read_times(log, times), 16);
    assert_true(times[0] >= 5000000 && times[0] < 5100000);
    assert_true(times[11] < 5100000);
    assert_true(times[15] >= 12000000);
    test_sample_crash(&s, log);
    test_clock_set_realtime(&clock, 1);
    log = open_with(&s, &clock);
    test_sample_append(&s, log, 2);
    assert_int_equal(read_times(log, times), 18);
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_close(&clock);
    test_sample_close(&s);
}

/* The last segment has a header and a torn frame: the last time is in the one before. */
static void test_cursor__times_behind_a_torn_segment(void **state)
{
    (void)state;
    struct test_sample s;
    struct test_clock clock;
    uint64_t times[64];
    test_sample_init(&s, TEST_SAMPLE_BIG);
    test_clock_init(&clock, &s.memory.io, 5000000, 3, 1);
    struct varve_log *log = open_with(&s, &clock);
    test_sample_append(&s, log, 4);
    test_clock_advance(&clock, 1000000);
    test_sample_append(&s, log, 2);
    test_sample_crash(&s, log);
    /* What would be read as times, were the place of the last frame looked up in this file. */
    static unsigned char noise[1 << 20];
    memset(noise, 0x7f, sizeof noise);
    test_sample_patch(&s, 2, 4096 + 512, noise, sizeof noise - 4096 - 512);
    test_clock_set_realtime(&clock, 1);
    log = open_with(&s, &clock);
    test_sample_append(&s, log, 2);
    assert_int_equal(read_times(log, times), 7);
    assert_true(times[6] - times[4] < 1000000);
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_close(&clock);
    test_sample_close(&s);
}

/* The last frame is larger than what is read at once, and holds many records. */
static void test_cursor__times_behind_a_large_frame(void **state)
{
    (void)state;
    struct test_sample s;
    struct test_clock clock;
    struct varve_entry entry;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    test_clock_init(&clock, &s.memory.io, 5000000, 3, 1);
    s.options.durability = VARVE_BUFFERED;
    s.options.segment_bytes = 16 << 20;
    s.options.slot_bytes = 2 << 20;
    s.options.slot_count = 4;
    struct varve_log *log = open_with(&s, &clock);
    for (int i = 0; i < 8; i++) {
        test_sample_append(&s, log, 1);
        test_clock_advance(&clock, 1000000);
    }
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_map(&s);
    assert_int_equal(s.frames[0].records, 8);
    test_clock_set_realtime(&clock, 1);
    s.options.sector_bytes = 4096; /* in a fresh segment, where a cursor can begin without the times before */
    log = open_with(&s, &clock);
    test_sample_append(&s, log, 1);
    assert_int_equal(varve_sync(log), 0);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_HALT);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 8), 0);
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    uint64_t before = entry.time_us;
    assert_true(before >= 12000000);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 9), 0);
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    assert_true(entry.time_us >= before);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_close(&clock);
    test_sample_close(&s);
}

/* Before, between, on and after every time there is. */
static void test_cursor__seek_time(void **state)
{
    (void)state;
    struct test_sample s;
    struct test_clock clock;
    struct varve_entry entry;
    uint64_t times[64];
    test_sample_init(&s, TEST_SAMPLE_BIG);
    test_clock_init(&clock, &s.memory.io, 5000000, 0, 1);
    struct varve_log *log = open_with(&s, &clock);
    for (unsigned i = 0; i < 14; i++) {
        test_sample_append(&s, log, 1);
        test_clock_advance(&clock, i % 3 * 1000);
        if (i == 7) {
            test_clock_set_realtime(&clock, 100); /* the times go on as if nothing had happened */
        }
    }
    assert_int_equal(varve_close(log, NULL), 0);
    log = open_with(&s, &clock);
    uint64_t count = read_times(log, times);
    assert_int_equal(count, 14);
    assert_true(times[13] > times[0]);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_TRUNCATE);
    for (uint64_t i = 0; i < count; i++) {
        for (uint64_t time = times[i] - 1; time <= times[i] + 1; time++) {
            uint64_t lsn = 1;
            while (lsn <= count && times[lsn - 1] < time) {
                lsn++;
            }
            assert_int_equal(varve_cursor_seek_time(cursor, time), 0);
            int rc = varve_cursor_next(cursor, &entry);
            assert_int_equal(rc, lsn <= count ? 0 : VARVE_END);
            if (rc == 0) {
                assert_int_equal(entry.lsn, lsn);
                assert_int_equal(entry.time_us, times[lsn - 1]);
            }
        }
    }
    assert_int_equal(varve_cursor_seek_time(cursor, 0), 0);
    expect(&s, cursor, 1);
    assert_int_equal(varve_cursor_seek_time(cursor, UINT64_MAX), 0);
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_close(&clock);
    test_sample_close(&s);
}

/* -- ends -- */

static void test_cursor__empty(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_init(&s, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_HALT);
    expect_end(cursor);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 1), 0);
    expect_end(cursor);
    assert_int_equal(varve_cursor_seek_time(cursor, 1), 0);
    expect_end(cursor);
    test_sample_append(&s, log, 1);
    expect(&s, cursor, 1);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

/* In `memory` mode nothing is written, so there is nothing to read. */
static void test_cursor__memory_mode(void **state)
{
    (void)state;
    struct test_sample s;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
    s.options.durability = VARVE_MEMORY;
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    struct varve_cursor *cursor = cursor_on(log, VARVE_POLICY_HALT);
    test_sample_append(&s, log, 3);
    for (uint64_t lsn = 1; lsn <= 3; lsn++) {
        expect(&s, cursor, lsn);
    }
    expect_end(cursor);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void test_cursor__arguments(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_cursor *cursor = NULL;
    struct varve_error error = {0};
    test_sample_make(&s, TEST_SAMPLE_SMALL, 3, true);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    assert_int_equal(varve_cursor_open(log, (enum varve_policy)4, &cursor, &error), VARVE_E_INVALID);
    assert_null(cursor);
    assert_int_equal(error.code, VARVE_E_INVALID);
    varve_cursor_close(NULL);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor__seek_lsn),
        cmocka_unit_test(test_cursor__seek_beyond_the_end),
        cmocka_unit_test(test_cursor__trimmed),
        cmocka_unit_test(test_cursor__trimmed_before_its_place),
        cmocka_unit_test(test_cursor__trimmed_on_its_way),
        cmocka_unit_test(test_cursor__recycled_under_it),
        cmocka_unit_test(test_cursor__never_past_durable),
        cmocka_unit_test(test_cursor__beside_a_writer),
        cmocka_unit_test(test_cursor__before_a_writer),
        cmocka_unit_test(test_cursor__write_under_way),
        cmocka_unit_test(test_cursor__several_at_once),
        cmocka_unit_test(test_cursor__sizes),
        cmocka_unit_test(test_cursor__record_fields),
        cmocka_unit_test(test_cursor__times_never_decrease),
        cmocka_unit_test(test_cursor__times_behind_a_torn_segment),
        cmocka_unit_test(test_cursor__times_behind_a_large_frame),
        cmocka_unit_test(test_cursor__seek_time),
        cmocka_unit_test(test_cursor__empty),
        cmocka_unit_test(test_cursor__memory_mode),
        cmocka_unit_test(test_cursor__arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
