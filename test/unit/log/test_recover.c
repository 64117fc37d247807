/* SPDX-License-Identifier: Apache-2.0 */
#include "log/recover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fault.h"
#include "lib/sample.h"

enum {
    FIRST = 4096, /* offset of the first frame */
};

static struct test_sample s;
static struct test_fault fault;
static struct varve_options options;
static struct varve_error error;
static struct vv_recovered recovered;

/* As much of a log as recovery looks at. Changes files only under the policy skip. */
static int recover(void)
{
    struct varve_log log = {.io = &fault.pass.io, .options = options, .path = (char *)(uintptr_t) "log"};
    struct vv_chain chain;
    assert_int_equal(log.io->dir_open(log.io, NULL, "log", 0, &log.dir, NULL), 0);
    assert_int_equal(vv_chain_load(&chain, log.io, log.dir, NULL), 0);
    error = (struct varve_error){0};
    int rc = vv_recover_chain(&log, &chain, &recovered, &error);
    vv_chain_free(&chain);
    log.io->dir_close(log.io, log.dir);
    assert_int_equal(atomic_load(&fault.open_files), 0);
    return rc;
}

static void make(size_t record_bytes, unsigned records, bool clean)
{
    test_sample_make(&s, record_bytes, records, clean);
    test_fault_init(&fault, &s.memory.io);
    options = s.options;
}

static void done(void)
{
    test_fault_close(&fault);
    test_sample_close(&s);
}

static void test_recover__goes_on(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        make(TEST_SAMPLE_BIG, 13, clean);
        assert_int_equal(recover(), 0);
        assert_int_equal(recovered.next_lsn, 14);
        assert_int_equal(recovered.end_segment, 3);
        assert_true(recovered.go_on);
        assert_false(recovered.torn);
        assert_true(recovered.last_time_us > 0);
        const struct varve_recovery *stats = &recovered.stats;
        assert_int_equal(stats->verdict, VARVE_VERDICT_CLEAN_END);
        assert_int_equal(stats->segments, 3);
        assert_int_equal(stats->frames, 13);
        assert_int_equal(stats->records, 13);
        assert_int_equal(stats->first_lsn, 1);
        assert_int_equal(stats->last_lsn, 13);
        assert_true(stats->bytes >= 13 * TEST_SAMPLE_BIG);
        /* All but the last is vouched for; after a clean end all. */
        assert_int_equal(recovered.vouched_lsn, clean ? 13 : 12);
        assert_true(recovered.unvouched_offset < recovered.end_offset);
        done();
    }
}

static void test_recover__torn(void **state)
{
    (void)state;
    make(TEST_SAMPLE_SMALL, 5, false);
    test_sample_flip(&s, 1, FIRST + 4 * 512 + 90, 1);
    assert_int_equal(recover(), 0);
    assert_true(recovered.torn);
    assert_false(recovered.go_on);
    assert_int_equal(recovered.next_lsn, 5);
    assert_int_equal(recovered.end_offset, FIRST + 4 * 512);
    assert_int_equal(recovered.stats.verdict, VARVE_VERDICT_TORN);
    assert_int_equal(recovered.stats.segment, 1);
    assert_int_equal(recovered.stats.offset, FIRST + 4 * 512);
    options.policy = VARVE_POLICY_HALT;
    assert_int_equal(recover(), VARVE_E_TORN);
    done();
}

