/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cannot be read is no evidence: neither that the log ends there, nor that a segment was never used, nor
 * that nobody writes. Each case lets one call after the other fail, and asks for all or for an error.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/frame.h"
#include "format/segment.h"
#include "lib/fault.h"
#include "lib/sample.h"

enum {
    RECORDS = 7, /* five to a segment */
    CALLS = 200  /* more than there are */
};

struct reading {
    struct test_sample sample;
    struct test_fault fault;
};

/* A log as a kill leaves it. */
static void begin(struct reading *r)
{
    test_sample_make(&r->sample, TEST_SAMPLE_BIG, RECORDS, false);
}

/* Opens a copy of it for writing while the rule is in force. */
static int open_with(struct reading *r, const struct test_fault_rule *rule, enum varve_policy policy,
                     bool *ret_hit, uint64_t *ret_last)
{
    struct test_sample copy;
    struct varve_options options = r->sample.options;
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    test_sample_copy(&r->sample, &copy);
    test_fault_init(&r->fault, &copy.memory.io);
    int number = test_fault_arm(&r->fault, rule);
    options.io = &r->fault.pass.io;
    options.policy = policy;
    int rc = varve_open("log", &options, &log, &error);
    *ret_hit = test_fault_hits(&r->fault, number) > 0;
    test_fault_disarm(&r->fault);
    if (rc == 0) {
        *ret_last = varve_last_lsn(log);
        assert_int_equal(varve_close(log, NULL), 0);
    } else {
        assert_string_not_equal(error.message, "");
    }
    assert_int_equal(atomic_load(&r->fault.open_files), 0);
    assert_int_equal(atomic_load(&r->fault.open_dirs), 0);
    test_fault_close(&r->fault);
    test_sample_close(&copy);
    return rc;
}

/* Each call of the kind in turn: all is there, or opening says `code`; `sound`: or it opens. */
static void each(struct reading *r, struct test_fault_rule rule, int code, bool sound)
{
    unsigned refused = 0;
    for (long n = 0;; n++) {
        uint64_t last = 0;
        bool hit;
        assert_true(n < CALLS);
        rule.after = n;
        int rc = open_with(r, &rule, VARVE_POLICY_TRUNCATE, &hit, &last);
        if (!hit) {
            break;
        }
        refused += rc == code;
        if (rc == 0) {
            assert_true(sound);
            assert_int_equal(last, RECORDS);
        } else {
            assert_true(rc == code || !sound);
        }
    }
    assert_true(refused > 0);
}

static void test_reading__nothing_comes(void **state)
{
    (void)state;
    struct reading r;
    begin(&r);
    each(&r, (struct test_fault_rule){.op = TEST_OP_PREAD, .prefix = "wal-", .action = TEST_FAULT_SHORT},
         VARVE_E_IO, true);
    each(&r, (struct test_fault_rule){.op = TEST_OP_PREAD, .prefix = "MANIFEST", .action = TEST_FAULT_SHORT},
         VARVE_E_IO, true);
    test_sample_close(&r.sample);
}

/* It is in the listing, and opening it says that it is not there. */
static void test_reading__not_removed(void **state)
{
    (void)state;
    struct reading r;
    begin(&r);
    each(&r, (struct test_fault_rule){.op = TEST_OP_OPEN, .prefix = "wal-", .error = ENOENT}, VARVE_E_IO,
         true);
    /* Twice: the first time a file may have been made in between. */
    each(&r, (struct test_fault_rule){.op = TEST_OP_OPEN, .prefix = "MANIFEST", .times = 2, .error = ENOENT},
         VARVE_E_IO, true);
    test_sample_close(&r.sample);
}

/* The last segment's header is gone, and only its frames say that there was one. */
static void test_reading__frames_without_header(void **state)
{
    (void)state;
    struct reading r;
    bool hit;
    uint64_t last;
    begin(&r);
    test_sample_zero(&r.sample, 2, 0, VV_SEGMENT_HEADER_BYTES);
    assert_int_equal(open_with(&r, &(struct test_fault_rule){.op = TEST_OP_PREAD, .after = CALLS},
                               VARVE_POLICY_TRUNCATE, &hit, &last),
                     VARVE_E_CORRUPT);
    each(&r, (struct test_fault_rule){.op = TEST_OP_PREAD, .prefix = "wal-"}, VARVE_E_IO, false);
    each(&r, (struct test_fault_rule){.op = TEST_OP_OPEN, .prefix = "wal-", .error = EMFILE}, VARVE_E_IO,
         false);
    test_sample_close(&r.sample);
}

