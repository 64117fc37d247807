/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

enum {
    DESCRIPTORS = 256 /* a leak is among the first: the lowest free one is given */
};

/* What a case leaves for its parent. */
struct fault_shared {
    struct fault_found found;
    char step[FAULT_STEP];
};

/* In place of the C library's, which opens a file under /proc: that makes the end of a process dear, and each
 * case is one. */
int pthread_setname_np(pthread_t thread, const char *name)
{
    (void)thread;
    (void)name;
    return 0;
}

void fault_pool_init(struct fault_pool *pool, unsigned jobs)
{
    memset(pool, 0, sizeof *pool);
    pool->jobs = jobs;
    for (unsigned i = 0; i < jobs; i++) {
        pool->job[i].output = memfd_create("output", MFD_CLOEXEC);
        pool->job[i].shared = mmap(NULL, sizeof *pool->job[i].shared, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert(pool->job[i].output >= 0 && pool->job[i].shared != MAP_FAILED);
    }
}

void fault_pool_close(struct fault_pool *pool)
{
    for (unsigned i = 0; i < pool->jobs; i++) {
        close(pool->job[i].output);
        munmap(pool->job[i].shared, sizeof *pool->job[i].shared);
    }
}

static unsigned pool_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void pool_case(struct fault_pool *pool, size_t number, const struct fault_case *fault,
                      struct fault_shared *shared)
{
    static struct fault_run run;
    unsigned descriptors = pool_descriptors();
    fault_run_init(&run, pool->scenario, pool->base, fault, pool->tooth, shared->step);
    fault_run_tell(&run);
    fault_check(&run, pool->seed + number, &shared->found);
    if (pool_descriptors() != descriptors) {
        fault_die(&run, "descriptors were left open");
    }
    fault_run_close(&run);
    fault_base_close(pool->base);
}

void fault_pool_here(struct fault_pool *pool, size_t number, const struct fault_case *fault)
{
    struct fault_shared shared;
    memset(&shared, 0, sizeof shared);
    pool_case(pool, number, fault, &shared);
}

static void pool_child(struct fault_job *job, unsigned seconds)
{
    (void)dup2(job->output, STDOUT_FILENO);
    (void)dup2(job->output, STDERR_FILENO);
    alarm(seconds);
}

/* The end of what it has printed says most. */
static void pool_output(struct fault_job *job, char *text, size_t size)
{
    off_t bytes = lseek(job->output, 0, SEEK_END), from = bytes < (off_t)size ? 0 : bytes - (off_t)size + 1;
    ssize_t n = pread(job->output, text, size - 1, from);
    text[n > 0 ? n : 0] = '\0';
}

static void pool_judge(struct fault_job *job, int status, struct fault_outcome *ret_outcome)
{
    char output[FAULT_MESSAGE - FAULT_STEP - 64];
    *ret_outcome = (struct fault_outcome){.found = job->shared->found};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return;
    }
    ret_outcome->wrong = true;
    pool_output(job, output, sizeof output);
    if (WIFSIGNALED(status)) {
        snprintf(ret_outcome->message, sizeof ret_outcome->message, "%s at '%s'%s%s",
                 WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)), job->shared->step,
                 output[0] != '\0' ? ": " : "", output);
    } else {
        snprintf(ret_outcome->message, sizeof ret_outcome->message, "%s", output);
    }
}

/* Waits for one to end. */
static void pool_reap(struct fault_pool *pool)
{
    static struct fault_outcome outcome;
    int status;
    pid_t pid;
    do {
        pid = waitpid(-1, &status, 0);
    } while (pid < 0 && errno == EINTR);
    assert(pid > 0);
    for (unsigned i = 0; i < pool->jobs; i++) {
        struct fault_job *job = &pool->job[i];
        if (job->pid == pid) {
            job->pid = 0;
            pool_judge(job, status, &outcome);
            pool->done(pool->arg, job->number, &job->fault, &outcome);
        }
    }
}

static struct fault_job *pool_free_job(struct fault_pool *pool)
{
    for (;;) {
        for (unsigned i = 0; i < pool->jobs; i++) {
            if (pool->job[i].pid == 0) {
                return &pool->job[i];
            }
        }
        pool_reap(pool);
    }
}

static void pool_fork(struct fault_job *job)
{
    memset(job->shared, 0, sizeof *job->shared);
    int rc = ftruncate(job->output, 0);
    off_t at = lseek(job->output, 0, SEEK_SET);
    assert(rc == 0 && at == 0);
    (void)fflush(NULL);
    job->pid = fork();
    assert(job->pid >= 0);
}

void fault_pool_run(struct fault_pool *pool, size_t number, const struct fault_case *fault)
{
    struct fault_job *job = pool_free_job(pool);
    job->number = number;
    job->fault = *fault;
    pool_fork(job);
    if (job->pid == 0) {
        pool_child(job, pool->seconds);
        pool_case(pool, number, fault, job->shared);
        exit(0); /* and not _exit: where leaks are looked for, it is here */
    }
}

void fault_pool_wait(struct fault_pool *pool)
{
    for (unsigned i = 0; i < pool->jobs; i++) {
        while (pool->job[i].pid != 0) {
            pool_reap(pool);
        }
    }
}

/* -- counting -- */

static int pool_count_call(void *arg, const struct test_fault_call *call)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    fault_count_add(arg, call);
    pthread_mutex_unlock(&lock);
    return 0;
}

static void pool_count_here(struct fault_pool *pool, struct fault_count *count, char *step)
{
    static const struct fault_case nothing = {.way = FAULT_NOTHING, .alloc_after = LONG_MAX};
    static struct fault_run run;
    struct fault_found found;
    fault_run_init(&run, pool->scenario, pool->base, &nothing, FAULT_TOOTH_NONE, step);
    test_fault_set_hook(&run.faults, pool_count_call, count);
    run.allocations = &count->allocations;
    fault_run_tell(&run);
    test_fault_set_hook(&run.faults, NULL, NULL);
    fault_check(&run, pool->seed, &found);
    if (found.errors > 0 && pool->base->code == 0) {
        fault_die(&run, "fails without a fault");
    }
    count->errors = found.errors;
    count->said = found.said;
    fault_run_close(&run);
    fault_base_close(pool->base);
}

bool fault_pool_count(struct fault_pool *pool, struct fault_count *count, struct fault_outcome *ret_outcome)
{
    struct fault_job *job = pool_free_job(pool);
    int status;
    pool_fork(job);
    if (job->pid == 0) {
        pool_child(job, pool->seconds);
        pool_count_here(pool, count, job->shared->step);
        exit(0);
    }
    pid_t pid = waitpid(job->pid, &status, 0);
    assert(pid == job->pid);
    job->pid = 0;
    pool_judge(job, status, ret_outcome);
    return !ret_outcome->wrong;
}
