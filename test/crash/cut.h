/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a power failure at one moment of a trace can leave.
 *
 * Certain is: a write with dsync that had returned well; every write and size of a file that had ended before
 * a sync of it began which had returned well; every change of names that had ended before a sync of its
 * directory began which had returned well. A sync that failed takes the certainty of what it should have
 * covered away for good.
 *
 * Each of the rest may be there or not, on its own: every sector of every write, every change of a file's
 * size, every change of names (a rename is one change). Of what overlaps, the later one wins where both are
 * there.
 *
 * The content of LOCK is left out, which nothing reads after a crash.
 */
#ifndef TEST_CRASH_CUT_H
#define TEST_CRASH_CUT_H

#include "crash/trace.h"

/* One thing that may be there or not. */
struct crash_item {
    enum crash_item_kind {
        CRASH_ITEM_BYTES,
        CRASH_ITEM_EXTENT, /* a write behind the end has moved the end */
        CRASH_ITEM_SIZE,
        CRASH_ITEM_NAME,
    } kind;
    size_t op;
    uint64_t offset; /* BYTES: in the file */
    size_t bytes;    /* BYTES */
};

struct crash_cut {
    const struct crash_trace *trace;
    uint64_t moment;
    struct crash_fs certain; /* with nodes that no name leads to for certain */
    struct crash_item *items;
    size_t count, room;
};

/* `sector_bytes`: what a write is torn into; 512 or 4096. */
void crash_cut_init(struct crash_cut *cut, const struct crash_trace *trace, uint64_t moment,
                    size_t sector_bytes);
void crash_cut_close(struct crash_cut *cut);

/*
 * States are numbered. The first so many are systematic: every subset where there are no more than 8 items;
 * else none, all, each one missing, each one alone, each beginning. Every number from there on, up to 2^32,
 * is a subset by chance.
 */
uint64_t crash_cut_systematic(const struct crash_cut *cut);
void crash_cut_state(const struct crash_cut *cut, uint64_t number, struct crash_fs *ret_fs);
/* Prints what is there and what is not in that state, to stderr. */
void crash_cut_explain(const struct crash_cut *cut, uint64_t number);

#endif
