/* SPDX-License-Identifier: Apache-2.0 */
#include "ack.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "out.h"
#include "say.h"
#include "when.h"

/* Four numbers of at most 20 digits, and what stands between and after them. */
#define ACK_LINE 84

static size_t ack_number(char *to, uint64_t value, char after)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, digits + at, sizeof digits - at);
    to[sizeof digits - at] = after;
    return sizeof digits - at + 1;
}

static size_t ack_line(const struct ack *ack, const struct ack_batch *batch, uint64_t index, uint64_t took_us,
                       char *to)
{
    size_t used;

    if (ack->form == ACK_LSN)
        return ack_number(to, batch->lsn + index, '\n');
    used = ack_number(to, batch->lsn + index, ' ');
    used += ack_number(to + used, batch->input + index, ' ');
    used += ack_number(to + used, batch->thread, ' ');
    return used + ack_number(to + used, took_us, '\n');
}

/* Writes no more at once than a pipe takes whole (POSIX, write: PIPE_BUF), and ends each write with a line.
 * Only one thread at a time: whoever holds the lock, or with `later` the thread that does the waiting. */
static bool ack_print(const struct ack *ack, const struct ack_batch *batch)
{
    char text[PIPE_BUF];
    uint64_t took_us = when_clock_us() - batch->begun_us;
    size_t used = 0;
    int failed = 0;

    for (uint64_t i = 0; i < batch->count && !failed; i++) {
        used += ack_line(ack, batch, i, took_us, text + used);
        if (used + ACK_LINE > sizeof text || i + 1 == batch->count) {
            failed = out_write_all(STDOUT_FILENO, text, used);
            used = 0;
        }
    }
    if (failed)
        say_system("standard output", failed);
    return !failed;
}

/* Waits until the batches from `from` to before `to` are durable and prints them. No lock is needed: they are
 * not overwritten before `got` has passed them. */
static bool ack_wait_and_print(const struct ack *ack, uint64_t from, uint64_t to)
{
    uint64_t lsn = 0;
    int rc;

    /* The queue is in the order of putting, which with several threads is not that of the LSNs. */
    for (uint64_t i = from; i != to; i++) {
        const struct ack_batch *batch = &ack->queue[i % ACK_QUEUE];

        if (batch->lsn + batch->count - 1 > lsn)
            lsn = batch->lsn + batch->count - 1;
    }
    rc = varve_wait(ack->log, lsn, VARVE_WAIT_FOREVER);
    if (rc) {
        say_code("waiting until the records are durable", rc);
        return false;
    }
    for (uint64_t i = from; i != to; i++)
        if (!ack_print(ack, &ack->queue[i % ACK_QUEUE]))
            return false;
    return true;
}

/* Takes all that is in the queue at once; while it waits for that, the queue fills again. */
static void *ack_thread(void *arg)
{
    struct ack *ack = arg;

    pthread_mutex_lock(&ack->lock);
    for (;;) {
        uint64_t from = ack->got, to = ack->put;
        bool fine;

        if (from == to && ack->closing)
            break;
        if (from == to) {
            pthread_cond_wait(&ack->moved, &ack->lock);
            continue;
        }
        pthread_mutex_unlock(&ack->lock);
        fine = ack_wait_and_print(ack, from, to);
        pthread_mutex_lock(&ack->lock);
        ack->got = to;
        ack->failed = !fine;
        pthread_cond_broadcast(&ack->moved);
        if (!fine)
            break;
    }
    pthread_mutex_unlock(&ack->lock);
    return NULL;
}

bool ack_open(struct ack *ack, struct varve_log *log, enum ack_form form, bool later)
{
    int rc;

    ack->form = form;
    ack->log = log;
    ack->put = ack->got = 0;
    ack->closing = ack->failed = false;
    ack->later = form != ACK_NONE && later;
    pthread_mutex_init(&ack->lock, NULL);
    pthread_cond_init(&ack->moved, NULL);
    if (!ack->later)
        return true;
    rc = pthread_create(&ack->thread, NULL, ack_thread, ack);
    if (rc == 0)
        return true;
    ack->later = false;
    say_system("starting a thread", rc);
    return false;
}

bool ack_batch(struct ack *ack, const struct ack_batch *batch)
{
    bool fine;

    if (ack->form == ACK_NONE)
        return true;
    pthread_mutex_lock(&ack->lock);
    if (ack->later) {
        while (ack->put - ack->got == ACK_QUEUE && !ack->failed)
            pthread_cond_wait(&ack->moved, &ack->lock);
        if (!ack->failed) {
            ack->queue[ack->put++ % ACK_QUEUE] = *batch;
            pthread_cond_broadcast(&ack->moved);
        }
    } else if (!ack->failed) {
        ack->failed = !ack_print(ack, batch);
    }
    fine = !ack->failed;
    pthread_mutex_unlock(&ack->lock);
    return fine;
}

bool ack_close(struct ack *ack)
{
    if (ack->later) {
        pthread_mutex_lock(&ack->lock);
        ack->closing = true;
        pthread_cond_broadcast(&ack->moved);
        pthread_mutex_unlock(&ack->lock);
        pthread_join(ack->thread, NULL);
    }
    pthread_cond_destroy(&ack->moved);
    pthread_mutex_destroy(&ack->lock);
    return !ack->failed;
}
