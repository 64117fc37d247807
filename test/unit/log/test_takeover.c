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
#include "lib/sample.h"
#include "log/manifest.h"

/* The first life ends before the name of its segment is durable; the second one must not build on that. */
static void test_takeover__names_are_made_durable(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_init(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 3600000}, 100);
    /* MANIFEST's sync passes, that of the segment's name fails for ever: opening gives up. */
    test_fault_fail_always(&bed.fault, TEST_OP_DIR_SYNC, 1, EIO);
    assert_int_equal(bed_open(&bed), VARVE_E_IO);
    test_fault_disarm(&bed.fault);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    struct test_memory cut;
    test_memory_crash(&bed.memory, TEST_CRASH_NOTHING, NULL, &cut);
    struct varve_options options = bed.options;
    options.io = &cut.io;
    assert_int_equal(test_ledger_reopen(&bed.ledger, "log", &options), 3);
    test_memory_close(&cut);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* A killed process leaves frames that only the page cache knows: they are synced before more follows. */
static void test_takeover__syncs_what_it_read(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_memory cut, cut_again;
    bed_start(&bed, BED_MEMORY,
              &(struct varve_options){
                  .durability = VARVE_BUFFERED, .backend = VARVE_BACKEND_BUFFERED, .slot_bytes = 4096},
              100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 2000), 0);
    BED_UNTIL(varve_durable_lsn(bed.log) > 100);
    /* The process dies here, the machine goes on: as if it had been told that the sync is done and it is not.
     */
    test_memory_crash(&bed.memory, TEST_CRASH_ALL, NULL, &cut);
    assert_int_equal(bed_shut(&bed), 0);
    struct test_fault fault;
    test_fault_init(&fault, &cut.io);
    struct varve_options options = bed.options;
    struct varve_log *log;
    options.io = &fault.pass.io;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_true(test_fault_calls(&fault, TEST_OP_SYNC) >= 1);
    uint64_t last = varve_last_lsn(log);
    assert_true(last >= 100);
    test_memory_crash(&cut, TEST_CRASH_NOTHING, NULL, &cut_again);
    assert_int_equal(varve_close(log, NULL), 0);
    options.io = &cut_again.io;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_int_equal(varve_last_lsn(log), last);
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&cut_again);
    test_memory_close(&cut);
    test_fault_close(&fault);
    bed_end(&bed);
}

/* Half-done things go, strangers stay. */
static void test_takeover__tidies_up(void **state)
{
    (void)state;
    static const char *const ours[] = {"MANIFEST.tmp", "new-0000000000000009.tmp"};
    static const char *const strangers[] = {
        "notes.txt", "new-", "wal-1.seg", "spare", ".hidden", "MANIFEST~", "wal-0000000000000002.seg.bak"};
    struct test_bed bed;
    struct varve_dir *dir;
    struct varve_file *file;
    struct varve_io_stat stat;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 100);
    struct varve_io *io = &bed.memory.io;
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(io->open(io, dir, ours[i], VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
        io->close(io, file);
    }
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(io->open(io, dir, strangers[i], VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
        io->close(io, file);
    }
    assert_int_equal(bed_open(&bed), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(io->stat_name(io, dir, ours[i], &stat), -ENOENT);
    }
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    assert_int_equal(bed_shut(&bed), 0);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(io->stat_name(io, dir, strangers[i], &stat), 0);
    }
    io->dir_close(io, dir);
    bed_check(&bed);
    bed_end(&bed);
}

/* What cannot be removed is named. */
static void test_takeover__names_what_stays(void **state)
{
    (void)state;
    static const char name[] = "new-0000000000000009.tmp";
    struct test_bed bed;
    struct varve_dir *dir;
    struct varve_file *file;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 100);
    struct varve_io *io = &bed.memory.io;
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(io->open(io, dir, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    io->close(io, file);
    io->dir_close(io, dir);
    assert_true(test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_UNLINK,
                                                                     .prefix = "new-0",
                                                                     .action = TEST_FAULT_FAIL,
                                                                     .error = EIO}) >= 0);
    assert_int_equal(bed_open(&bed), VARVE_E_IO);
    assert_int_equal(bed.error.sys_errno, EIO);
    assert_non_null(strstr(bed.error.message, name));
    test_fault_disarm(&bed.fault);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* After a clean end the same segment is gone on with; other sizes and sectors start a fresh one. */
