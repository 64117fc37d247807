/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that fail under a log in a format of others: what failed leaves nothing behind, the log is read-only,
 * and opened again it has all that was acknowledged.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/build.h"
#include "lib/clock.h"
#include "lib/fault.h"
#include "lib/tmp.h"
#include "varve/cursor.h"
#include "varve/format.h"
#include "varve/log.h"

static const char *const formats[] = {"stra", "wlog", "aero", "dbkv", "lfwal"};

struct bench {
    const struct varve_format *format;
    struct varve_options options;
    struct test_fault fault;
    char *root, *path;
    struct varve_log *log;
    uint64_t acked;
};

/* `below`: what calls go to that do not fail; NULL = the system. */
static void start_on(struct bench *b, const char *name, struct varve_io *below)
{
    memset(b, 0, sizeof *b);
    b->format = varve_format_get(name);
    b->root = test_tmp_new();
    b->path = test_tmp_join(b->root, "log");
    test_fault_init(&b->fault, below);
    b->options = (struct varve_options){.size = sizeof b->options,
                                        .format = name,
                                        .durability = VARVE_STRICT,
                                        .slot_bytes = 4096,
                                        .retry_count = 2,
                                        .breaker_first_ms = 1,
                                        .breaker_max_ms = 1,
                                        .io = &b->fault.pass.io};
    if (b->format->layout != VARVE_LAYOUT_ONE_FILE)
        b->options.segment_bytes = 4096;
    assert_int_equal(varve_open(b->path, &b->options, &b->log, NULL), 0);
}

static void start(struct bench *b, const char *name)
{
    start_on(b, name, NULL);
}

static void end(struct bench *b)
{
    test_fault_close(&b->fault);
    free(b->path);
    test_tmp_free(b->root);
}

static int append(struct bench *b)
{
    uint8_t payload[512];
    uint64_t lsn = 0;
    struct varve_record record = {
        .data = payload, .data_bytes = test_build_payload(b->format, "0123456789abcdef", 16, payload)};
    int rc = varve_append_record(b->log, &record, VARVE_DURABILITY_DEFAULT, &lsn);

    if (rc == 0) {
        assert_int_equal(lsn, b->acked + 1);
        b->acked = lsn;
    }
    return rc;
}

/* Everything works again. *ret_last: the last LSN that is found. */
static void again(struct bench *b, bool exactly)
{
    struct varve_recovery recovery;
    struct varve_error error;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    uint64_t count = 0;

    test_fault_disarm(&b->fault);
    if (varve_open(b->path, &b->options, &b->log, &error) != 0)
        fail_msg("%s: does not open again: %s", b->format->name, error.message);
    varve_recovery_stats(b->log, &recovery);
    assert_int_equal(recovery.verdict, VARVE_VERDICT_CLEAN_END);
    assert_true(varve_last_lsn(b->log) >= b->acked);
    if (exactly)
        assert_int_equal(varve_last_lsn(b->log), b->acked);
    b->acked = varve_last_lsn(b->log);
    assert_int_equal(append(b), 0);
    assert_int_equal(varve_cursor_open(b->log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    while (varve_cursor_next(cursor, &entry) == 0)
        count++;
    varve_cursor_close(cursor);
    assert_int_equal(count, b->acked);
    assert_int_equal(varve_close(b->log, NULL), 0);
}

static void test_plain__a_write_is_taken_back(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct varve_error error;
        struct bench b;

        start(&b, formats[f]);
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(append(&b), 0);
        (void)test_fault_arm(
            &b.fault,
            &(struct test_fault_rule){
                .op = TEST_OP_WRITE, .prefix = "wal", .times = 2, .action = TEST_FAULT_PARTIAL, .bytes = 9});
        assert_int_equal(append(&b), VARVE_E_READONLY);
        assert_int_equal(varve_error_first(b.log, &error), VARVE_E_IO);
        assert_int_equal(append(&b), VARVE_E_READONLY);
        assert_int_equal(varve_close(b.log, &error), VARVE_E_IO);
        again(&b, true);
        end(&b);
    }
}

static void test_plain__a_sync_is_final(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct bench b;
        uint64_t syncs;

        start(&b, formats[f]);
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(append(&b), 0);
        (void)test_fault_arm(&b.fault,
                             &(struct test_fault_rule){.op = TEST_OP_SYNC, .prefix = "wal", .times = 1});
        assert_int_equal(append(&b), VARVE_E_SYNC);
        syncs = test_fault_calls(&b.fault, TEST_OP_SYNC);
        assert_int_equal(append(&b), VARVE_E_SYNC);
        assert_int_equal(varve_close(b.log, NULL), VARVE_E_SYNC);
        assert_int_equal(test_fault_calls(&b.fault, TEST_OP_SYNC), syncs);
        again(&b, false);
        end(&b);
    }
}

/* The rotation stops between its two renames: the full file has its name, the new one not yet. */
static void test_plain__a_rotation_is_finished(void **state)
{
    struct bench b;

    (void)state;
    start(&b, "dbkv");
    (void)test_fault_arm(&b.fault, &(struct test_fault_rule){.op = TEST_OP_RENAME,
                                                             .prefix = "wal-current-new",
                                                             .times = TEST_FAULT_FOREVER});
    while (append(&b) == 0)
        assert_true(b.acked < 1000);
    assert_int_equal(varve_close(b.log, NULL), VARVE_E_IO);
    assert_true(b.acked > 10);
    again(&b, true);
    again(&b, true);
    end(&b);
}

