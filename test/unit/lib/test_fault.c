/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/contract.h"
#include "lib/memory.h"

struct stack {
    struct test_memory memory;
    struct test_fault fault;
    struct varve_io *io;
    struct varve_dir *dir;
    struct varve_file *file; /* "wal-1" */
};

static int setup(void **state)
{
    static struct stack stack;
    test_memory_init(&stack.memory, 512);
    test_fault_init(&stack.fault, &stack.memory.io);
    stack.io = &stack.fault.pass.io;
    *state = &stack;
    int rc = stack.io->dir_open(stack.io, NULL, ".", 0, &stack.dir, NULL);
    const unsigned flags = VARVE_IO_WRITE | VARVE_IO_CREATE;
    return rc != 0 ? rc : stack.io->open(stack.io, stack.dir, "wal-1", flags, &stack.file);
}

static int teardown(void **state)
{
    struct stack *stack = *state;
    assert_int_equal(stack->fault.open_files, 1);
    stack->io->close(stack->io, stack->file);
    stack->io->dir_close(stack->io, stack->dir);
    assert_int_equal(stack->fault.open_files, 0);
    assert_int_equal(stack->fault.open_dirs, 0);
    test_fault_close(&stack->fault);
    test_memory_close(&stack->memory);
    return 0;
}

static ssize_t put(struct stack *stack, const char *text, int dsync)
{
    /* In two pieces, the second one from the third byte on. */
    struct iovec iov[2] = {{(void *)(uintptr_t)text, 2}, {(void *)(uintptr_t)(text + 2), strlen(text) - 2}};
    return stack->io->pwritev(stack->io, stack->file, iov, 2, 0, dsync);
}

static void expect_content(struct stack *stack, const char *text)
{
    char buf[64] = "";
    assert_int_equal(stack->io->pread(stack->io, stack->file, buf, sizeof buf - 1, 0), strlen(text));
    assert_string_equal(buf, text);
}

static void test_fault__nth_call_of_a_kind(void **state)
{
    struct stack *stack = *state;
    int rule = test_fault_fail_once(&stack->fault, TEST_OP_WRITE_DSYNC, 2, ENOSPC);
    assert_int_equal(put(stack, "one", 1), 3);
    assert_int_equal(put(stack, "two", 0), 3);
    assert_int_equal(put(stack, "three", 1), 5);
    assert_int_equal(test_fault_hits(&stack->fault, rule), 0);
    assert_int_equal(put(stack, "four", 1), -ENOSPC);
    expect_content(stack, "three");
    assert_int_equal(test_fault_hits(&stack->fault, rule), 1);
    assert_int_equal(put(stack, "five!", 1), 5);
    expect_content(stack, "five!");
    assert_int_equal(test_fault_calls(&stack->fault, TEST_OP_WRITE_DSYNC), 4);
    assert_int_equal(test_fault_calls(&stack->fault, TEST_OP_WRITE), 1);
    assert_int_equal(test_fault_calls(&stack->fault, TEST_OP_ANY_WRITE), 5);
    test_fault_reset_calls(&stack->fault);
    assert_int_equal(test_fault_calls(&stack->fault, TEST_OP_ANY), 0);
}

static void test_fault__for_ever_until_disarmed(void **state)
{
    struct stack *stack = *state;
    (void)test_fault_fail_always(&stack->fault, TEST_OP_SYNC, 1, EIO);
    assert_int_equal(stack->io->sync(stack->io, stack->file), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(stack->io->sync(stack->io, stack->file), -EIO);
    }
    test_fault_disarm(&stack->fault);
    assert_int_equal(stack->io->sync(stack->io, stack->file), 0);
}

static void test_fault__only_files_of_that_name(void **state)
{
    struct stack *stack = *state;
    struct varve_file *other;
    struct test_fault_rule rule = {
        .op = TEST_OP_ANY, .prefix = "MANI", .times = TEST_FAULT_FOREVER, .error = EROFS};
    (void)test_fault_arm(&stack->fault, &rule);
    assert_int_equal(put(stack, "fine", 1), 4);
    const unsigned flags = VARVE_IO_WRITE | VARVE_IO_CREATE;
    assert_int_equal(stack->io->open(stack->io, stack->dir, "MANIFEST", flags, &other), -EROFS);
    /* A rename is about both its names. */
    assert_int_equal(stack->io->rename(stack->io, stack->dir, "wal-1", "MANIFEST", 1), -EROFS);
    assert_int_equal(stack->io->unlink(stack->io, stack->dir, "MANIFEST"), -EROFS);
    assert_int_equal(stack->io->unlink(stack->io, stack->dir, "other"), -ENOENT);
}

