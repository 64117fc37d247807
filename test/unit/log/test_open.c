/* SPDX-License-Identifier: Apache-2.0 */
#include "log/open.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

static struct test_bed bed;

static void flags_are(uint32_t flags, int expect)
{
    bed.options.flags = flags;
    assert_int_equal(bed_open(&bed), expect);
    if (expect == 0) {
        assert_int_equal(bed_shut(&bed), 0);
    } else {
        assert_int_equal(bed.error.code, expect);
        /* The message begins with the path. */
        assert_memory_equal(bed.error.message, "log", 3);
    }
    bed.options.flags = 0;
}

static void test_open__flags(void **state)
{
    (void)state;
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 100);
    flags_are(VARVE_OPEN_MUST_EXIST, VARVE_E_NOT_FOUND);
    flags_are(VARVE_OPEN_READ_ONLY, VARVE_E_NOT_FOUND);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_ANY_CHANGE), 0);
    flags_are(VARVE_OPEN_MUST_CREATE, 0);
    flags_are(VARVE_OPEN_MUST_CREATE, VARVE_E_EXISTS);
    flags_are(VARVE_OPEN_MUST_EXIST, 0);
    flags_are(0, 0);
    test_fault_reset_calls(&bed.fault);
    flags_are(VARVE_OPEN_READ_ONLY, 0);
    flags_are(VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST, 0);
    assert_int_equal(test_fault_calls(&bed.fault, TEST_OP_ANY_CHANGE), 0);
    bed_end(&bed);
}

/* A log that is open for reading answers, and refuses what it cannot do. */
static void test_open__read_only(void **state)
{
    (void)state;
    struct varve_error error = {0};
    int fd;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    struct varve_record record = {.data = "x", .data_bytes = 1};
    assert_int_equal(varve_append(bed.log, "x", 1, NULL), VARVE_E_READONLY);
    assert_int_equal(varve_append_async(bed.log, &record, NULL), VARVE_E_READONLY);
    assert_int_equal(varve_append_batch(bed.log, &record, 1, 0, 1, NULL), VARVE_E_READONLY);
    assert_int_equal(varve_wait(bed.log, 1, 0), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_sync(bed.log), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_trim(bed.log, 1, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_eventfd(bed.log, &fd), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_on_durable(bed.log, NULL, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_last_lsn(bed.log), 5);
    assert_int_equal(varve_durable_lsn(bed.log), 5);
    assert_int_equal(varve_first_lsn(bed.log), 1);
    assert_int_equal(varve_error_first(bed.log, &error), 0);
    assert_int_equal(bed_stats(&bed).reserved_lsn, 5);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 5);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* LSNs go on from life to life, also when the last one ended without close. */
static void test_open__lsns_go_on(void **state)
{
    (void)state;
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 400);
    for (int life = 1; life <= 6; life++) {
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(varve_last_lsn(bed.log), (life - 1) * 50);
        assert_int_equal(varve_durable_lsn(bed.log), (life - 1) * 50);
        assert_int_equal(varve_first_lsn(bed.log), 1);
        assert_int_equal(bed_crowd(&bed, 5, 10), 0);
        if (life % 2 == 0) {
            /* The end is not noted. */
            test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_CREATE, .prefix = "MANIFEST"});
            assert_int_equal(bed_shut(&bed), VARVE_E_IO);
            test_fault_disarm(&bed.fault);
        } else {
            assert_int_equal(bed_shut(&bed), 0);
        }
    }
    bed_check(&bed);
    bed_end(&bed);
}

static struct varve_log *comer;

/* A writer opens the log and appends, when the first frame is about to be read. */
static int writer_comes(void *arg, const struct test_fault_call *call)
{
    struct varve_options options = bed.options;
    (void)arg;
    if (comer != NULL || call->op != TEST_OP_PREAD || call->offset < 4096) {
        return 0;
    }
    options.io = &bed.memory.io;
    options.flags = 0;
    assert_int_equal(varve_open("log", &options, &comer, NULL), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, comer, 1), 0);
    return 0;
}

/* Then what is durable is again only what something vouches for. */
static void test_open__a_writer_comes_meanwhile(void **state)
{
    (void)state;
    comer = NULL;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 3600000}, 100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
    assert_int_equal(bed_shut(&bed), 0);
    test_fault_set_hook(&bed.fault, writer_comes, NULL);
    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    assert_non_null(comer);
    assert_int_equal(varve_last_lsn(comer), 6);
    assert_int_equal(varve_durable_lsn(bed.log), 5);
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(varve_close(comer, NULL), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_open__arguments(void **state)
{
    (void)state;
    struct varve_log *log = NULL;
    struct varve_error error;
    assert_int_equal(varve_open(NULL, NULL, &log, &error), VARVE_E_INVALID);
    assert_int_equal(varve_open("x", NULL, NULL, &error), VARVE_E_INVALID);
    assert_int_equal(varve_open("", NULL, &log, NULL), VARVE_E_INVALID);
    assert_null(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open__flags),      cmocka_unit_test(test_open__read_only),
        cmocka_unit_test(test_open__lsns_go_on), cmocka_unit_test(test_open__a_writer_comes_meanwhile),
        cmocka_unit_test(test_open__arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
