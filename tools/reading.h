/* SPDX-License-Identifier: Apache-2.0 */
/* A log opened to be read, and a cursor on it: the part that `cat` and `tail` share. */
#ifndef READING_H
#define READING_H

#include <stdbool.h>
#include <stdint.h>

#include "emit.h"
#include "term.h"
#include "varve/varve.h"

struct reading {
    const char *path;
    const char *format; /* what the log is in; NULL = what is there tells */
    enum varve_policy policy;
    struct varve_log *log;
    struct varve_cursor *cursor;
    struct term_progress progress;
};

/* Opens the log of reading->path read-only and a cursor with reading->policy. Returns EXIT_FINE, or after
 * saying why another exit code; reading_close is to be called either way. */
int reading_open(struct reading *reading);
void reading_close(struct reading *reading);

/* Puts the cursor at an LSN or, with `by_time`, at a moment. Returns as reading_open. */
int reading_seek(struct reading *reading, bool by_time, uint64_t to);

/* Says what the cursor's error `code` is about, after what was read has been written out. Returns the exit
 * code. */
int reading_failed(struct reading *reading, struct emit *emit, int code);

/* At the end: says what is gone (EXIT_FOUND) or torn (EXIT_FINE). */
int reading_ended(struct reading *reading, struct emit *emit);

#endif
