/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one thread did to a log and what it was told, each with the beginning and the end of the call by the
 * history's clock. Nothing is judged while the threads run: another may not have noted yet what would explain
 * it.
 *
 * Threads: the one whose notes they are; after it has ended, any.
 */
#ifndef TEST_MODEL_NOTE_H
#define TEST_MODEL_NOTE_H

#include "model/bound.h"
#include "varve/cursor.h"

struct model_append {
    uint64_t begin, end;
    uint64_t lsn; /* of the first; 0 = not told: the log failed */
    uint64_t id;  /* of the first */
    uint32_t count;
    bool alone;
};

/* A record that a cursor gave. */
struct model_seen {
    uint64_t begin, end;
    uint64_t lsn, time_us, segment, frame;
    uint64_t digest; /* of all that was appended */
    uint64_t id;     /* as its first bytes say; 0 = it has less than 8 */
};

struct model_trim {
    uint64_t begin, end, asked;
};

struct model_notes {
    struct model_bounds bounds[MODEL_NUMBERS];
    struct model_bounds
        syncs; /* low and high mean nothing: all that was appended before begin is durable at end */
    struct model_append *appends;
    size_t append_count, append_room;
    struct model_seen *seens;
    size_t seen_count, seen_room;
    struct model_trim *trims;
    size_t trim_count, trim_room;
    char wrong[512]; /* what needs nobody else's notes to be called wrong; empty = nothing */
};

void model_notes_free(struct model_notes *notes);
/* Adds what `from` holds, and empties it. */
void model_notes_take(struct model_notes *notes, struct model_notes *from);

void model_note_bound(struct model_notes *notes, enum model_number number, const char *what, uint64_t begin,
                      uint64_t end, uint64_t low, uint64_t high);
void model_note_append(struct model_notes *notes, const struct model_append *append);
void model_note_seen(struct model_notes *notes, uint64_t begin, uint64_t end,
                     const struct varve_entry *entry);
void model_note_trim(struct model_notes *notes, const struct model_trim *trim);
/* The first one counts. */
VARVE_PRINTF(2, 3)
void model_note_wrong(struct model_notes *notes, const char *fmt, ...);

/* Room for `count` items; the array may move. */
void *model_grow(void *array, size_t *room, size_t count, size_t item);

#endif
