/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes that a log has when it rots. */
#include <string.h>

#include "rot/log.h"

static void make_small(struct rot_maker *m)
{
    rot_open(m);
    rot_append_some(m, 10, 4, 0, 300);
    rot_keep_stale(m);
    rot_append_some(m, 10, 4, 0, 300);
}

static void make_sectors(struct rot_maker *m)
{
    rot_open(m);
    rot_append_some(m, 6, 3, 0, 2500);
    rot_keep_stale(m);
    rot_append_some(m, 6, 3, 0, 2500);
}

static void make_marks(struct rot_maker *m)
{
    m->options.mark_idle_ms = 1;
    rot_open(m);
    for (unsigned i = 0; i < 12; i++) {
        rot_append(m, 1 + i % 3, 0, 400);
        if (i == 6) {
            rot_keep_stale(m);
        }
        /* The last frame has one behind it, or not. */
        if (i % 3 == 0 || (i == 11 && test_rng_once_in(&m->rng, 2))) {
            rot_mark(m);
        }
    }
}

/* Several frames of which the later do not vouch for the earlier: synced together. */
static void make_together(struct rot_maker *m)
{
    m->options.durability = VARVE_BUFFERED;
    m->options.slot_bytes = 4096;
    rot_open(m);
    for (unsigned i = 0; i < 5; i++) {
        rot_append_some(m, 3, 1, 3000, 4000);
        if (i == 2) {
            rot_keep_stale(m);
        }
        rot_sync(m);
    }
}

/* Lives that ended in a tear: each goes on in a fresh segment, and has given LSNs again. */
static void make_tears(struct rot_maker *m)
{
    m->options.slot_bytes = 4096;
    for (unsigned life = 0; life < 3; life++) {
        m->options.durability = VARVE_BUFFERED;
        rot_open(m);
        rot_append_some(m, 4, 1, 100, 2000);
        rot_sync(m);
        uint64_t lsn = m->next_lsn;
        rot_append_some(m, 3, 1, 3000, 4000);
        rot_sync(m);
        rot_kill(m);
        rot_tear(m, lsn);
    }
    m->options.durability = VARVE_GROUP;
    rot_open(m);
    rot_append_some(m, 3, 3, 0, 500);
    rot_keep_stale(m);
    rot_append_some(m, 3, 3, 0, 500);
}

/* Durable writes that fail, wholly or in part: the frames move to a fresh segment. */
static void make_moved(struct rot_maker *m)
{
    rot_open(m);
    for (unsigned i = 0; i < 4; i++) {
        rot_append_some(m, 3, 2, 0, 1500);
        rot_fail_write(m, 512 * (size_t)test_rng_below(&m->rng, 6));
        if (i == 2) {
            rot_keep_stale(m);
        }
    }
    rot_append_some(m, 4, 2, 0, 1500);
}

/* Segments that were filled. */
static void make_segments(struct rot_maker *m)
{
    m->options.slot_bytes = 65536;
    rot_open(m);
    for (unsigned i = 0; i < 22; i++) {
        rot_append_some(m, 1, 3, 0, 400);
        rot_append(m, 1, 80000, 120000);
        if (i == 16) {
            rot_keep_stale(m);
        }
    }
}

/* A file in its second life, and what it held in its first still behind the end. */
static void make_recycled(struct rot_maker *m)
{
    m->options.slot_bytes = 65536;
    rot_open(m);
    rot_recycle(m, 50000);
    rot_append_some(m, 6, 4, 0, 300);
    rot_keep_stale(m);
    rot_append_some(m, 6, 4, 0, 300);
}

/* Records that pass through no slot whole, and one that is larger than a reader's window. */
static void make_large(struct rot_maker *m)
{
    m->options.segment_bytes = 4 << 20;
    rot_open(m);
    rot_append_some(m, 2, 2, 0, 300);
    rot_append(m, 1, 1200000, 1500000);
    rot_append(m, 1, 20000, 60000);
    rot_keep_stale(m);
    rot_append_some(m, 2, 2, 0, 300);
    rot_append(m, 1, 20000, 60000);
}

static const struct rot_scenario scenarios[] = {
    {"small", "one segment, frames of a few records, sectors of 512 bytes", 512, make_small, 100, true},
    {"sectors", "the same in sectors of 4096 bytes", 4096, make_sectors, 100, false},
    {"marks", "marks between the frames, and behind the last or not", 512, make_marks, 100, false},
    {"together", "frames that were synced together, so that none vouches for the one before it", 512,
     make_together, 100, false},
    {"tears", "three lives that ended in a tear, each superseded by the next", 512, make_tears, 100, false},
    {"moved", "frames that moved to fresh segments after failed writes", 512, make_moved, 100, false},
    {"recycled", "a segment in a file that was used before", 512, make_recycled, 10, false},
    {"segments", "three segments, two of them full", 512, make_segments, 4, false},
    {"large", "a record larger than a reader's window", 512, make_large, 4, false},
};

const struct rot_scenario *rot_scenario_at(unsigned index)
{
    return index < sizeof scenarios / sizeof *scenarios ? &scenarios[index] : NULL;
}

const struct rot_scenario *rot_scenario_find(const char *name)
{
    const struct rot_scenario *s;
    for (unsigned i = 0; (s = rot_scenario_at(i)) != NULL; i++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}
