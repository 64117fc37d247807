/* SPDX-License-Identifier: Apache-2.0 */
/* Times that an appender gives: kept exactly, never going back in the native format, beside threads and
 * marks; and as the format counts in formats of others. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "varve/varve.h"

enum {
    THREADS = 4,
    EACH = 300,
    LARGE = 100000, /* larger than a slot */
};

#define HOUR_US (UINT64_C(3600) * 1000000)
#define SPAN_US UINT64_C(0xffffffff) /* what a frame has room for */

static const struct varve_options timed = {
    .flags = VARVE_OPEN_TIMES, .slot_bytes = 8192, .mark_idle_ms = 3600000};

static struct varve_record record_at(uint64_t time, const void *data, size_t bytes)
{
    return (struct varve_record){.data = data, .data_bytes = bytes, .flags = VARVE_RECORD_TIME, .time = time};
}

static int append_at(struct varve_log *log, uint64_t time, size_t bytes)
{
    static const char zeros[LARGE];
    const struct varve_record record = record_at(time, zeros, bytes);

    return varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL);
}

/* The log's times, in order. */
static size_t read_times(struct varve_log *log, uint64_t *ret_times, size_t room)
{
    struct varve_cursor *cursor;
    struct varve_entry entry;
    size_t count = 0;

    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    while (varve_cursor_next(cursor, &entry) == 0) {
        assert_true(count < room);
        assert_int_equal(entry.flags & VARVE_RECORD_TIME, 0);
        ret_times[count++] = entry.time;
    }
    varve_cursor_close(cursor);
    return count;
}

