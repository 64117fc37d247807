/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log written with a clock that stands still and randomness from a seed is the same, byte for byte, in
 * every version that writes this format; and what an earlier version wrote is read for ever. The bytes are in
 * golden/data, as text: names, sizes, and every 16 bytes that are not all zero.
 *
 * The newest of them is what is written today; the one before it has segments that do not say which one was
 * in use before them. VARVE_TEST_GOLDEN=FILE puts what is written now into FILE. A difference that an older
 * reader would not understand is a new format version.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/dump.h"
#include "lib/sample.h"

enum {
    RECORDS = 12,
    LARGE = 600000,
    TEXT_BYTES = 1 << 16
};

static const char *const data_names[] = {"log-1.txt", "log-2.txt"};

#define NEWEST (sizeof data_names / sizeof data_names[0] - 1)

/* -- the records -- */

struct golden_record {
    size_t bytes;
    uint64_t time_us;
    uint8_t type, flags;
    uint64_t txn_id;
};

static const struct golden_record records[RECORDS] = {
    {0, 1700000000000000, 0, 0, 0},
    {1, 1700000000001000, 1, 0, 0},
    {8, 1700000000002000, 255, 0, 0},
    {431, 1700000000003000, 2, 0, 0},
    {433, 1700000000004000, 3, 0, 0},
    {100, 1700000000005000, 4, VARVE_RECORD_TXN, UINT64_C(0x1122334455667788)},
    {0, 1700000000006000, 5, VARVE_RECORD_TXN, UINT64_MAX},
    {30, 1700000000007000, 6, 0, 0}, /* these three are a batch */
    {31, 1700000000007000, 7, 0, 0},
    {32, 1700000000007000, 8, 0, 0},
    {LARGE, 1700000000008000, 9, 0, 0},
    {LARGE, 1700000000009000, 10, 0, 0}, /* begins the second segment */
};

/* Text, so that the data can be read; the large ones are zeros but for their ends. */
static void content(unsigned index, unsigned char *out)
{
    size_t bytes = records[index].bytes;
    memset(out, 0, bytes);
    for (size_t i = 0; i < bytes; i++) {
        if (bytes < LARGE || i < 4 || i >= bytes - 4) {
            out[i] = (unsigned char)('a' + (i + index) % 26);
        }
    }
}

static struct varve_record record_of(unsigned index, unsigned char *bytes)
{
    struct varve_record record = {
        .data = bytes,
        .data_bytes = records[index].bytes,
        .type = records[index].type,
        .flags = records[index].flags,
        .txn_id = records[index].txn_id,
    };
    for (unsigned i = 0; record.flags != 0 && i < VARVE_ORIGIN_BYTES; i++) {
        record.origin[i] = (uint8_t)(0xc0 + i);
    }
    content(index, bytes);
    return record;
}

/* -- writing -- */

static void write_log(struct test_sample *s)
{
    static unsigned char bytes[3][LARGE];
    struct test_clock clock;
    struct varve_log *log = NULL;
    struct varve_options options;
    test_sample_init(s, 0);
    test_clock_init(&clock, &s->memory.io, records[0].time_us, 0, 1);
    options = s->options;
    options.io = &clock.pass.io;
    options.writes_in_flight = 1;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct varve_record batch[3] = {record_of(i, bytes[0])};
        if (i != 0) {
            test_clock_advance(&clock, records[i].time_us - records[i - 1].time_us);
        }
        if (i == 7) {
            batch[1] = record_of(8, bytes[1]);
            batch[2] = record_of(9, bytes[2]);
            assert_int_equal(varve_append_batch(log, batch, 3, VARVE_DURABILITY_DEFAULT, 1, NULL), 0);
            i += 2;
        } else {
            assert_int_equal(varve_append_record(log, batch, VARVE_DURABILITY_DEFAULT, NULL), 0);
        }
    }
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_close(&clock);
}

