/* SPDX-License-Identifier: Apache-2.0 */
/* A process forks while its log is open and its threads are appending: the child's log refuses every call and
 * is freed without touching a file; the parent's goes on, and its lock goes with it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/child.h"
#include "lib/crew.h"
#include "lib/tmp.h"

enum {
    THREADS = 4,
    FORKS = 12
};

struct forking {
    struct varve_log *log;
    _Atomic uint32_t stop;
    _Atomic uint32_t ids;
    _Atomic uint64_t records;
    _Atomic uint64_t failed;
};

static void *run_appender(void *arg)
{
    struct forking *f = arg;
    unsigned char payload[700];
    uint32_t id = atomic_fetch_add(&f->ids, 1), number = 0;

    while (!atomic_load(&f->stop)) {
        struct varve_record record = {.data = payload, .data_bytes = sizeof payload};
        int rc;

        test_crew_fill(payload, sizeof payload, id, number++);
        rc = number % 3 ? varve_append_async(f->log, &record, NULL)
                        : varve_append(f->log, payload, sizeof payload, NULL);
        if (rc != 0)
            atomic_fetch_add(&f->failed, 1);
        atomic_fetch_add(&f->records, 1);
        test_watchdog_alive();
    }
    return NULL;
}

#define CHILD_EXPECT(condition, status) \
    do {                                \
        if (!(condition))               \
            test_child_exit(status);    \
    } while (0)

static void live_in_child(struct varve_log *log)
{
    struct varve_cursor *cursor;
    struct varve_error error = {0};
    uint64_t first;

    alarm(20); /* a lock that nobody will release must not look like patience */
    CHILD_EXPECT(varve_append(log, "x", 1, NULL) == VARVE_E_FORKED, 10);
    CHILD_EXPECT(varve_append_async(log, &(struct varve_record){0}, NULL) == VARVE_E_FORKED, 11);
    CHILD_EXPECT(varve_wait(log, 1, 0) == VARVE_E_FORKED, 12);
    CHILD_EXPECT(varve_wait(log, UINT64_MAX, VARVE_WAIT_FOREVER) == VARVE_E_FORKED, 13);
    CHILD_EXPECT(varve_sync(log) == VARVE_E_FORKED, 14);
    CHILD_EXPECT(varve_trim(log, 1, &first) == VARVE_E_FORKED, 15);
    CHILD_EXPECT(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error) == VARVE_E_FORKED, 16);
    CHILD_EXPECT(varve_close(log, &error) == VARVE_E_FORKED, 17);
    test_child_exit(0);
}

static void run_forks(enum varve_durability durability)
{
    struct varve_options options = {.size = sizeof options,
                                    .durability = durability,
                                    .slot_bytes = 4096,
                                    .slot_count = 8,
                                    .segment_bytes = 1 << 20};
    struct forking f = {0};
    struct varve_error error = {0};
    pthread_t threads[THREADS];
    char *dir = test_tmp_new();
    uint64_t seen = 0;
    pid_t last;
    int pipes[2], status;

    assert_int_equal(varve_open(dir, &options, &f.log, &error), 0);
    assert_int_equal(pipe(pipes), 0);
    test_watchdog_start("forks", 20);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_appender, &f), 0);
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t pid;

        while (atomic_load(&f.records) < seen + 50)
            sched_yield();
        seen = atomic_load(&f.records);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            live_in_child(f.log);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    /* A child that lives on does not hold the parent's lock. */
    last = fork();
    if (last == 0) {
        char c;

        close(pipes[1]);
        test_child_exit(read(pipes[0], &c, 1) == 0 ? 0 : 1);
    }
    atomic_store(&f.stop, 1);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    test_watchdog_stop();
    assert_int_equal(atomic_load(&f.failed), 0);
    assert_int_equal(varve_close(f.log, &error), 0);
    assert_int_equal(varve_open(dir, &options, &f.log, &error), 0);
    assert_int_equal(test_crew_read_log(f.log, 0, NULL), atomic_load(&f.records));
    assert_int_equal(varve_close(f.log, &error), 0);
    close(pipes[1]);
    close(pipes[0]);
    assert_int_equal(waitpid(last, &status, 0), last);
    assert_int_equal(status, 0);
    test_tmp_free(dir);
}

static void test_thread_fork__group(void **state)
{
    (void)state;
    run_forks(VARVE_GROUP);
}

static void test_thread_fork__buffered(void **state)
{
    (void)state;
    run_forks(VARVE_BUFFERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_fork__group),
        cmocka_unit_test(test_thread_fork__buffered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