/* Files that are full are named by the second. One that gets its name after the clock was set back must not
 * come before those that were trimmed in an earlier life: it would count as one of them. */
static void test_plain__a_clock_set_back(void **state)
{
    const uint64_t now_us = UINT64_C(1700000000) * 1000000;
    struct test_clock clock;
    uint64_t first = 1;
    struct bench b;

    (void)state;
    test_clock_init(&clock, NULL, now_us, 1, 1);
    start_on(&b, "dbkv", &clock.pass.io);
    while (b.acked < 200)
        assert_int_equal(append(&b), 0);
    assert_int_equal(varve_trim(b.log, b.acked, &first), 0);
    assert_true(first > 1);
    assert_int_equal(varve_close(b.log, NULL), 0);
    test_clock_set_realtime(&clock, now_us - UINT64_C(3600) * 1000000);
    assert_int_equal(varve_open(b.path, &b.options, &b.log, NULL), 0);
    assert_int_equal(varve_first_lsn(b.log), first);
    while (b.acked < 400)
        assert_int_equal(append(&b), 0);
    assert_int_equal(varve_close(b.log, NULL), 0);
    assert_int_equal(varve_open(b.path, &b.options, &b.log, NULL), 0);
    assert_int_equal(varve_first_lsn(b.log), first);
    assert_int_equal(varve_last_lsn(b.log), b.acked);
    assert_int_equal(varve_close(b.log, NULL), 0);
    end(&b);
    test_clock_close(&clock);
}

/* A disk that is full for a moment is waited for. */
static void test_plain__a_full_disk_is_waited_for(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct bench b;
        int rule;

        start(&b, formats[f]);
        assert_int_equal(varve_close(b.log, NULL), 0);
        b.options.breaker_failures = 1;
        assert_int_equal(varve_open(b.path, &b.options, &b.log, NULL), 0);
        assert_int_equal(append(&b), 0);
        rule = test_fault_arm(
            &b.fault,
            &(struct test_fault_rule){.op = TEST_OP_WRITE, .prefix = "wal", .times = 20, .error = ENOSPC});
        assert_int_equal(append(&b), 0);
        assert_int_equal(test_fault_hits(&b.fault, rule), 20);
        assert_int_equal(append(&b), 0);
        assert_int_equal(varve_close(b.log, NULL), 0);
        again(&b, true);
        end(&b);
    }
}

/* One that stays full ends in a log that is read-only and has all that was acknowledged. */
static void test_plain__a_disk_stays_full(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct varve_error error;
        struct bench b;

        start(&b, formats[f]);
        assert_int_equal(append(&b), 0);
        assert_int_equal(varve_close(b.log, NULL), 0);
        b.options.breaker_failures = UINT32_MAX;
        assert_int_equal(varve_open(b.path, &b.options, &b.log, NULL), 0);
        (void)test_fault_arm(&b.fault, &(struct test_fault_rule){.op = TEST_OP_WRITE,
                                                                 .prefix = "wal",
                                                                 .times = TEST_FAULT_FOREVER,
                                                                 .action = TEST_FAULT_PARTIAL,
                                                                 .error = ENOSPC,
                                                                 .bytes = 3});
        assert_int_equal(append(&b), VARVE_E_READONLY);
        assert_int_equal(varve_error_first(b.log, &error), VARVE_E_IO);
        assert_int_equal(error.sys_errno, ENOSPC);
        assert_int_not_equal(varve_close(b.log, NULL), 0);
        again(&b, true);
        end(&b);
    }
}

/* Nor is a record lost, or half there, where the next file cannot be made. */
static void test_plain__no_room_for_the_next_file(void **state)
{
    static const char *const growing[] = {"stra", "dbkv", "lfwal"};

    (void)state;
    for (size_t f = 0; f < sizeof growing / sizeof *growing; f++) {
        struct varve_error error;
        struct bench b;

        start(&b, growing[f]);
        (void)test_fault_arm(&b.fault, &(struct test_fault_rule){.op = TEST_OP_CREATE,
                                                                 .prefix = "wal",
                                                                 .times = TEST_FAULT_FOREVER,
                                                                 .error = ENOSPC});
        while (append(&b) == 0)
            assert_true(b.acked < 1000);
        assert_true(b.acked > 10);
        assert_int_equal(varve_error_first(b.log, &error), VARVE_E_NOSPC);
        assert_int_equal(append(&b), VARVE_E_READONLY);
        assert_int_not_equal(varve_close(b.log, NULL), 0);
        again(&b, true);
        end(&b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain__a_write_is_taken_back),
        cmocka_unit_test(test_plain__a_sync_is_final),
        cmocka_unit_test(test_plain__a_rotation_is_finished),
        cmocka_unit_test(test_plain__a_clock_set_back),
        cmocka_unit_test(test_plain__a_full_disk_is_waited_for),
        cmocka_unit_test(test_plain__a_disk_stays_full),
        cmocka_unit_test(test_plain__no_room_for_the_next_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
