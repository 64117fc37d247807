/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cursor, and what must come next from it. It belongs to the log itself ("at home"), or to a reader: the
 * same log opened read-only, which knows only what is on disk.
 *
 * Threads: one.
 */
#ifndef TEST_MODEL_EYE_H
#define TEST_MODEL_EYE_H

#include "model/history.h"

struct model_eye {
    struct model_history *h;
    struct model_notes *notes;
    struct varve_log *reader; /* NULL: at home */
    struct varve_cursor *cursor;
    uint64_t expected; /* LSN that comes next; 0 = the first there is, or what a time leads to */
    uint64_t sought_begin, sought_end; /* of the call that moved it */
    uint64_t time_us;                  /* of the last record; 0 = it was moved since */
    uint64_t last_lsn;                 /* of the last record that it gave, ever; 0 = none */
    uint64_t last_us;
    uint64_t wanted_us, wanted_lsn; /* sought by time: the record that had it; 0 = not */
};

/* false: there is nothing to read yet. */
bool model_eye_open(struct model_eye *eye, struct model_history *h, struct model_notes *notes, bool reader);
void model_eye_close(struct model_eye *eye);
void model_eye_seek(struct model_eye *eye, uint64_t lsn);
/* To the time of the record that it gave last. */
void model_eye_seek_time(struct model_eye *eye);
/* The next record, waiting for one up to `timeout_ms`. 0, VARVE_END, or an error, after which it must be
 * moved. */
int model_eye_next(struct model_eye *eye, int timeout_ms, struct varve_entry *ret_entry);

#endif
