/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a state that a crash could have left, and judges what the log makes of it.
 *
 * - It opens; the verdict is clean end or torn. With the policy halt it opens just when the end is clean.
 * - Its records have consecutive LSNs, from a first one that trimming allows to at least the last that was
 *   acknowledged; each is one that was appended by then, with its bytes, under its LSN.
 * - Opening it again after the process died gives the same.
 * - Appending goes on: what is appended is there after closing, and the end is clean.
 * - A crash at any moment of all this leaves a state of which the same holds, and whose records are those
 *   that were found, and what was acknowledged since.
 */
#ifndef TEST_CRASH_CHECK_H
#define TEST_CRASH_CHECK_H

#include "crash/history.h"

struct crash_tally {
    uint64_t states;     /* that were opened */
    uint64_t nested;     /* of them: left by a crash during recovery, or soon after */
    uint64_t torn;       /* with the verdict torn */
    uint64_t empty;      /* without a record */
    uint64_t systematic; /* from the systematic ones */
    uint64_t opens, cuts, traces, items;
    uint64_t faults; /* calls that were made to fail while a log was recorded */
};

struct crash_check {
    const struct crash_history *history;
    const char *format; /* NULL = the native one */
    bool one_file;      /* the format has no others, and so no size of one */
    bool single;        /* what is appended has a write of its own each */
    uint64_t moment;
    uint64_t seed;       /* what the check leaves to chance */
    unsigned depth;      /* how often a crash may come on top of a crash: 0 = not */
    unsigned nested;     /* how many states of each crash on top */
    size_t sector_bytes; /* what their writes are torn into */
    struct crash_tally *tally;
    char message[1024]; /* what was wrong */
};

/* Takes over `fs`. false: something is wrong with it. */
bool crash_check_state(struct crash_check *check, struct crash_fs *fs);

#endif
