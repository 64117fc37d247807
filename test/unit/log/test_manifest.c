/* SPDX-License-Identifier: Apache-2.0 */
#include "log/manifest.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

/* A directory in memory with a manifest that says `segment`. */
static void write_one(struct varve_io *io, struct varve_dir *dir, uint64_t segment, int expect)
{
    struct vv_manifest m = {.uuid = {1, 2, 3}, .created_us = 5, .first_segment = segment, .first_lsn = 9};
    struct varve_error error = {0};
    assert_int_equal(vv_manifest_write(io, dir, &m, &error), expect);
    assert_int_equal(error.code, expect);
}

static uint64_t read_one(struct varve_io *io, struct varve_dir *dir)
{
    struct vv_manifest m = {.first_segment = 0};
    assert_int_equal(vv_manifest_read(io, dir, &m, NULL), 0);
    assert_int_equal(m.first_lsn, 9);
    return m.first_segment;
}

/* Whatever fails, and then the power: the old one or the new one is there, whole; and after success the new
 * one. */
static void test_manifest__replaced_as_a_whole(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    for (int n = -1; n < 8; n++) {
        for (unsigned e = 0; e < 3; e++) {
            struct test_memory memory, cut;
            struct test_fault fault;
            struct varve_dir *dir, *cut_dir;
            test_memory_init(&memory, 512);
            test_fault_init(&fault, &memory.io);
            struct varve_io *io = &fault.pass.io;
            assert_int_equal(io->dir_open(io, NULL, "log", 1, &dir, NULL), 0);
            assert_int_equal(io->dir_sync_parent(io, dir), 0);
            write_one(io, dir, 1, 0);
            test_fault_fail_after(&fault, n, errors[e]);
            bool fails = n >= 0 && n < 6;
            write_one(io, dir, 2, !fails ? 0 : errors[e] == EIO ? VARVE_E_IO : VARVE_E_NOSPC);
            test_fault_disarm(&fault);
            test_memory_crash(&memory, TEST_CRASH_NOTHING, NULL, &cut);
            assert_int_equal(cut.io.dir_open(&cut.io, NULL, "log", 0, &cut_dir, NULL), 0);
            assert_int_equal(read_one(&cut.io, cut_dir), fails ? 1 : 2);
            cut.io.dir_close(&cut.io, cut_dir);
            test_memory_close(&cut);
            assert_true(read_one(io, dir) == (fails && n < 5 ? 1 : 2));
            /* What was left half done is in nobody's way. */
            write_one(io, dir, 3, 0);
            assert_int_equal(read_one(io, dir), 3);
            io->dir_close(io, dir);
            assert_int_equal(atomic_load(&fault.open_files), 0);
            test_fault_close(&fault);
            test_memory_close(&memory);
        }
    }
}

static void test_manifest__short_writes_and_signals(void **state)
{
    (void)state;
    struct test_memory memory;
    struct test_fault fault;
    struct varve_dir *dir;
    test_memory_init(&memory, 512);
    test_fault_init(&fault, &memory.io);
    struct varve_io *io = &fault.pass.io;
    assert_int_equal(io->dir_open(io, NULL, "log", 1, &dir, NULL), 0);
    test_fault_arm(&fault, &(struct test_fault_rule){
                               .op = TEST_OP_WRITE, .times = 5, .action = TEST_FAULT_SHORT, .bytes = 7});
    test_fault_arm(&fault,
                   &(struct test_fault_rule){.op = TEST_OP_WRITE, .after = 5, .times = 3, .error = EINTR});
    test_fault_arm(&fault, &(struct test_fault_rule){
                               .op = TEST_OP_PREAD, .times = 5, .action = TEST_FAULT_SHORT, .bytes = 3});
    test_fault_arm(&fault,
                   &(struct test_fault_rule){.op = TEST_OP_PREAD, .after = 5, .times = 3, .error = EINTR});
    write_one(io, dir, 4, 0);
    assert_int_equal(read_one(io, dir), 4);
    test_fault_disarm(&fault);
    test_fault_arm(&fault, &(struct test_fault_rule){
                               .op = TEST_OP_WRITE, .times = 1, .action = TEST_FAULT_SHORT, .bytes = 0});
    write_one(io, dir, 5, VARVE_E_IO);
    assert_int_equal(read_one(io, dir), 4);
    io->dir_close(io, dir);
    test_fault_close(&fault);
    test_memory_close(&memory);
}

static void test_manifest__reading(void **state)
{
    (void)state;
    struct test_memory memory;
    struct test_fault fault;
    struct varve_dir *dir, *below;
    struct vv_manifest m;
    struct varve_error error = {0};
    test_memory_init(&memory, 512);
    test_fault_init(&fault, &memory.io);
    struct varve_io *io = &fault.pass.io;
    assert_int_equal(io->dir_open(io, NULL, "log", 1, &dir, NULL), 0);
    memset(&m, 0x55, sizeof m);
    const struct vv_manifest untouched = m;
    assert_int_equal(vv_manifest_read(io, dir, &m, &error), VARVE_E_NOT_FOUND);
    write_one(io, dir, 4, 0);
    test_fault_fail_once(&fault, TEST_OP_OPEN, 0, EACCES);
    assert_int_equal(vv_manifest_read(io, dir, &m, &error), VARVE_E_IO);
    assert_int_equal(error.sys_errno, EACCES);
    test_fault_fail_once(&fault, TEST_OP_PREAD, 0, EIO);
    assert_int_equal(vv_manifest_read(io, dir, &m, &error), VARVE_E_IO);
    test_fault_arm(&fault,
                   &(struct test_fault_rule){.op = TEST_OP_PREAD, .action = TEST_FAULT_FLIP, .bytes = 40});
    assert_int_equal(vv_manifest_read(io, dir, &m, &error), VARVE_E_CORRUPT);
    assert_int_equal(io->unlink(io, dir, VV_MANIFEST_NAME), 0);
    assert_int_equal(io->dir_open(io, dir, VV_MANIFEST_NAME, 1, &below, NULL), 0);
    assert_int_equal(vv_manifest_read(io, dir, &m, &error), VARVE_E_NOT_REGULAR);
    assert_memory_equal(&m, &untouched, sizeof m);
    io->dir_close(io, below);
    io->dir_close(io, dir);
    test_fault_close(&fault);
    test_memory_close(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest__replaced_as_a_whole),
        cmocka_unit_test(test_manifest__short_writes_and_signals),
        cmocka_unit_test(test_manifest__reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
