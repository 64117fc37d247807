/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a log costs in memory. A process of its own appends 10 million records as fast as two threads can and
 * tells its peak resident size, less what it had before it opened the log, less the slots.
 */
#include "bench.h"

#include "varve/varve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEEDERS      2
#define APPENDS_EACH 5000000u

static void *feeder_main(void *arg)
{
    struct varve_log *log = arg;
    uint8_t payload[BENCH_RECORD_BYTES];
    memset(payload, 0x3C, sizeof payload);
    for (unsigned i = 0; i < APPENDS_EACH; i++) {
        int code = varve_append(log, payload, sizeof payload, NULL);
        if (code != VARVE_OK) {
            bench_fail(0, "varve_append: %s", varve_error_name(code));
            return log; /* anything but NULL */
        }
    }
    return NULL;
}

/* A line of /proc/self/status that holds KiB: "VmRSS:", or "VmHWM:" for the peak. 0 if it is not there. */
static uint64_t status_kib(const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), "%llu", &kib) == 1)
            break;
    }
    fclose(file);
    return kib;
}

static int feed(struct varve_log *log)
{
    pthread_t threads[FEEDERS];
    int failed = 0;
    for (int i = 0; i < FEEDERS; i++) {
        int code = pthread_create(&threads[i], NULL, feeder_main, log);
        if (code != 0) {
            bench_fail(code, "a thread could not be started");
            _exit(3);
        }
    }
    for (int i = 0; i < FEEDERS; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        failed |= result != NULL;
    }
    return failed;
}

int varve_bench_memory_child(const char *path)
{
    struct varve_options options = {.size = sizeof options, .durability = VARVE_BUFFERED};
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    uint64_t before_kib = status_kib("VmRSS:");
    if (varve_open(path, &options, &log, &error) != VARVE_OK) {
        bench_fail(0, "%s", error.message);
        return 3;
    }
    int failed = feed(log) != 0 || varve_stats_get(log, &stats) != VARVE_OK;
    if (varve_close(log, &error) != VARVE_OK)
        failed = bench_fail(0, "%s", error.message);
    if (failed)
        return 3;
    uint64_t slots_kib = stats.slot_bytes * stats.slot_count / 1024;
    int64_t more_kib = (int64_t)status_kib("VmHWM:") - (int64_t)before_kib - (int64_t)slots_kib;
    printf("%lld\n", (long long)more_kib);
    return 0;
}

/* [child] This program again, so that nothing the benchmark holds is counted. */
static void exec_child(const char *path, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    execl("/proc/self/exe", "varve-bench", "memory-child", path, (char *)NULL);
    _exit(3);
}

static int read_number(int fd, double *ret_number)
{
    char text[64] = "";
    ssize_t got = read(fd, text, sizeof text - 1);
    char *end = text;
    double number = got > 0 ? strtod(text, &end) : 0;
    if (end == text)
        return -1;
    *ret_number = number;
    return 0;
}

int varve_bench_memory(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    (void)measure;
    char path[BENCH_PATH_BYTES];
    disk_path(bench, "memory.log", path);
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return bench_fail(errno, "pipe");
    pid_t child = fork();
    if (child == 0)
        exec_child(path, ends[1]);
    close(ends[1]);
    int failed = child < 0 ? bench_fail(errno, "fork") : 0;
    if (failed == 0 && read_number(ends[0], &ret_sample->value) < 0)
        failed = bench_fail(0, "the process that appends 10 million records gave no answer");
    close(ends[0]);
    if (child > 0 && (waitpid(child, &status, 0) < 0 || status != 0))
        failed = -1;
    return disk_remove(bench, "memory.log") < 0 ? -1 : failed;
}
