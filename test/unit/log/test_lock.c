/* SPDX-License-Identifier: Apache-2.0 */
#include "log/lock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/child.h"
#include "lib/tmp.h"
#include "varve/cursor.h"

static const struct varve_options plain = {.size = sizeof plain, .segment_bytes = 1 << 20};

static void test_lock__second_writer(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_error error = {0};
    struct varve_log *second = NULL;
    char words[64];
    int64_t pid;
    bool held = false;
    bed_start(&bed, BED_DISK, &plain, 100);
    assert_int_equal(varve_open(bed.path, &plain, &second, &error), VARVE_E_LOCKED);
    assert_null(second);
    snprintf(words, sizeof words, "process %ld ", (long)getpid());
    assert_non_null(strstr(error.message, words));
    assert_int_equal(vv_lock_held(bed.log->io, bed.log->dir, &held, &pid, NULL), 0);
    assert_true(held);
    assert_int_equal(pid, getpid());
    /* A reader is let in. */
    struct varve_options reading = plain;
    reading.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(varve_open(bed.path, &reading, &second, &error), 0);
    assert_int_equal(varve_close(second, NULL), 0);
    assert_int_equal(varve_open(bed.path, &plain, &second, &error), VARVE_E_LOCKED);
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(varve_open(bed.path, &plain, &second, &error), 0);
    assert_int_equal(varve_close(second, NULL), 0);
    bed_end(&bed);
}

/* In another process; also after the one that holds it was killed. */
struct other {
    const char *path;
    int ready[2], go[2];
};

static int other_holds(struct other *other)
{
    struct varve_log *log;
    char byte = 'x';
    TEST_CHILD_CHECK(varve_open(other->path, &plain, &log, NULL) == 0);
    TEST_CHILD_CHECK(varve_append(log, "12345678", 8, NULL) == 0);
    TEST_CHILD_CHECK(write(other->ready[1], &byte, 1) == 1);
    TEST_CHILD_CHECK(read(other->go[0], &byte, 1) == 1);
    return 0;
}

static void test_lock__dies_with_its_process(void **state)
{
    (void)state;
    char *path = test_tmp_new(), words[64], byte;
    struct other other = {.path = path};
    struct varve_error error = {0};
    struct varve_log *log;
    int status;
    assert_int_equal(pipe(other.ready), 0);
    assert_int_equal(pipe(other.go), 0);
    pid_t pid = fork();
    if (pid == 0) {
        test_child_exit(other_holds(&other));
    }
    assert_int_equal(read(other.ready[0], &byte, 1), 1);
    assert_int_equal(varve_open(path, &plain, &log, &error), VARVE_E_LOCKED);
    snprintf(words, sizeof words, "process %ld ", (long)pid);
    assert_non_null(strstr(error.message, words));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(varve_open(path, &plain, &log, &error), 0);
    assert_int_equal(varve_last_lsn(log), 1);
    assert_int_equal(varve_close(log, NULL), 0);
    for (int i = 0; i < 2; i++) {
        close(other.ready[i]);
        close(other.go[i]);
    }
    test_tmp_free(path);
}

/* What a forked child gets of its parent's log. */
static int child_of_log(struct varve_log *log, struct varve_cursor *cursor)
{
    struct varve_record record = {.data = "x", .data_bytes = 1};
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_entry entry;
    struct varve_error error = {0};
    struct varve_cursor *fresh;
    uint64_t lsn;
    int fd;
    TEST_CHILD_CHECK(varve_append(log, "x", 1, &lsn) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_append_record(log, &record, VARVE_STRICT, &lsn) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_append_async(log, &record, &lsn) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_append_batch(log, &record, 1, 0, 1, &lsn) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_wait(log, 1, 0) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_wait(log, 100, VARVE_WAIT_FOREVER) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_sync(log) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_trim(log, 1, NULL) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_on_durable(log, NULL, NULL) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_eventfd(log, &fd) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_stats_get(log, &stats) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_cursor_open(log, VARVE_POLICY_HALT, &fresh, &error) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(varve_cursor_next(cursor, &entry) == VARVE_E_FORKED);
    varve_cursor_close(cursor);
    TEST_CHILD_CHECK(varve_close(log, &error) == VARVE_E_FORKED);
    TEST_CHILD_CHECK(error.code == VARVE_E_FORKED);
    return 0;
}

static void test_lock__fork(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    struct varve_cursor *cursor;
    struct varve_log *log;
    int status;
    assert_int_equal(varve_open(path, &plain, &log, NULL), 0);
    assert_int_equal(varve_append(log, "12345678", 8, NULL), 0);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        test_child_exit(child_of_log(log, cursor));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    /* The parent's is unharmed, and still locked. */
    struct varve_log *second;
    assert_int_equal(varve_open(path, &plain, &second, NULL), VARVE_E_LOCKED);
    assert_int_equal(varve_append(log, "12345678", 8, NULL), 0);
    assert_int_equal(varve_durable_lsn(log), 2);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_open(path, &plain, &log, NULL), 0);
    assert_int_equal(varve_last_lsn(log), 2);
    assert_int_equal(varve_close(log, NULL), 0);
    test_tmp_free(path);
}

