/* SPDX-License-Identifier: Apache-2.0 */
/* What only a terminal gets: colour, and a progress bar for work that takes long. */
#ifndef TERM_H
#define TERM_H

#include <stdbool.h>
#include <stdint.h>

enum term_colour {
    TERM_PLAIN,
    TERM_RED,
    TERM_GREEN,
    TERM_YELLOW,
    TERM_BOLD,
    TERM_DIM,
};

/* The sequence that begins a colour (TERM_PLAIN: that ends it) on standard output; "" where that is no
 * terminal that wants colour: a file, NO_COLOR set to anything, TERM=dumb or none. Static. */
const char *term_colour(enum term_colour colour);

/* A bar on standard error. Zeroed but for `what`, it is ready. Nothing is drawn for the first half second,
 * nor where standard error is no terminal. One at a time; one thread at a time. */
struct term_progress {
    const char *what;
    uint64_t started_us;
    uint64_t drawn_us;
    bool off;
};

/* A varve_progress_fn: `arg` is the struct term_progress. Always 0. */
int term_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes);

/* Takes the bar away, where there is one, so that a message can be written. Any thread. */
void term_progress_clear(void);

#endif
