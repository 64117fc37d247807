/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an append in `buffered` mode does not do: allocate, call the system, look up a path; and what a log
 * does not do, however long it runs: grow.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "lib/child.h"
#include "lib/tmp.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const struct varve_options buffered = {
    .size = sizeof buffered, .durability = VARVE_BUFFERED, .slot_bytes = 1 << 20, .mark_idle_ms = 3600000};

/* Every allocation from now on would fail: an append, also one that waits for the disk, does not notice. */
static void test_fast_path__allocates_nothing(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_MEMORY, VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP,
                                                  VARVE_STRICT};
    for (unsigned i = 0; i < 5; i++) {
        struct test_bed bed;
        bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = modes[i], .mark_idle_ms = 3600000},
                  100);
        /* The segment is large enough that no other one is made. */
        const struct varve_record record = {.data = "12345678", .data_bytes = 8};
        vv_alloc_fail_after(0);
        for (int n = 0; n < 200; n++) {
            assert_int_equal(varve_append_async(bed.log, &record, NULL), 0);
            assert_int_equal(varve_append_record(bed.log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
        }
        if (modes[i] != VARVE_MEMORY) {
            assert_int_equal(varve_sync(bed.log), 0);
        }
        long left = vv_alloc_fail_left();
        vv_alloc_fail_after(-1);
        assert_int_equal(left, 0);
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

/* The one thread that may not call the system is ended by the signal if it does; glibc's clock needs none. */
static _Atomic long trapped;

static void on_trap(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    /* Goes back with an error in place of what the call would have given. */
    atomic_store(&trapped, (long)info->si_syscall);
}

static int trap_calls(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    const struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return -1;
    }
    /* For this thread alone: the log's own go on. */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int run_without_calls(void *arg)
{
    struct varve_log *log;
    static char data[128];
    const struct varve_record record = {.data = data, .data_bytes = sizeof data};
    uint64_t lsn = 0;
    TEST_CHILD_CHECK(varve_open(arg, &buffered, &log, NULL) == 0);
    /* The first record opens a slot. What follows fits into it. */
    TEST_CHILD_CHECK(varve_append_async(log, &record, NULL) == 0);
    if (trap_calls() != 0) {
        _exit(TEST_CHILD_SKIPPED);
    }
    for (int i = 0; i < 5000; i++) {
        if (varve_append_async(log, &record, &lsn) != 0) {
            _exit(1);
        }
    }
    if (atomic_load(&trapped) != 0) {
        _exit(2);
    }
    /* And the trap works. */
    (void)getppid();
    _exit(atomic_load(&trapped) == SYS_getppid && lsn == 5001 ? 0 : 3);
}

static void test_fast_path__calls_nothing(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip();
    }
    char *dir = test_tmp_new();
    int rc = test_child_run(run_without_calls, dir);
    test_tmp_free(dir);
    if (rc == TEST_CHILD_SKIPPED) {
        print_message("the kernel does not let calls be trapped\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

static uint64_t peak_kib(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmHWM: %llu kB", &kib);
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

enum {
    MANY = 2000000
};

static int run_bounded(void *arg)
{
    const enum varve_durability durability = *(const enum varve_durability *)arg;
    struct varve_options options = buffered;
    struct varve_log *log;
    char *dir = test_tmp_new();
    options.durability = durability;
    options.segment_bytes = 16 << 20;
    options.slot_bytes = 65536;
    options.slot_count = 16;
    static char data[64];
    const struct varve_record record = {.data = data, .data_bytes = sizeof data};
    uint64_t before = peak_kib();
    TEST_CHILD_CHECK(before > 0);
    TEST_CHILD_CHECK(varve_open(dir, &options, &log, NULL) == 0);
    for (int i = 0; i < MANY; i++) {
        TEST_CHILD_CHECK(varve_append_async(log, &record, NULL) == 0);
        if (i % 100000 == 99999 && durability != VARVE_MEMORY) {
            TEST_CHILD_CHECK(varve_trim(log, varve_durable_lsn(log), NULL) == 0);
        }
    }
    TEST_CHILD_CHECK(varve_last_lsn(log) == MANY);
    uint64_t after = peak_kib();
    /* The ring and a mebibyte. */
    fprintf(stderr, "mode %d: %llu KiB more at the peak\n", durability, (unsigned long long)(after - before));
    TEST_CHILD_CHECK(after - before < 1024 + 1024);
    TEST_CHILD_CHECK(varve_close(log, NULL) == 0);
    test_tmp_free(dir);
    return 0;
}

static void test_fast_path__memory_is_bounded(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip();
    }
    enum varve_durability modes[] = {VARVE_MEMORY, VARVE_BUFFERED};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(test_child_run(run_bounded, &modes[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fast_path__allocates_nothing),
        cmocka_unit_test(test_fast_path__calls_nothing),
        cmocka_unit_test(test_fast_path__memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
