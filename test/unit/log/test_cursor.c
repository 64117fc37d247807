/* SPDX-License-Identifier: Apache-2.0 */
/* What flow.cursor does not reach: errors of a cursor, how they stay and go, and what skip counts. */
#include "varve/cursor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/fault.h"
#include "lib/sample.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

static struct test_sample s;
static struct test_fault fault;

static struct varve_log *open_reader(void)
{
    const struct varve_options options = {
        .size = sizeof options, .flags = VARVE_OPEN_READ_ONLY, .io = &fault.pass.io};
    struct varve_log *log = NULL;
    struct varve_error error = {0};
    if (varve_open("log", &options, &log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return log;
}

static void make(unsigned records)
{
    test_sample_make(&s, TEST_SAMPLE_SMALL, records, true);
    test_fault_init(&fault, &s.memory.io);
}

static void done(struct varve_cursor *cursor, struct varve_log *log)
{
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(atomic_load(&fault.open_files), 0);
    assert_int_equal(atomic_load(&fault.open_dirs), 0);
    test_fault_close(&fault);
    test_sample_close(&s);
}

static void expect(struct varve_cursor *cursor, uint64_t lsn)
{
    struct varve_entry entry;
    assert_int_equal(varve_cursor_next(cursor, &entry), 0);
    assert_int_equal(entry.lsn, lsn);
    assert_true(test_sample_is(&s, lsn, entry.data, entry.data_bytes));
    assert_int_equal(entry.segment, 1);
    assert_int_equal(entry.frame_offset, FIRST + (lsn - 1) * 512);
    assert_int_equal(entry.record_offset, 0);
}

/* An error stays until the cursor is moved, and names the place. */
static void test_cursor__an_error_stays(void **state)
{
    (void)state;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    make(6);
    test_sample_flip(&s, 1, FIRST + 2 * 512 + 90, 1);
    struct varve_log *log = open_reader();
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, NULL), 0);
    struct varve_error error = {.code = 5, .message = "as it was"};
    varve_cursor_error(cursor, &error);
    assert_string_equal(error.message, "as it was");
    expect(cursor, 1);
    expect(cursor, 2);
    for (int i = 0; i < 3; i++) {
        entry.lsn = 99;
        assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_E_CORRUPT);
        assert_int_equal(varve_cursor_follow(cursor, 1, &entry), VARVE_E_CORRUPT);
        varve_cursor_error(cursor, &error);
        assert_int_equal(error.code, VARVE_E_CORRUPT);
        assert_non_null(strstr(error.message, "wal-0000000000000001.seg, byte 5120"));
        assert_int_equal(varve_cursor_verdict(cursor), VARVE_VERDICT_CORRUPT);
    }
    assert_int_equal(varve_cursor_seek_lsn(cursor, 2), 0);
    expect(cursor, 2);
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_E_CORRUPT);
    done(cursor, log);
}

/* Damage is passed over and counted; a record that is sound in it is given and not counted. */
static void test_cursor__skip_counts(void **state)
{
    (void)state;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    make(8);
    test_sample_flip(&s, 1, FIRST + 512 + 90, 1);    /* 2: its bytes */
    test_sample_flip(&s, 1, FIRST + 3 * 512 + 9, 1); /* 4: its frame's checksum */
    test_sample_zero(&s, 1, FIRST + 5 * 512, 512);   /* 6 */
    struct varve_log *log = open_reader();
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_SKIP, &cursor, NULL), 0);
    for (int turn = 1; turn <= 2; turn++) {
        expect(cursor, 1);
        for (uint64_t lsn = 3; lsn <= 8; lsn++) {
            if (lsn != 6) {
                expect(cursor, lsn);
            }
        }
        assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
        assert_int_equal(varve_cursor_lost(cursor), 2 * turn);
        assert_int_equal(varve_cursor_seek_lsn(cursor, 0), 0);
    }
    /* Between, on and behind what is gone. */
    assert_int_equal(varve_cursor_seek_lsn(cursor, 4), 0);
    expect(cursor, 4);
    assert_int_equal(varve_cursor_seek_lsn(cursor, 6), 0);
    expect(cursor, 7);
    done(cursor, log);
}

/* A read that fails: told, not taken for the end, and gone on from when the cursor is moved. */
static void test_cursor__read_errors(void **state)
{
    (void)state;
    struct varve_cursor *cursor;
    struct varve_error error;
    struct varve_entry entry;
    make(4);
    struct varve_log *log = open_reader();
    for (long i = 0; i < 8; i++) {
        int rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error);
        assert_int_equal(rc, 0);
        test_fault_fail_always(&fault, TEST_OP_PREAD, i, EIO);
        uint64_t last = 0;
        while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
            last = entry.lsn;
        }
        assert_true(rc == VARVE_E_IO || (rc == VARVE_END && last == 4));
        assert_true(i > 0 || rc == VARVE_E_IO);
        test_fault_disarm(&fault);
        assert_int_equal(varve_cursor_seek_lsn(cursor, 1), 0);
        for (uint64_t lsn = 1; lsn <= 4; lsn++) {
            expect(cursor, lsn);
        }
        varve_cursor_close(cursor);
    }
    done(NULL, log);
}