static void test_fault__short(void **state)
{
    struct stack *stack = *state;
    char buf[8];
    struct test_fault_rule rule = {.op = TEST_OP_ANY, .times = 3, .action = TEST_FAULT_SHORT, .bytes = 3};
    (void)test_fault_arm(&stack->fault, &rule);
    assert_int_equal(put(stack, "abcdef", 1), 3);
    assert_int_equal(put(stack, "AB", 1), 2);
    assert_int_equal(stack->io->pread(stack->io, stack->file, buf, 8, 1), 2);
    expect_content(stack, "ABc");
}

static void test_fault__partial(void **state)
{
    struct stack *stack = *state;
    struct test_fault_rule rule = {
        .op = TEST_OP_ANY_WRITE, .action = TEST_FAULT_PARTIAL, .bytes = 4, .error = EINTR};
    (void)test_fault_arm(&stack->fault, &rule);
    assert_int_equal(put(stack, "abcdef", 1), -EINTR);
    expect_content(stack, "abcd");
    /* A call without a half happens, and fails all the same. */
    rule = (struct test_fault_rule){.op = TEST_OP_RENAME, .action = TEST_FAULT_PARTIAL};
    (void)test_fault_arm(&stack->fault, &rule);
    struct varve_io_stat st;
    assert_int_equal(stack->io->rename(stack->io, stack->dir, "wal-1", "wal-2", 0), -EIO);
    assert_int_equal(stack->io->stat_name(stack->io, stack->dir, "wal-2", &st), 0);
}

static void test_fault__lie(void **state)
{
    struct stack *stack = *state;
    struct test_fault_rule rule = {
        .op = TEST_OP_ANY_CHANGE, .times = TEST_FAULT_FOREVER, .action = TEST_FAULT_LIE};
    assert_int_equal(put(stack, "truth", 0), 5);
    (void)test_fault_arm(&stack->fault, &rule);
    assert_int_equal(put(stack, "lies!!", 1), 6);
    assert_int_equal(stack->io->sync(stack->io, stack->file), 0);
    assert_int_equal(stack->io->truncate(stack->io, stack->file, 0), 0);
    assert_int_equal(stack->io->unlink(stack->io, stack->dir, "wal-1"), 0);
    assert_int_equal(stack->io->dir_sync(stack->io, stack->dir), 0);
    expect_content(stack, "truth");
    test_fault_disarm(&stack->fault);
    struct test_memory crashed;
    struct varve_dir *dir;
    struct varve_io_stat st;
    test_memory_crash(&stack->memory, TEST_CRASH_NOTHING, NULL, &crashed);
    assert_int_equal(crashed.io.dir_open(&crashed.io, NULL, ".", 0, &dir, NULL), 0);
    assert_int_equal(crashed.io.stat_name(&crashed.io, dir, "wal-1", &st), -ENOENT);
    crashed.io.dir_close(&crashed.io, dir);
    test_memory_close(&crashed);
}

static void test_fault__flip(void **state)
{
    struct stack *stack = *state;
    struct test_fault_rule rule = {.op = TEST_OP_PREAD, .action = TEST_FAULT_FLIP, .bytes = 1};
    assert_int_equal(put(stack, "abc", 0), 3);
    (void)test_fault_arm(&stack->fault, &rule);
    expect_content(stack, "acc");
    expect_content(stack, "abc");
    rule.op = TEST_OP_WRITE;
    (void)test_fault_arm(&stack->fault, &rule);
    assert_int_equal(put(stack, "abc", 0), 3);
    expect_content(stack, "acc");
}

static void test_fault__countdown_over_all(void **state)
{
    struct stack *stack = *state;
    uint64_t bytes;
    for (long n = 0; n < 5; n++) {
        test_fault_fail_after(&stack->fault, n, EDQUOT);
        int rcs[] = {
            stack->io->sync(stack->io, stack->file),
            stack->io->space(stack->io, stack->dir, &bytes),
            stack->io->dir_sync(stack->io, stack->dir),
            (int)stack->io->pread(stack->io, stack->file, &bytes, 1, 0),
            stack->io->random(stack->io, &bytes, sizeof bytes),
        };
        for (long i = 0; i < 5; i++) {
            assert_int_equal(rcs[i], i == n ? -EDQUOT : 0);
        }
        assert_true(test_fault_left(&stack->fault) < 0);
    }
    test_fault_fail_after(&stack->fault, 3, EDQUOT);
    assert_int_equal(stack->io->sync(stack->io, stack->file), 0);
    assert_int_equal(test_fault_left(&stack->fault), 2);
    test_fault_disarm(&stack->fault);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(stack->io->sync(stack->io, stack->file), 0);
    }
}

