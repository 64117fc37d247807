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

#include "log/manifest.h"

static struct vv_manifest manifest_of(struct test_bed *bed)
{
    struct varve_io *io = &bed->memory.io;
    struct vv_manifest manifest;
    struct varve_dir *dir;
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(vv_manifest_read(io, dir, &manifest, NULL), 0);
    io->dir_close(io, dir);
    return manifest;
}

static void test_close__notes_the_end(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_GROUP, VARVE_STRICT, VARVE_BUFFERED, VARVE_INTERVAL};
    assert_int_equal(varve_close(NULL, NULL), 0);
    for (unsigned i = 0; i < 4; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = modes[i]}, 100);
        assert_int_equal(manifest_of(&bed).clean, 0);
        for (int n = 0; n < 20; n++) {
            assert_int_equal(varve_append_async(bed.log, &(struct varve_record){.data = NULL}, NULL), 0);
        }
        assert_int_equal(bed_shut(&bed), 0);
        assert_int_equal(manifest_of(&bed).clean, 1);
        assert_int_equal(manifest_of(&bed).last_lsn, 20);
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(manifest_of(&bed).clean, 0);
        assert_int_equal(varve_last_lsn(bed.log), 20);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

static void test_close__manifest_cannot_be_written(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 9), 0);
    test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_CREATE, .prefix = "MANIFEST"});
    assert_int_equal(bed_shut(&bed), VARVE_E_IO);
    assert_non_null(strstr(bed.error.message, "MANIFEST"));
    assert_int_equal(manifest_of(&bed).clean, 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* The failure of a mark, after the last record was durable, is still the log's first error. */
static void test_close__tells_of_a_late_failure(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 1}, 100);
    test_fault_fail_always(&bed.fault, TEST_OP_WRITE_DSYNC, 1, EIO);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    BED_UNTIL(varve_error_first(bed.log, NULL) != 0);
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    bed_check(&bed);
    bed_end(&bed);
}

struct closing {
    struct test_bed *bed;
    _Atomic int done;
    int rc;
};

static void *closing_run(void *arg)
{
    struct closing *closing = arg;
    closing->rc = bed_shut(closing->bed);
    atomic_store(&closing->done, 1);
    return NULL;
}

/* A mark fails while there is no segment to move it to, because none is finished yet; then comes close. */
static void test_close__while_a_mark_moves(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_gate gate = {.op = TEST_OP_ALLOCATE, .prefix = "new-", .shut = 1};
    pthread_t thread;
    struct closing closing = {.bed = &bed};
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 1}, 100);
    test_fault_set_hook(&bed.fault, test_gate_hook, &gate);
    test_fault_fail_once(&bed.fault, TEST_OP_WRITE_DSYNC, 1, EIO);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    struct varve_log *log = bed.log;
    assert_int_equal(pthread_create(&thread, NULL, closing_run, &closing), 0);
    BED_UNTIL(atomic_load(&log->stop));
    atomic_store(&gate.shut, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(closing.rc, 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close__notes_the_end),
        cmocka_unit_test(test_close__manifest_cannot_be_written),
        cmocka_unit_test(test_close__tells_of_a_late_failure),
        cmocka_unit_test(test_close__while_a_mark_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
