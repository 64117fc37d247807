/* SPDX-License-Identifier: Apache-2.0 */
/*
 * (d) Group commit as the textbook has it: one mutex, one condition variable. Who finds no leader becomes it:
 * takes what has gathered, writes and syncs it with the mutex open, and wakes everybody. What has gathered
 * meanwhile is for the next leader, who is one of those that waited.
 */
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES  (64u << 20)
#define BATCH_BYTES (64u << 10) /* more than every thread's record at once */
#define LAID_BYTES  (BENCH_HEADER_BYTES + BENCH_RECORD_BYTES)

struct group {
    int fd;
    uint64_t offset; /* [leader] */
    pthread_mutex_t mutex;
    pthread_cond_t durable;
    /* [mutex] from here on */
    int leading;    /* somebody writes */
    uint64_t batch; /* number of the batch that gathers; all below `batch_durable` are durable */
    uint64_t batch_durable;
    unsigned filling; /* which buffer gathers; the other one is the leader's */
    size_t filled;
    uint8_t buffers[2][BATCH_BYTES];
};

/* [mutex held, and again on return] */
static int lead(struct group *group)
{
    group->leading = 1;
    const uint8_t *bytes = group->buffers[group->filling];
    size_t count = group->filled;
    group->filling ^= 1u;
    group->filled = 0;
    group->batch++;
    pthread_mutex_unlock(&group->mutex);
    int failed = disk_write_all(group->fd, bytes, count, group->offset);
    if (failed == 0 && fdatasync(group->fd) < 0)
        failed = bench_fail(errno, "fdatasync");
    group->offset += count;
    if (group->offset + BATCH_BYTES > FILE_BYTES)
        group->offset = 0;
    pthread_mutex_lock(&group->mutex);
    group->leading = 0;
    group->batch_durable = group->batch;
    pthread_cond_broadcast(&group->durable);
    return failed;
}

static int commit(struct worker *worker)
{
    struct group *group = worker->arg;
    int failed = 0;
    pthread_mutex_lock(&group->mutex);
    group->filled +=
        bench_lay_record(group->buffers[group->filling] + group->filled, worker->record, BENCH_RECORD_BYTES);
    uint64_t mine = group->batch;
    while (group->batch_durable <= mine && failed == 0) {
        if (!group->leading)
            failed = lead(group);
        else
            pthread_cond_wait(&group->durable, &group->mutex);
    }
    pthread_mutex_unlock(&group->mutex);
    return failed < 0 ? -1 : 1;
}

int baseline_group(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    static struct group group; /* large; one run at a time */
    memset(&group, 0, sizeof group);
    if (measure->threads * LAID_BYTES > BATCH_BYTES)
        return bench_fail(0, "too many threads for the textbook's buffer");
    if (disk_open_zeroed(bench, "zeroed", FILE_BYTES, 0, &group.fd) < 0)
        return -1;
    pthread_mutex_init(&group.mutex, NULL);
    pthread_cond_init(&group.durable, NULL);
    int failed = crew_sample(bench, measure->threads, commit, &group, ret_sample);
    pthread_cond_destroy(&group.durable);
    pthread_mutex_destroy(&group.mutex);
    close(group.fd);
    return failed;
}
