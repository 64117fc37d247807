/* SPDX-License-Identifier: Apache-2.0 */
#include "log/replace.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

struct place {
    struct test_memory memory;
    struct test_fault fault;
    struct varve_io *io;
    struct varve_dir *dir;
};

static void begin(struct place *p)
{
    test_memory_init(&p->memory, 512);
    test_fault_init(&p->fault, &p->memory.io);
    p->io = &p->fault.pass.io;
    assert_int_equal(p->io->dir_open(p->io, NULL, "log", 1, &p->dir, NULL), 0);
    assert_int_equal(p->io->dir_sync_parent(p->io, p->dir), 0);
}

static void end(struct place *p)
{
    p->io->dir_close(p->io, p->dir);
    assert_int_equal(atomic_load(&p->fault.open_files), 0);
    test_fault_close(&p->fault);
    test_memory_close(&p->memory);
}

static int write_text(struct place *p, const char *text)
{
    return vv_replace_file(p->io, p->dir, "FACT.tmp", "FACT", text, strlen(text));
}

static void expect(struct varve_io *io, struct varve_dir *dir, const char *text)
{
    char buf[64];
    size_t len = 99;
    assert_int_equal(vv_replace_read(io, dir, "FACT", buf, sizeof buf, &len), 0);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(buf, text, len);
}

/* Each call fails once, then the power: the old text or the new one, whole; after success the new one. */
static void test_replace__as_a_whole(void **state)
{
    (void)state;
    for (int n = -1; n < 7; n++) {
        struct test_memory cut;
        struct varve_dir *dir;
        struct place p;
        begin(&p);
        assert_int_equal(write_text(&p, "old"), 0);
        test_fault_fail_after(&p.fault, n, EIO);
        int rc = write_text(&p, "a new one");
        assert_int_equal(rc, n >= 0 && n < 6 ? -EIO : 0);
        test_fault_disarm(&p.fault);
        expect(p.io, p.dir, rc != 0 && n < 5 ? "old" : "a new one");
        test_memory_crash(&p.memory, TEST_CRASH_NOTHING, NULL, &cut);
        assert_int_equal(cut.io.dir_open(&cut.io, NULL, "log", 0, &dir, NULL), 0);
        expect(&cut.io, dir, rc != 0 ? "old" : "a new one");
        cut.io.dir_close(&cut.io, dir);
        test_memory_close(&cut);
        /* What was left half done is in nobody's way. */
        assert_int_equal(write_text(&p, "last"), 0);
        expect(p.io, p.dir, "last");
        end(&p);
    }
}

static void test_replace__pieces(void **state)
{
    (void)state;
    char buf[4];
    size_t len = 99;
    struct place p;
    begin(&p);
    assert_int_equal(vv_replace_read(p.io, p.dir, "FACT", buf, sizeof buf, &len), -ENOENT);
    assert_int_equal(len, 99);
    test_fault_arm(&p.fault, &(struct test_fault_rule){
                                 .op = TEST_OP_WRITE, .times = 2, .action = TEST_FAULT_SHORT, .bytes = 2});
    test_fault_arm(&p.fault,
                   &(struct test_fault_rule){.op = TEST_OP_WRITE, .after = 2, .times = 2, .error = EINTR});
    test_fault_arm(&p.fault, &(struct test_fault_rule){
                                 .op = TEST_OP_PREAD, .times = 2, .action = TEST_FAULT_SHORT, .bytes = 1});
    test_fault_arm(&p.fault,
                   &(struct test_fault_rule){.op = TEST_OP_PREAD, .after = 2, .times = 2, .error = EINTR});
    assert_int_equal(write_text(&p, "pieces"), 0);
    expect(p.io, p.dir, "pieces");
    /* More than there is room for: as much as fits. */
    assert_int_equal(vv_replace_read(p.io, p.dir, "FACT", buf, sizeof buf, &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(buf, "piec", 4);
    test_fault_disarm(&p.fault);
    test_fault_fail_once(&p.fault, TEST_OP_PREAD, 0, EIO);
    assert_int_equal(vv_replace_read(p.io, p.dir, "FACT", buf, sizeof buf, &len), -EIO);
    test_fault_arm(&p.fault,
                   &(struct test_fault_rule){.op = TEST_OP_WRITE, .action = TEST_FAULT_SHORT, .bytes = 0});
    assert_int_equal(write_text(&p, "nothing"), -EIO);
    expect(p.io, p.dir, "pieces");
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace__as_a_whole),
        cmocka_unit_test(test_replace__pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
