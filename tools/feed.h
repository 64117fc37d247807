/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input for `append`: records cut out of standard input, or files. Threads take batches from one feed, in the
 * order of the input; a batch is what the input has ready, within limits, so that nothing that has arrived
 * waits for what has not.
 */
#ifndef FEED_H
#define FEED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "term.h"
#include "varve/varve.h"

enum feed_form {
    FEED_LINES,  /* up to a newline, which is not part of the record */
    FEED_NUL,    /* up to a NUL, likewise */
    FEED_FRAMED, /* a little-endian u32, then so many bytes */
    FEED_FILES,  /* each file is a record */
};

enum feed_result {
    FEED_FAILED = -1, /* and was told */
    FEED_END = 0,
    FEED_TAKEN = 1,
};

/* Zeroed, it is ready; one thread's own. The records are valid until its next feed_take or feed_batch_free.
 */
struct feed_batch {
    struct varve_record *records;
    size_t count;
    size_t bytes;   /* of payload */
    uint64_t first; /* what number the first one has in the input, from 1 on */
    uint8_t *copy;
    size_t copy_size;
};

struct feed {
    enum feed_form form; /* [const after open, down to `lock`] */
    int fd;
    int stop_fd; /* readable = take nothing more from outside */
    char **files;
    size_t file_count;
    uint64_t record_max;
    size_t batch_records;
    size_t batch_bytes;  /* payload and overhead of all records of a batch that has more than one */
    uint8_t type, flags; /* of all records; */
    uint64_t time;       /* with VARVE_RECORD_TIME in `flags` */
    bool copies;         /* several threads take: their records must outlive the buffer's content */
    uint64_t total_bytes;
    struct term_progress progress; /* [lock, from here on] */
    pthread_mutex_t lock;
    uint8_t *buf;
    size_t size;
    size_t start;    /* what is not taken yet: start..end */
    size_t searched; /* no delimiter in start..searched */
    size_t end;
    uint64_t offset; /* of `start` in the input */
    uint64_t count;  /* records taken */
    bool ended;      /* nothing more comes */
    bool stopped;    /* because of stop_fd: half a record at the end is none */
    bool failed;
};

/* To be called with form, stop_fd, files, limits and type set. False after saying why. */
bool feed_open(struct feed *feed);
void feed_close(struct feed *feed);

/* Any thread. */
enum feed_result feed_take(struct feed *feed, struct feed_batch *batch);
void feed_batch_free(struct feed_batch *batch);

/* "line 17", "record 17", the file's name: what to call record `number` of the input. Returns `text`. */
const char *feed_name(const struct feed *feed, uint64_t number, char *text, size_t text_bytes);

#endif