static void test_recover__damage(void **state)
{
    (void)state;
    make(TEST_SAMPLE_SMALL, 6, true);
    test_sample_flip(&s, 1, FIRST + 2 * 512 + 90, 1);
    test_sample_flip(&s, 1, FIRST + 4 * 512 + 90, 1);
    uint64_t sum = test_sample_sum(&s);
    assert_int_equal(recover(), VARVE_E_CORRUPT);
    assert_non_null(strstr(error.message, "LSN 3 "));
    assert_int_equal(test_sample_sum(&s), sum);
    options.policy = VARVE_POLICY_SKIP;
    assert_int_equal(recover(), 0);
    assert_int_equal(recovered.stats.verdict, VARVE_VERDICT_CORRUPT);
    assert_int_equal(recovered.stats.offset, FIRST + 2 * 512);
    assert_int_equal(recovered.stats.lost_records, 2);
    assert_int_equal(recovered.stats.lost_first, 3);
    assert_int_equal(recovered.stats.lost_last, 5);
    assert_int_equal(recovered.stats.records, 4);
    assert_int_equal(recovered.next_lsn, 7);
    assert_true(recovered.go_on);
    assert_true(test_sample_has(&s, "lost"));
    /* Accepted once, it is passed over by every policy, and told. */
    options.policy = VARVE_POLICY_HALT;
    assert_int_equal(recover(), 0);
    assert_int_equal(recovered.stats.lost_records, 2);
    /* What cannot be set aside is not passed over. */
    test_sample_flip(&s, 1, FIRST + 512 + 90, 1);
    options.policy = VARVE_POLICY_SKIP;
    test_fault_fail_once(&fault, TEST_OP_WRITE, 0, ENOSPC);
    assert_int_equal(recover(), VARVE_E_NOSPC);
    test_fault_disarm(&fault);
    done();
}

/* Only from the last segment but one on. */
static void test_recover__check_tail(void **state)
{
    (void)state;
    make(TEST_SAMPLE_BIG, 23, true);
    test_sample_flip(&s, 2, FIRST + 100, 1);
    assert_int_equal(recover(), VARVE_E_CORRUPT);
    options.check = VARVE_CHECK_TAIL;
    assert_int_equal(recover(), 0);
    assert_int_equal(recovered.next_lsn, 24);
    assert_int_equal(recovered.stats.segments, 2);
    assert_int_equal(recovered.stats.records, 8);
    assert_int_equal(recovered.stats.first_lsn, 1);
    test_sample_flip(&s, 4, FIRST + 100, 1);
    assert_int_equal(recover(), VARVE_E_CORRUPT);
    done();
}

struct telling {
    unsigned calls, stop_at;
    uint64_t done, total;
};

static int tell(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct telling *telling = arg;
    assert_true(done_bytes >= telling->done && done_bytes <= total_bytes);
    assert_true(telling->total == 0 || telling->total == total_bytes);
    telling->done = done_bytes;
    telling->total = total_bytes;
    return ++telling->calls == telling->stop_at;
}

static void test_recover__progress(void **state)
{
    (void)state;
    struct telling telling = {0};
    make(TEST_SAMPLE_BIG, 330, true); /* 66 MB */
    options.progress = tell;
    options.progress_arg = &telling;
    assert_int_equal(recover(), 0);
    assert_true(telling.calls >= 3 && telling.calls <= 6);
    assert_true(telling.total >= 66000000);
    telling = (struct telling){.stop_at = 2};
    assert_int_equal(recover(), VARVE_E_CLOSED);
    assert_int_equal(telling.calls, 2);
    done();
}

/* A read error at any place is an error, and never an end. */
static void test_recover__read_errors(void **state)
{
    (void)state;
    make(TEST_SAMPLE_SMALL, 6, false);
    test_fault_reset_calls(&fault);
    assert_int_equal(recover(), 0);
    long reads = (long)test_fault_calls(&fault, TEST_OP_PREAD);
    uint64_t records = recovered.stats.records;
    assert_true(reads > 3 && records > 0);
    for (long i = 0; i < reads; i++) {
        struct varve_log log = {.io = &fault.pass.io, .options = options};
        struct vv_chain chain;
        assert_int_equal(log.io->dir_open(log.io, NULL, "log", 0, &log.dir, NULL), 0);
        test_fault_fail_always(&fault, TEST_OP_PREAD, i, EIO);
        int rc = vv_chain_load(&chain, log.io, log.dir, NULL);
        if (rc == 0) {
            rc = vv_recover_chain(&log, &chain, &recovered, NULL);
            vv_chain_free(&chain);
        }
        /* What is only read ahead, and fails there, is no error yet. */
        assert_true(rc == VARVE_E_IO || (rc == 0 && i > 2 && recovered.stats.records == records));
        log.io->dir_close(log.io, log.dir);
        test_fault_disarm(&fault);
    }
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recover__goes_on),  cmocka_unit_test(test_recover__torn),
        cmocka_unit_test(test_recover__damage),   cmocka_unit_test(test_recover__check_tail),
        cmocka_unit_test(test_recover__progress), cmocka_unit_test(test_recover__read_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
