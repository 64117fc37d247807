/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledgements for `append --ack`: LSNs on standard output, each only once it is durable, at once, and no
 * line ever in part: what a killed process has printed is true.
 */
#ifndef ACK_H
#define ACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "varve/varve.h"

enum ack_form {
    ACK_NONE,
    ACK_LSN,  /* "LSN" */
    ACK_FULL, /* "LSN INPUT THREAD MICROSECONDS" */
};

/* Records with consecutive LSNs that were appended together. */
struct ack_batch {
    uint64_t lsn;   /* of the first */
    uint64_t input; /* what number it has in the input */
    uint64_t count;
    uint64_t begun_us; /* when appending began, by when_clock_us */
    unsigned thread;
};

#define ACK_QUEUE 1024

struct ack {
    enum ack_form form; /* [const after open] */
    bool later; /* [const after open] append returns before it is durable: a thread waits and prints */
    struct varve_log *log;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;              /* something came into the queue, or left it, or it is being closed */
    struct ack_batch queue[ACK_QUEUE]; /* [lock] with `later`: appended and not yet printed */
    uint64_t put, got;                 /* [lock] only grow; put - got are in the queue */
    bool closing;                      /* [lock] */
    bool failed;                       /* [lock] and told */
};

/* False after saying why. `later` as in struct ack. */
bool ack_open(struct ack *ack, struct varve_log *log, enum ack_form form, bool later);

/* Prints the batch, or with `later` sees to it that it will be. Waits when the queue is full. False once
 * printing or waiting has failed. Any thread. */
bool ack_batch(struct ack *ack, const struct ack_batch *batch);

/* Waits for all that is to be printed. False if anything failed. */
bool ack_close(struct ack *ack);

#endif
