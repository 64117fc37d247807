/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit as the textbook has it: one mutex, one condition variable. Who finds no leader becomes it:
 * takes what has gathered, writes and syncs it with the mutex open, and wakes everybody. What has gathered
 * meanwhile is for the next leader, who is one of those that waited.
 */
#ifndef BENCH_TEXTBOOK_H
#define BENCH_TEXTBOOK_H

#include "bench.h"

struct textbook;

/* `batch_bytes`: what all threads can have gathered at once, headers included. */
int textbook_new(const struct bench *bench, size_t batch_bytes, struct textbook **ret_textbook);
/* Returns when the record is durable. Any thread. */
int textbook_commit(struct textbook *textbook, const void *data, size_t bytes);
void textbook_free(struct textbook *textbook);

#endif