static void test_takeover__goes_on(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.mark_idle_ms = 3600000}, 100);
    for (int life = 0; life < 4; life++) {
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 5), 0);
        assert_int_equal(bed_stats(&bed).segments_opened, life == 0 || life == 3 ? 1 : 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed.options.segment_bytes = life == 1 ? 2 << 20 : 1 << 20;
        bed.options.sector_bytes = life == 2 ? 4096 : 0;
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(varve_last_lsn(bed.log), 5 * (life + 1));
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* A file with the last number that there is, whoever put it there: nothing comes behind that, and above all
 * not number 0, which no reader would see. */
static void test_takeover__last_number(void **state)
{
    (void)state;
    static const char *const names[] = {"wal-ffffffffffffffff.seg", "spare-ffffffffffffffff.seg"};
    for (unsigned i = 0; i < 2; i++) {
        struct test_bed bed;
        struct varve_dir *dir;
        struct varve_file *file;
        int rc;
        bed_start(&bed, BED_MEMORY, &(struct varve_options){.slot_bytes = 16384, .mark_idle_ms = 3600000},
                  15000);
        struct varve_io *io = &bed.memory.io;
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
        assert_int_equal(bed_shut(&bed), 0);
        assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
        assert_int_equal(io->open(io, dir, names[i], VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
        assert_int_equal(io->allocate(io, file, 1 << 20), 0);
        io->close(io, file);
        assert_int_equal(bed_open(&bed), 0);
        do {
            rc = test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL);
        } while (rc == 0 && bed.ledger.acked_count < 1000);
        assert_int_equal(rc, VARVE_E_LIMIT);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        /* As the message says: without it the log goes on. */
        assert_int_equal(io->unlink(io, dir, names[i]), 0);
        io->dir_close(io, dir);
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 300), 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

/* MANIFEST says that the log begins with a segment that has no header, as after a trim that came too early
 * and a power cut: however often it is opened, and whether anything is appended or not, it stays so. */
static void test_takeover__begins_with_a_blank(void **state)
{
    (void)state;
    static uint8_t zeros[1 << 20];
    for (unsigned records = 0; records < 2; records++) {
        struct test_sample sample;
        struct vv_manifest manifest;
        test_sample_make(&sample, TEST_SAMPLE_SMALL, 3, false);
        struct varve_dir *dir = test_sample_dir(&sample);
        assert_int_equal(vv_manifest_read(&sample.memory.io, dir, &manifest, NULL), 0);
        manifest.first_segment = 2;
        manifest.first_lsn = 4;
        manifest.last_lsn = 3;
        manifest.clean = 0;
        assert_int_equal(vv_manifest_write(&sample.memory.io, dir, &manifest, NULL), 0);
        sample.memory.io.dir_close(&sample.memory.io, dir);
        test_sample_unlink_segment(&sample, 1);
        test_sample_write_segment(&sample, 2, zeros, sizeof zeros);
        for (unsigned life = 0; life < 4; life++) {
            struct varve_log *log = test_sample_open(&sample, VARVE_POLICY_TRUNCATE);
            assert_int_equal(varve_first_lsn(log), 4);
            assert_int_equal(varve_last_lsn(log), 3 + records * life);
            test_sample_append(&sample, log, records);
            if (life % 2 == 0) {
                test_sample_crash(&sample, log);
            } else {
                assert_int_equal(varve_close(log, NULL), 0);
            }
        }
        test_sample_close(&sample);
    }
}

/* A loss that was accepted is no end: read-only, the log goes on behind it. */
static void test_takeover__looks_past_an_accepted_loss(void **state)
{
    (void)state;
    struct test_sample s;
    struct varve_log *log;
    test_sample_make(&s, TEST_SAMPLE_SMALL, 8, true);
    test_sample_flip(&s, 1, 4096 + 2 * 512 + 70, 1);
    assert_int_equal(varve_close(test_sample_open(&s, VARVE_POLICY_SKIP), NULL), 0);
    assert_int_equal(test_sample_try(&s, VARVE_POLICY_TRUNCATE, VARVE_OPEN_READ_ONLY, &log, NULL), 0);
    assert_int_equal(varve_last_lsn(log), 8);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takeover__names_are_made_durable),
        cmocka_unit_test(test_takeover__syncs_what_it_read),
        cmocka_unit_test(test_takeover__tidies_up),
        cmocka_unit_test(test_takeover__names_what_stays),
        cmocka_unit_test(test_takeover__goes_on),
        cmocka_unit_test(test_takeover__last_number),
        cmocka_unit_test(test_takeover__begins_with_a_blank),
        cmocka_unit_test(test_takeover__looks_past_an_accepted_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
