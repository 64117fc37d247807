/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory that everything measured lies in, and the child process that measures. This process makes the
 * directory and removes it when the child is gone, however it went.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* The build tree, thus a real disk where /tmp may be memory. */
int shelter_program_dir(char ret_path[BENCH_PATH_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", ret_path, BENCH_PATH_BYTES - 1);
    if (length <= 0 || length >= BENCH_PATH_BYTES - 1)
        return bench_fail(errno, "/proc/self/exe");
    ret_path[length] = '\0';
    *strrchr(ret_path, '/') = '\0';
    return 0;
}

static int make_dir(struct bench *bench, const char *in, uint64_t space_bytes)
{
    struct statvfs space;
    int length = snprintf(bench->dir, BENCH_PATH_BYTES, "%s/varve-bench-XXXXXX", in);
    if (length < 0 || length > BENCH_PATH_BYTES - 64)
        return bench_fail(ENAMETOOLONG, "%s", in);
    if (disk_is_memory(in))
        return bench_fail(0, "%s is in memory: give --dir a directory on the disk to be measured", in);
    if (statvfs(in, &space) < 0)
        return bench_fail(errno, "%s", in);
    if (space.f_bavail * space.f_frsize < space_bytes)
        return bench_fail(0, "%s has less than %llu GiB free: give --dir a directory with more", in,
                          (unsigned long long)(space_bytes >> 30));
    if (mkdtemp(bench->dir) == NULL)
        return bench_fail(errno, "%s", bench->dir);
    return 0;
}

/* What the child started and left behind comes to us: its files are in use until it is gone too. */
static void wait_for_orphans(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
}

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return bench_fail(errno, "waitpid");
    }
    wait_for_orphans();
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == UINT8_MAX ? -1 : WEXITSTATUS(status);
    return bench_fail(0, "the process that measures was ended by signal %d", WTERMSIG(status));
}

static volatile pid_t measuring; /* [const after fork] for the handler */

static void end_child(int number)
{
    (void)number;
    kill(measuring, SIGKILL);
}

/* A signal that would end us ends the child; we stay until its files are gone. */
static void outlive_signals(pid_t child)
{
    struct sigaction end = {.sa_handler = end_child};
    measuring = child;
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
}

int shelter_run(struct bench *bench, const char *parent, uint64_t space_bytes, int (*measure)(void *arg),
                void *arg)
{
    char beside[BENCH_PATH_BYTES];
    if (parent == NULL && shelter_program_dir(beside) < 0)
        return -1;
    if (make_dir(bench, parent != NULL ? parent : beside, space_bytes) < 0)
        return -1;
    int code = -1;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        code = measure(arg);
        _exit(code < 0 ? UINT8_MAX : code);
    }
    if (child < 0) {
        bench_fail(errno, "fork");
    } else {
        outlive_signals(child);
        code = wait_for(child);
    }
    return disk_remove_tree(bench->dir) < 0 ? -1 : code;
}