/* The parent is killed; its child, which knows nothing of logs, lives on. */
static void test_lock__child_outlives_parent(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    struct varve_log *log;
    int ready[2], status;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (varve_open(path, &plain, &log, NULL) != 0 || varve_append(log, "12345678", 8, NULL) != 0) {
            test_child_exit(1);
        }
        pid_t grandchild = fork();
        if (grandchild == 0) {
            /* Here, for only now the handlers of fork have run. Until the test ends it. */
            grandchild = getpid();
            alarm(60);
            if (write(ready[1], &grandchild, sizeof grandchild) != sizeof grandchild) {
                _exit(1);
            }
            for (;;) {
                pause();
            }
        }
        test_child_exit(grandchild > 0 ? 0 : 2);
    }
    pid_t grandchild = 0;
    assert_int_equal(read(ready[0], &grandchild, sizeof grandchild), sizeof grandchild);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(kill(grandchild, 0), 0);
    assert_int_equal(varve_open(path, &plain, &log, NULL), 0);
    assert_int_equal(varve_last_lsn(log), 1);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(kill(grandchild, SIGKILL), 0);
    close(ready[0]);
    close(ready[1]);
    test_tmp_free(path);
}

/* Forks when a call is made, once; the child lives until `go` is closed, and knows nothing of logs. */
struct forker {
    void (*close)(struct varve_io *io, struct varve_file *file);
    bool at_rename;
    const struct varve_file *at_close;
    int go[2];
    pid_t pid;
};

static struct forker forker;

static void forker_fork(void)
{
    int ready[2];
    char byte = 'x';
    assert_int_equal(pipe(forker.go), 0);
    assert_int_equal(pipe(ready), 0);
    forker.pid = fork();
    if (forker.pid == 0) {
        close(forker.go[1]);
        /* Only now the handlers of fork have run. */
        _exit(write(ready[1], &byte, 1) == 1 && read(forker.go[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(forker.go[0]);
}

static int forker_hook(void *arg, const struct test_fault_call *call)
{
    (void)arg;
    if (forker.at_rename && call->op == TEST_OP_RENAME) {
        forker.at_rename = false;
        forker_fork();
    }
    return 0;
}

static void forker_close(struct varve_io *io, struct varve_file *file)
{
    if (forker.at_close == file) {
        forker.at_close = NULL;
        forker_fork();
    }
    forker.close(io, file);
}

/* A fork while a log is being opened, or closed: the child gets no part of the lock then either. */
static void test_lock__fork_in_between(void **state)
{
    (void)state;
    for (int closing = 0; closing < 2; closing++) {
        struct test_bed bed;
        bed_init(&bed, BED_DISK, &plain, 100);
        forker = (struct forker){.close = bed.fault.pass.io.close, .at_rename = !closing};
        bed.fault.pass.io.close = forker_close;
        test_fault_set_hook(&bed.fault, forker_hook, NULL);
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
        forker.at_close = closing ? bed.log->current->file : NULL;
        assert_int_equal(bed_shut(&bed), 0);
        assert_true(forker.pid > 0);
        assert_int_equal(bed_open(&bed), 0);
        assert_int_equal(bed_shut(&bed), 0);
        int status;
        close(forker.go[1]);
        assert_int_equal(waitpid(forker.pid, &status, 0), forker.pid);
        assert_int_equal(status, 0);
        bed_check(&bed);
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock__second_writer),
        cmocka_unit_test(test_lock__dies_with_its_process),
        cmocka_unit_test(test_lock__fork),
        cmocka_unit_test(test_lock__child_outlives_parent),
        cmocka_unit_test(test_lock__fork_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