static void test_times__are_kept(void **state)
{
    static const struct {
        uint64_t time;
        size_t bytes;
    } want[] = {{1, 8},
                {1, 8},
                {2, 3000},
                {2 + HOUR_US, 3000},
                {2 + HOUR_US, LARGE},
                {3 * HOUR_US, 8},
                {9 * HOUR_US, 0},
                {9 * HOUR_US, LARGE},
                {9 * HOUR_US + 1, 8}};
    const size_t count = sizeof want / sizeof *want;
    struct test_bed bed;
    uint64_t times[16];

    (void)state;
    for (enum varve_durability mode = VARVE_BUFFERED; mode <= VARVE_STRICT; mode++) {
        struct varve_options options = timed;

        options.durability = mode;
        bed_start(&bed, BED_MEMORY, &options, 8);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(append_at(bed.log, want[i].time, want[i].bytes), 0);
        }
        assert_int_equal(varve_sync(bed.log), 0);
        for (int life = 0; life < 2; life++) {
            assert_int_equal(read_times(bed.log, times, 16), count);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(times[i], want[i].time);
            }
            /* Nor does the log forget over being closed which time was the last. */
            assert_int_equal(append_at(bed.log, want[count - 1].time - 1, 8), VARVE_E_INVALID);
            assert_int_equal(varve_last_lsn(bed.log), count);
            assert_int_equal(bed_shut(&bed), 0);
            assert_int_equal(bed_open(&bed), 0);
        }
        assert_int_equal(append_at(bed.log, want[count - 1].time, 8), 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

static void test_times__batch(void **state)
{
    struct varve_record records[3] = {
        record_at(5, "a", 1), {.data = "b", .data_bytes = 1}, record_at(7, "c", 1)};
    struct test_bed bed;
    uint64_t times[16];

    (void)state;
    bed_start(&bed, BED_MEMORY, &timed, 8);
    assert_int_equal(varve_append_batch(bed.log, records, 3, VARVE_DURABILITY_DEFAULT, 1, NULL), 0);
    records[0].time = 8;
    assert_int_equal(varve_append_batch(bed.log, records, 3, VARVE_DURABILITY_DEFAULT, 1, NULL),
                     VARVE_E_INVALID);
    records[2].time = 8 + SPAN_US;
    assert_int_equal(varve_append_batch(bed.log, records, 3, VARVE_DURABILITY_DEFAULT, 1, NULL), 0);
    records[2].time--;
    assert_int_equal(varve_append_batch(bed.log, records, 3, VARVE_DURABILITY_DEFAULT, 1, NULL),
                     VARVE_E_INVALID);
    records[0].time = 8 + SPAN_US;
    records[2].time = records[0].time + SPAN_US + 1;
    assert_int_equal(varve_append_batch(bed.log, records, 3, VARVE_DURABILITY_DEFAULT, 1, NULL),
                     VARVE_E_TOO_LARGE);
    /* The first one by the clock, which is past all of them, and so past the last. */
    records[0].flags = 0;
    assert_int_equal(varve_append_batch(bed.log, records, 3, VARVE_DURABILITY_DEFAULT, 1, NULL),
                     VARVE_E_INVALID);
    assert_int_equal(read_times(bed.log, times, 16), 6);
    assert_int_equal(times[0], 5);
    assert_int_equal(times[1], 5);
    assert_int_equal(times[2], 7);
    assert_int_equal(times[3], 8);
    assert_int_equal(times[4], 8);
    assert_int_equal(times[5], 8 + SPAN_US);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_times__beside_the_clock(void **state)
{
    const uint64_t ahead = UINT64_C(1) << 62;
    struct test_bed bed;
    uint64_t times[16];

    (void)state;
    bed_start(&bed, BED_MEMORY, &timed, 8);
    assert_int_equal(append_at(bed.log, 1000, 8), 0);
    assert_int_equal(varve_append(bed.log, "now", 3, NULL), 0);
    assert_int_equal(append_at(bed.log, 1000, 8), VARVE_E_INVALID);
    assert_int_equal(append_at(bed.log, ahead, 8), 0);
    assert_int_equal(varve_append(bed.log, "now", 3, NULL), 0);
    assert_int_equal(read_times(bed.log, times, 16), 4);
    assert_int_equal(times[0], 1000);
    assert_true(times[1] > 1000 && times[1] < ahead);
    assert_int_equal(times[2], ahead);
    assert_int_equal(times[3], ahead);
    assert_int_equal(append_at(bed.log, 0, 8), VARVE_E_INVALID);
    assert_int_equal(append_at(bed.log, UINT64_C(1) << 63, 8), VARVE_E_INVALID);
    assert_int_equal(bed_shut(&bed), 0);
    /* Without being asked for at opening, none is taken. */
    bed.options.flags = 0;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(append_at(bed.log, ahead, 8), VARVE_E_INVALID);
    assert_int_equal(varve_append(bed.log, "now", 3, NULL), 0);
    assert_int_equal(read_times(bed.log, times, 16), 5);
    assert_true(times[4] >= ahead);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

/* A mark is as old as what it vouches for: a later record is never before it. */
static void test_times__marks(void **state)
{
    struct varve_options options = timed;
    struct test_bed bed;
    uint64_t times[16];

    (void)state;
    options.mark_idle_ms = 1;
    bed_start(&bed, BED_MEMORY, &options, 8);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(append_at(bed.log, i * HOUR_US, 8), 0);
        BED_UNTIL(bed_stats(&bed).marks >= i);
    }
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(append_at(bed.log, 3 * HOUR_US, 8), 0);
    assert_int_equal(read_times(bed.log, times, 16), 4);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(times[i - 1], i * HOUR_US);
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

struct crowd {
    struct varve_log *log;
    _Atomic uint64_t clock;
    _Atomic unsigned refused, failed;
};

/* Each takes a time, and comes with it when it comes: what was overtaken is refused. */
static void *give_times(void *arg)
{
    struct crowd *c = arg;

    for (unsigned i = 0; i < EACH; i++) {
        uint64_t time = atomic_fetch_add(&c->clock, HOUR_US / 40) + 1;
        const struct varve_record record = record_at(time, &time, sizeof time);
        int rc = i % 2 ? varve_append_async(c->log, &record, NULL)
                       : varve_append_record(c->log, &record, VARVE_DURABILITY_DEFAULT, NULL);

        if (rc == VARVE_E_INVALID)
            atomic_fetch_add(&c->refused, 1);
        else if (rc != 0)
            atomic_fetch_add(&c->failed, 1);
    }
    return NULL;
}

static void test_times__threads(void **state)
{
    pthread_t threads[THREADS];
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct test_bed bed;
    struct crowd crowd = {0};
    uint64_t before = 0, time;
    unsigned count = 0;

    (void)state;
    bed_start(&bed, BED_MEMORY, &timed, 8);
    crowd.log = bed.log;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, give_times, &crowd), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(crowd.failed, 0);
    assert_int_equal(varve_sync(bed.log), 0);
    assert_int_equal(varve_cursor_open(bed.log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    while (varve_cursor_next(cursor, &entry) == 0) {
        memcpy(&time, entry.data, sizeof time);
        assert_int_equal(entry.time_us, time); /* as it was given, so nobody had to raise it */
        assert_true(time > before);
        before = time;
        count++;
    }
    varve_cursor_close(cursor);
    assert_int_equal(count, THREADS * EACH - crowd.refused);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_times__other_formats(void **state)
{
    static const uint8_t remove_x[] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x'};
    static const uint64_t times[] = {7, 0, UINT64_MAX, 3, 1700000000123456789}; /* in any order */
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_TIMES};
    const size_t count = sizeof times / sizeof *times;
    static const char *const formats[] = {"stra", "dbkv"};
    struct varve_record record;
    struct varve_log *log;
    uint64_t read[8];

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        options.format = formats[f];
        assert_int_equal(varve_open(formats[f], &options, &log, NULL), 0);
        for (size_t i = 0; i < count; i++) {
            record = record_at(times[i], remove_x, sizeof remove_x);
            assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
        }
        assert_int_equal(read_times(log, read, 8), count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(read[i], times[i]);
        }
        assert_int_equal(varve_close(log, NULL), 0);
    }
}

/* Where a payload tells its time, one that is given must agree; where there is none, it is refused. */
static void test_times__that_a_format_has_otherwise(void **state)
{
    static const uint8_t commit[] = {3, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0};
    struct varve_options options = {.size = sizeof options};
    struct varve_record record = record_at(9, commit, sizeof commit);
    static const char *const formats[] = {"wlog", "aero"};
    struct varve_log *log;
    uint64_t read[8];

    (void)state;
    options.format = "lfwal";
    assert_int_equal(varve_open("lfwal", &options, &log, NULL), 0);
    assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
    record.time = 10;
    assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL), VARVE_E_INVALID);
    assert_int_equal(read_times(log, read, 8), 1);
    assert_int_equal(read[0], 9);
    assert_int_equal(varve_close(log, NULL), 0);
    for (size_t f = 0; f < 2; f++) {
        options.format = formats[f];
        assert_int_equal(varve_open(formats[f], &options, &log, NULL), 0);
        assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL),
                         VARVE_E_UNSUPPORTED);
        assert_int_equal(varve_last_lsn(log), 0);
        assert_int_equal(varve_close(log, NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times__are_kept),
        cmocka_unit_test(test_times__batch),
        cmocka_unit_test(test_times__beside_the_clock),
        cmocka_unit_test(test_times__marks),
        cmocka_unit_test(test_times__threads),
        cmocka_unit_test(test_times__other_formats),
        cmocka_unit_test(test_times__that_a_format_has_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
