/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of a test that changes its process (limits, rights, descriptors) runs in one of its own. */
#ifndef TEST_LIB_CHILD_H
#define TEST_LIB_CHILD_H

#include <stdbool.h>

/*
 * Runs fn(arg) in a forked child and gives what it returned (0 to 127), or -signal if a signal ended it. The
 * child must not use cmocka's assertions; it is ended after 60 seconds. No other thread may be running.
 */
int test_child_run(int (*fn)(void *arg), void *arg);

/* Ends a forked child, of this or of any other making, without what the parent has to do at its exit. */
_Noreturn void test_child_exit(int status);

/* For the child: from now on the system call `number` (SYS_...) fails with `error`. False where the kernel
 * does not allow this. Source: seccomp(2), SECCOMP_RET_ERRNO. */
bool test_child_deny(long number, int error);

/* For the child: returns the line's number modulo 100, plus 1, from the calling function if `condition` does
 * not hold, after printing it. */
#define TEST_CHILD_CHECK(condition)                                     \
    do {                                                                \
        if (!(condition)) {                                             \
            return test_child_complain(__FILE__, __LINE__, #condition); \
        }                                                               \
    } while (0)

int test_child_complain(const char *file, int line, const char *condition);

enum {
    TEST_CHILD_SKIPPED = 127
};

#endif