static char *text_of(struct test_sample *s)
{
    static const char *const names[] = {"MANIFEST", "wal-0000000000000001.seg", "wal-0000000000000002.seg"};
    char *text = calloc(1, TEXT_BYTES);
    size_t at = 0;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct varve_dir *dir = test_sample_dir(s);
        at = test_dump_add(text, TEXT_BYTES, at, &s->memory.io, dir, names[i]);
        s->memory.io.dir_close(&s->memory.io, dir);
    }
    return text;
}

static char *kept(size_t which)
{
    const char *source = getenv("VARVE_SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/test/golden/data", source != NULL ? source : ".");
    return test_bytes_read(path, data_names[which], NULL);
}

static void test_log__is_written_the_same(void **state)
{
    (void)state;
    struct test_sample s;
    write_log(&s);
    char *text = text_of(&s);
    const char *out = getenv("VARVE_TEST_GOLDEN");
    if (out != NULL) {
        test_bytes_write("/", out, text, strlen(text));
    }
    char *expected = kept(NEWEST);
    assert_string_equal(text, expected);
    free(expected);
    free(text);
    test_sample_close(&s);
}

/* -- reading -- */

static void write_file(void *arg, const char *name, const void *bytes, size_t length)
{
    test_sample_write(arg, name, bytes, length);
}

static void make_log(struct test_sample *s, const char *text)
{
    struct varve_dir *dir;
    int created;
    test_sample_init(s, 0);
    assert_int_equal(s->memory.io.dir_open(&s->memory.io, NULL, "log", 1, &dir, &created), 0);
    s->memory.io.dir_close(&s->memory.io, dir);
    test_dump_read(text, write_file, s);
}

static void read_log(struct varve_log *log)
{
    static unsigned char bytes[LARGE];
    struct varve_cursor *cursor = NULL;
    struct varve_entry entry;
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct varve_record expected = record_of(i, bytes);
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(entry.lsn, i + 1);
        assert_int_equal(entry.time_us, records[i].time_us);
        assert_int_equal(entry.type, expected.type);
        assert_int_equal(entry.flags, expected.flags);
        assert_int_equal(entry.txn_id, expected.txn_id);
        assert_memory_equal(entry.origin, expected.origin, VARVE_ORIGIN_BYTES);
        assert_int_equal(entry.data_bytes, expected.data_bytes);
        assert_memory_equal(entry.data, bytes, expected.data_bytes);
        assert_int_equal(entry.segment, i == RECORDS - 1 ? 2 : 1);
    }
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
    assert_int_equal(varve_cursor_verdict(cursor), VARVE_VERDICT_CLEAN_END);
    varve_cursor_close(cursor);
}

static void read_for_ever(size_t which)
{
    struct test_sample s;
    struct varve_log *log = NULL;
    struct varve_verify_result result = {.size = sizeof result};
    char *text = kept(which);
    make_log(&s, text);
    free(text);
    struct varve_options options = {.size = sizeof options, .io = &s.memory.io};
    assert_int_equal(varve_verify("log", &options, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.found.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(result.found.records, RECORDS);
    assert_int_equal(result.found.frames, RECORDS - 2);
    assert_true(result.clean_shutdown);
    uint64_t before = test_sample_sum(&s);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_HALT, VARVE_OPEN_READ_ONLY, &log, NULL), 0);
    read_log(log);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(test_sample_sum(&s), before);
    /* And it is gone on with, in the same segment. */
    log = test_sample_open(&s, VARVE_POLICY_HALT);
    assert_int_equal(varve_last_lsn(log), RECORDS);
    read_log(log);
    test_sample_append(&s, log, 1);
    test_sample_crash(&s, log);
    log = test_sample_open(&s, VARVE_POLICY_HALT);
    assert_int_equal(varve_last_lsn(log), RECORDS + 1);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

static void test_log__is_read_for_ever(void **state)
{
    (void)state;
    for (size_t which = 0; which <= NEWEST; which++) {
        read_for_ever(which);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__is_written_the_same),
        cmocka_unit_test(test_log__is_read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