static int read_only(struct reading *r, const struct test_fault_rule *rule, bool *ret_hit)
{
    struct varve_options options = r->sample.options;
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    test_fault_init(&r->fault, &r->sample.memory.io);
    int number = test_fault_arm(&r->fault, rule);
    options.io = &r->fault.pass.io;
    options.flags = VARVE_OPEN_READ_ONLY;
    int rc = varve_open("log", &options, &log, &error);
    if (rc == 0) {
        assert_int_equal(varve_last_lsn(log), RECORDS);
        assert_int_equal(varve_close(log, NULL), 0);
    }
    *ret_hit = test_fault_hits(&r->fault, number) > 0;
    test_fault_close(&r->fault);
    return rc;
}

/* A reader that does not know whether there is a writer does not know where to stop; where there are no locks
 * nobody has one. And it does not take what it cannot open for the end. */
static void test_reading__read_only(void **state)
{
    (void)state;
    static const struct {
        struct test_fault_rule rule;
        int code;
    } locks[] = {
        {{.op = TEST_OP_LOCK}, VARVE_E_IO},
        {{.op = TEST_OP_LOCK, .error = ENOLCK}, 0},
        {{.op = TEST_OP_OPEN, .prefix = "LOCK", .error = EMFILE}, VARVE_E_IO},
        {{.op = TEST_OP_OPEN, .prefix = "LOCK", .error = ELOOP}, VARVE_E_NOT_REGULAR},
    };
    struct reading r;
    bool hit;
    begin(&r);
    for (unsigned i = 0; i < sizeof locks / sizeof *locks; i++) {
        assert_int_equal(read_only(&r, &locks[i].rule, &hit), locks[i].code);
        assert_true(hit);
    }
    for (long n = 0; n == 0 || hit; n++) {
        const struct test_fault_rule rule = {
            .op = TEST_OP_OPEN, .prefix = "wal-", .after = n, .error = ELOOP};
        int rc = read_only(&r, &rule, &hit);
        assert_int_equal(rc, hit ? VARVE_E_NOT_REGULAR : 0);
        assert_true(hit || n > 2);
    }
    test_sample_close(&r.sample);
}

/* What can be had of a log with one damaged frame, under the policy skip: -1 when that says VARVE_E_IO. */
static int salvage(struct reading *r, const struct test_fault_rule *rule, bool *ret_hit)
{
    struct varve_options options = r->sample.options;
    struct varve_error error = {.message = ""};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_log *log;
    int rc, count = 0;
    test_fault_init(&r->fault, &r->sample.memory.io);
    options.io = &r->fault.pass.io;
    options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(varve_open("log", &options, &log, &error), 0);
    int number = test_fault_arm(&r->fault, rule);
    rc = varve_cursor_open(log, VARVE_POLICY_SKIP, &cursor, &error);
    if (rc == 0) {
        while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
            count++;
        }
        varve_cursor_close(cursor);
    }
    *ret_hit = test_fault_hits(&r->fault, number) > 0;
    assert_int_equal(varve_close(log, NULL), 0);
    test_fault_close(&r->fault);
    assert_true(rc == VARVE_END || rc == VARVE_E_IO);
    return rc == VARVE_END ? count : -1;
}

/* Records that are sound in a damaged frame do not count as gone because they could not be read. */
static void test_reading__salvage(void **state)
{
    (void)state;
    static const struct test_fault_rule rules[] = {
        {.op = TEST_OP_PREAD, .prefix = "wal-"},
        {.op = TEST_OP_PREAD, .prefix = "wal-", .action = TEST_FAULT_SHORT},
        {.op = TEST_OP_OPEN, .prefix = "wal-", .error = EMFILE},
        {.op = TEST_OP_OPEN, .prefix = "wal-", .error = ENOENT},
    };
    struct reading r;
    bool hit;
    test_sample_init(&r.sample, TEST_SAMPLE_SMALL);
    struct varve_log *log = test_sample_open(&r.sample, VARVE_POLICY_TRUNCATE);
    test_sample_append(&r.sample, log, 2);
    test_sample_append_batch(&r.sample, log, 4);
    test_sample_append(&r.sample, log, 2);
    test_sample_crash(&r.sample, log);
    test_sample_map(&r.sample);
    const struct test_sample_frame *frame = test_sample_frame_of(&r.sample, 3);
    test_sample_flip(&r.sample, frame->segment, frame->offset + VV_FRAME_HEADER_BYTES + 180, 3);
    const int whole = salvage(&r, &(struct test_fault_rule){.op = TEST_OP_PREAD, .after = CALLS}, &hit);
    assert_int_equal(whole, 7); /* all but the one */
    for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct test_fault_rule rule = rules[i];
        int refused = 0;
        hit = true;
        for (rule.after = 0; hit; rule.after++) {
            int count = salvage(&r, &rule, &hit);
            assert_true(count == whole || (hit && count == -1));
            refused += count == -1;
        }
        assert_true(refused > 1);
    }
    test_sample_close(&r.sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading__nothing_comes),
        cmocka_unit_test(test_reading__not_removed),
        cmocka_unit_test(test_reading__frames_without_header),
        cmocka_unit_test(test_reading__read_only),
        cmocka_unit_test(test_reading__salvage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