static void test_fault__first_rule_decides(void **state)
{
    struct stack *stack = *state;
    int first = test_fault_fail_once(&stack->fault, TEST_OP_SYNC, 0, EIO);
    int second = test_fault_fail_once(&stack->fault, TEST_OP_ANY, 1, ENOSPC);
    assert_int_equal(stack->io->sync(stack->io, stack->file), -EIO);
    assert_int_equal(stack->io->sync(stack->io, stack->file), -ENOSPC);
    assert_int_equal(stack->io->sync(stack->io, stack->file), 0);
    assert_int_equal(test_fault_hits(&stack->fault, first), 1);
    assert_int_equal(test_fault_hits(&stack->fault, second), 1);
}

static int note_call(void *arg, const struct test_fault_call *call)
{
    struct test_fault_call *last = arg;
    *last = *call;
    return call->op == TEST_OP_TRUNCATE ? -EPERM : 0;
}

static void test_fault__hook_sees_each_call(void **state)
{
    struct stack *stack = *state;
    struct test_fault_call last;
    test_fault_set_hook(&stack->fault, note_call, &last);
    struct iovec iov = {"abc", 3};
    assert_int_equal(stack->io->pwritev(stack->io, stack->file, &iov, 1, 77, 1), 3);
    assert_int_equal(last.op, TEST_OP_WRITE_DSYNC);
    assert_string_equal(last.name, "wal-1");
    assert_int_equal(last.offset, 77);
    assert_int_equal(last.bytes, 3);
    assert_int_equal(stack->io->truncate(stack->io, stack->file, 5), -EPERM);
    assert_int_equal(last.bytes, 5);
    test_fault_set_hook(&stack->fault, NULL, NULL);
    assert_int_equal(stack->io->truncate(stack->io, stack->file, 5), 0);
}

/* Opening that fails above, after it has succeeded below, leaves nothing open below. */
static void test_fault__failed_open_leaks_nothing(void **state)
{
    struct stack *stack = *state;
    struct varve_file *file = NULL;
    struct varve_dir *dir = NULL;
    struct test_fault_rule rule = {
        .op = TEST_OP_ANY, .times = 2, .action = TEST_FAULT_PARTIAL, .error = EMFILE};
    (void)test_fault_arm(&stack->fault, &rule);
    assert_int_equal(stack->io->open(stack->io, stack->dir, "wal-1", VARVE_IO_READ, &file), -EMFILE);
    assert_int_equal(stack->io->dir_open(stack->io, stack->dir, "d", 1, &dir, NULL), -EMFILE);
    assert_null(file);
    assert_null(dir);
}

static void test_fault__op_names(void **state)
{
    (void)state;
    for (int i = 0; i < TEST_OP_COUNT; i++) {
        assert_non_null(test_op_name((enum test_op)i));
    }
    assert_string_equal(test_op_name(TEST_OP_WRITE_DSYNC), "write_dsync");
    assert_string_equal(test_op_name(TEST_OP_ANY), "any");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_fault__nth_call_of_a_kind),
        CASE(test_fault__for_ever_until_disarmed),
        CASE(test_fault__only_files_of_that_name),
        CASE(test_fault__short),
        CASE(test_fault__partial),
        CASE(test_fault__lie),
        CASE(test_fault__flip),
        CASE(test_fault__countdown_over_all),
        CASE(test_fault__first_rule_decides),
        CASE(test_fault__hook_sees_each_call),
        CASE(test_fault__failed_open_leaks_nothing),
        cmocka_unit_test(test_fault__op_names),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    struct test_memory memory;
    struct test_fault fault;
    test_memory_init(&memory, 4096);
    test_fault_init(&fault, &memory.io);
    failed += test_contract_run("fault on memory", &fault.pass.io, "");
    test_fault_close(&fault);
    test_memory_close(&memory);
    return failed;
}
