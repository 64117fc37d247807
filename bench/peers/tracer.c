/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the system calls of running processes by strace, which slows them down: what is counted here is not
 * what is timed. */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTACH_S_MAX 5

/* [child] */
static void become_strace(const char *path, const pid_t *pids, unsigned count)
{
    char numbers[2][16];
    char *argv[12] = {
        "strace", "-f", "-c", "-q", "--summary-columns=calls,name", "-o", (char *)(uintptr_t)path};
    for (unsigned i = 0; i < count && i < 2; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%d", (int)pids[i]);
        argv[7 + 2 * i] = "-p";
        argv[8 + 2 * i] = numbers[i];
    }
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[0], argv);
    _exit(127);
}

static pid_t tracer_of(pid_t pid)
{
    char path[64], line[256];
    int tracer = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "TracerPid: %d", &tracer) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return tracer;
}

/* Until it holds all of them, or has ended, as it does where it may not. */
static int attached(pid_t strace, const pid_t *pids, unsigned count)
{
    uint64_t end = bench_now_ns() + (uint64_t)ATTACH_S_MAX * 1000000000u;
    while (bench_now_ns() < end && waitpid(strace, NULL, WNOHANG) == 0) {
        unsigned held = 0;
        while (held < count && tracer_of(pids[held]) == strace)
            held++;
        if (held == count)
            return 1;
        bench_sleep_s(0.002);
    }
    return 0;
}

void tracer_start(const struct bench *bench, const pid_t *pids, unsigned count, struct tracer *ret_tracer)
{
    struct tracer tracer = {0};
    disk_path(bench, "strace", tracer.path);
    tracer.pid = fork();
    if (tracer.pid == 0)
        become_strace(tracer.path, pids, count);
    if (tracer.pid > 0 && !attached(tracer.pid, pids, count)) {
        kill(tracer.pid, SIGKILL);
        waitpid(tracer.pid, NULL, 0);
        tracer.pid = 0;
    }
    *ret_tracer = tracer;
}

/* The last line of strace's summary is the total. */
static uint64_t read_total(const char *path)
{
    char line[256];
    unsigned long long calls = 0, total = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, "total") != NULL && sscanf(line, "%llu", &calls) == 1)
            total = calls;
    }
    if (file != NULL)
        fclose(file);
    return total;
}

uint64_t tracer_stop(struct tracer *tracer)
{
    if (tracer->pid <= 0)
        return 0;
    kill(tracer->pid, SIGINT);
    while (waitpid(tracer->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    uint64_t total = read_total(tracer->path);
    unlink(tracer->path);
    return total;
}