static void test_cursor__opening(void **state)
{
    (void)state;
    struct varve_cursor *cursor = NULL;
    struct varve_error error = {0};
    make(3);
    struct varve_log *log = open_reader();
    assert_int_equal(varve_cursor_open(log, (enum varve_policy)4, &cursor, &error), VARVE_E_INVALID);
    assert_int_equal(varve_cursor_open(log, (enum varve_policy) - 1, &cursor, &error), VARVE_E_INVALID);
    test_fault_fail_once(&fault, TEST_OP_DIR_LIST, 0, EIO);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, &error), VARVE_E_IO);
    assert_memory_equal(error.message, "log: ", 5);
    test_fault_disarm(&fault);
    assert_null(cursor);
    long n = 0;
    int rc;
    do {
        vv_alloc_fail_after(n++);
        rc = varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, &error);
        assert_true(rc == 0 || rc == VARVE_E_NOMEM || rc == VARVE_E_IO);
    } while (vv_alloc_fail_left() < 0);
    vv_alloc_fail_after(-1);
    assert_int_equal(rc, 0);
    done(cursor, log);
}

/* Who waits for a writer in another process asks fifty times a second: not for the whole directory, and is
 * told all the same when the log goes on in another segment. */
static void test_cursor__waits_cheaply(void **state)
{
    (void)state;
    struct varve_entry entry;
    struct varve_cursor *cursor;
    test_sample_init(&s, TEST_SAMPLE_BIG);
    test_fault_init(&fault, &s.memory.io);
    struct varve_log *writer = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, writer, 1);
    struct varve_log *log = open_reader();
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, NULL), 0);
    for (uint64_t lsn = 1; lsn <= 12; lsn++) {
        unsigned tries = 0;
        test_sample_append(&s, writer, 1); /* vouches for the one before */
        assert_int_equal(varve_cursor_follow(cursor, 20000, &entry), 0);
        assert_int_equal(entry.lsn, lsn);
        assert_true(test_sample_is(&s, lsn, entry.data, entry.data_bytes));
        /* Until the next segment is ready there is reason to look for it. */
        do {
            assert_true(tries++ < 400);
            test_fault_reset_calls(&fault);
            assert_int_equal(varve_cursor_follow(cursor, 50, &entry), VARVE_END);
        } while (test_fault_calls(&fault, TEST_OP_DIR_LIST) != 0);
    }
    assert_true(entry.segment > 1);
    assert_int_equal(varve_close(writer, NULL), 0);
    assert_int_equal(varve_cursor_follow(cursor, 20000, &entry), 0);
    assert_int_equal(entry.lsn, 13);
    done(cursor, log);
}

struct going {
    long passes; /* so many openings of the file pass before it goes */
    bool gone;
};

static int go(void *arg, const struct test_fault_call *call)
{
    struct going *going = arg;
    if (call->op == TEST_OP_OPEN && strcmp(call->name, "wal-0000000000000002.seg") == 0 &&
        going->passes-- == 0) {
        test_sample_unlink_segment(&s, 2);
        going->gone = true;
    }
    return 0;
}

/* A file that was prepared and not used is removed between two looks at it, as a writer does that starts
 * anew: the log ends where it did, also when it is asked again. */
static void test_cursor__a_prepared_file_goes(void **state)
{
    (void)state;
    struct going going = {.gone = true};
    for (long passes = 0; going.gone; passes++) {
        struct varve_cursor *cursor;
        struct varve_entry entry;
        test_sample_make(&s, TEST_SAMPLE_SMALL, 4, false);
        static const unsigned char nothing[65536];
        test_sample_write_segment(&s, 2, nothing, sizeof nothing);
        test_fault_init(&fault, &s.memory.io);
        struct varve_log *log = open_reader();
        going = (struct going){.passes = passes};
        test_fault_set_hook(&fault, go, &going);
        assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, NULL), 0);
        for (uint64_t lsn = 1; lsn <= 4; lsn++) {
            expect(cursor, lsn);
        }
        for (int i = 0; i < 3; i++) {
            assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
        }
        assert_true(going.gone || passes >= 2);
        done(cursor, log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor__an_error_stays), cmocka_unit_test(test_cursor__skip_counts),
        cmocka_unit_test(test_cursor__read_errors),    cmocka_unit_test(test_cursor__opening),
        cmocka_unit_test(test_cursor__waits_cheaply),  cmocka_unit_test(test_cursor__a_prepared_file_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
