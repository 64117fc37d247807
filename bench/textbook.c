/* SPDX-License-Identifier: Apache-2.0 */
#include "textbook.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES ((uint64_t)64 << 20)

struct textbook {
    int fd;
    size_t batch_bytes;
    uint64_t offset; /* [leader] */
    pthread_mutex_t mutex;
    pthread_cond_t durable;
    /* [mutex] from here on */
    int leading;    /* somebody writes */
    uint64_t batch; /* number of the batch that gathers; all below `batch_durable` are durable */
    uint64_t batch_durable;
    unsigned filling; /* which buffer gathers; the other one is the leader's */
    size_t filled;
    uint8_t *buffers[2];
};

/* [mutex held, and again on return] */
static int lead(struct textbook *textbook)
{
    textbook->leading = 1;
    const uint8_t *bytes = textbook->buffers[textbook->filling];
    size_t count = textbook->filled;
    textbook->filling ^= 1u;
    textbook->filled = 0;
    textbook->batch++;
    pthread_mutex_unlock(&textbook->mutex);
    int failed = disk_write_all(textbook->fd, bytes, count, textbook->offset);
    if (failed == 0 && fdatasync(textbook->fd) < 0)
        failed = bench_fail(errno, "fdatasync");
    textbook->offset += count;
    if (textbook->offset + textbook->batch_bytes > FILE_BYTES)
        textbook->offset = 0;
    pthread_mutex_lock(&textbook->mutex);
    textbook->leading = 0;
    textbook->batch_durable = textbook->batch;
    pthread_cond_broadcast(&textbook->durable);
    return failed;
}

int textbook_commit(struct textbook *textbook, const void *data, size_t bytes)
{
    int failed = 0;
    pthread_mutex_lock(&textbook->mutex);
    if (textbook->filled + bytes + BENCH_HEADER_BYTES > textbook->batch_bytes) {
        pthread_mutex_unlock(&textbook->mutex);
        return bench_fail(0, "too many threads for the textbook's buffer");
    }
    textbook->filled +=
        bench_lay_record(textbook->buffers[textbook->filling] + textbook->filled, data, bytes);
    uint64_t mine = textbook->batch;
    while (textbook->batch_durable <= mine && failed == 0) {
        if (!textbook->leading)
            failed = lead(textbook);
        else
            pthread_cond_wait(&textbook->durable, &textbook->mutex);
    }
    pthread_mutex_unlock(&textbook->mutex);
    return failed;
}

int textbook_new(const struct bench *bench, size_t batch_bytes, struct textbook **ret_textbook)
{
    struct textbook *textbook = calloc(1, sizeof *textbook);
    if (textbook == NULL)
        return bench_fail(ENOMEM, "textbook");
    textbook->fd = -1;
    textbook->batch_bytes = batch_bytes;
    pthread_mutex_init(&textbook->mutex, NULL);
    pthread_cond_init(&textbook->durable, NULL);
    textbook->buffers[0] = malloc(batch_bytes);
    textbook->buffers[1] = malloc(batch_bytes);
    int failed = 0;
    if (textbook->buffers[0] == NULL || textbook->buffers[1] == NULL || batch_bytes > FILE_BYTES)
        failed = bench_fail(ENOMEM, "textbook: two buffers of %zu bytes", batch_bytes);
    if (failed == 0)
        failed = disk_open_zeroed(bench, "textbook", FILE_BYTES, 0, &textbook->fd);
    if (failed < 0) {
        textbook_free(textbook);
        return -1;
    }
    *ret_textbook = textbook;
    return 0;
}

void textbook_free(struct textbook *textbook)
{
    if (textbook->fd >= 0)
        close(textbook->fd);
    free(textbook->buffers[0]);
    free(textbook->buffers[1]);
    pthread_cond_destroy(&textbook->durable);
    pthread_mutex_destroy(&textbook->mutex);
    free(textbook);
}
