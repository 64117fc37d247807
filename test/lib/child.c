/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/child.h"

#include <assert.h>
#include <errno.h>
#ifdef VARVE_COVERAGE
#include <gcov.h>
#endif
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

_Noreturn void test_child_exit(int status)
{
    fflush(NULL);
#ifdef VARVE_COVERAGE
    __gcov_dump(); /* _exit leaves it out, and what the child reached counts too */
#endif
    _exit(status);
}

int test_child_run(int (*fn)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        alarm(60);
        test_child_exit(fn(arg));
    }
    int status;
    pid_t done;
    do {
        done = waitpid(pid, &status, 0);
    } while (done < 0 && errno == EINTR);
    assert(done == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool test_child_deny(long number, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int test_child_complain(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: in a child: does not hold: %s\n", file, line, condition);
    return line % 100 + 1;
}
