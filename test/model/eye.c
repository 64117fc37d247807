/* SPDX-License-Identifier: Apache-2.0 */
#include "model/eye.h"

#include <inttypes.h>
#include <string.h>

#define EYE_PATH "log"

static void wrong_error(struct model_eye *eye, const char *what, int rc)
{
    struct varve_error error = {.message = "?"};
    if (eye->cursor != NULL) {
        varve_cursor_error(eye->cursor, &error);
    }
    model_note_wrong(eye->notes, "%s %s, expecting LSN %" PRIu64 ", fails with %s: %s",
                     eye->reader != NULL ? "a reader's" : "a cursor's", what, eye->expected,
                     varve_error_name(rc), error.message);
}

static bool open_reader(struct model_eye *eye)
{
    const struct varve_options options = {
        .size = sizeof options, .flags = VARVE_OPEN_READ_ONLY, .io = eye->h->options.io};
    struct varve_error error;
    uint64_t begin = model_tick(eye->h);
    int rc = varve_open(EYE_PATH, &options, &eye->reader, &error);
    uint64_t end = model_tick(eye->h);
    if (rc != 0) {
        eye->reader = NULL;
        if (rc != VARVE_E_NOT_FOUND || eye->h->options.durability != VARVE_MEMORY) {
            model_note_wrong(eye->notes, "opening read-only fails: %s", error.message);
        }
        return false;
    }
    uint64_t first = varve_first_lsn(eye->reader), last = varve_durable_lsn(eye->reader);
    model_note_bound(eye->notes, MODEL_BEGIN, "opening read-only", begin, end, first, first);
    model_note_bound(eye->notes, MODEL_DURABLE, "opening read-only", begin, end, last, MODEL_ANY);
    return true;
}

bool model_eye_open(struct model_eye *eye, struct model_history *h, struct model_notes *notes, bool reader)
{
    struct varve_error error;
    memset(eye, 0, sizeof *eye);
    eye->h = h;
    eye->notes = notes;
    if (reader && !open_reader(eye)) {
        return false;
    }
    eye->sought_begin = model_tick(h);
    int rc = varve_cursor_open(reader ? eye->reader : h->log, VARVE_POLICY_TRUNCATE, &eye->cursor, &error);
    eye->sought_end = model_tick(h);
    if (rc != 0) {
        eye->cursor = NULL;
        model_note_wrong(notes, "opening a cursor fails: %s", error.message);
        model_eye_close(eye);
        return false;
    }
    return true;
}

void model_eye_close(struct model_eye *eye)
{
    varve_cursor_close(eye->cursor);
    eye->cursor = NULL;
    if (eye->reader != NULL && varve_close(eye->reader, NULL) != 0) {
        model_note_wrong(eye->notes, "closing a reader fails");
    }
    eye->reader = NULL;
}

static void moved(struct model_eye *eye)
{
    eye->time_us = 0;
    eye->wanted_us = eye->wanted_lsn = 0;
}

void model_eye_seek(struct model_eye *eye, uint64_t lsn)
{
    moved(eye);
    eye->expected = lsn;
    eye->sought_begin = model_tick(eye->h);
    int rc = varve_cursor_seek_lsn(eye->cursor, lsn);
    eye->sought_end = model_tick(eye->h);
    if (rc == 0 && lsn != 0) {
        model_note_bound(eye->notes, MODEL_BEGIN, "seeking", eye->sought_begin, eye->sought_end, 0, lsn);
    } else if (rc == VARVE_E_TRIMMED && lsn != 0) {
        model_note_bound(eye->notes, MODEL_BEGIN, "seeking", eye->sought_begin, eye->sought_end, lsn + 1,
                         MODEL_ANY);
        model_eye_seek(eye, 0);
    } else if (rc != 0) {
        wrong_error(eye, "seeking", rc);
    }
}

void model_eye_seek_time(struct model_eye *eye)
{
    uint64_t lsn = eye->last_lsn, time_us = eye->last_us;
    if (lsn == 0) {
        return;
    }
    moved(eye);
    eye->expected = 0;
    eye->wanted_us = time_us;
    eye->wanted_lsn = lsn;
    eye->sought_begin = model_tick(eye->h);
    int rc = varve_cursor_seek_time(eye->cursor, time_us);
    eye->sought_end = model_tick(eye->h);
    if (rc != 0) {
        wrong_error(eye, "seeking by time", rc);
    }
}

/* The first record after a move that named no LSN. */
static void arrived(struct model_eye *eye, uint64_t begin, uint64_t end, const struct varve_entry *e)
{
    if (eye->wanted_lsn == 0) {
        model_note_bound(eye->notes, MODEL_BEGIN, "seeking and reading", eye->sought_begin, eye->sought_end,
                         e->lsn, e->lsn);
        return;
    }
    if (e->time_us < eye->wanted_us) {
        model_note_wrong(eye->notes, "sought a time and got LSN %" PRIu64 ", which is before it", e->lsn);
    }
    if (e->lsn > eye->wanted_lsn) {
        /* The record that had the time was passed over: then it was trimmed. */
        model_note_bound(eye->notes, MODEL_BEGIN, "seeking and reading", begin, end, eye->wanted_lsn + 1,
                         MODEL_ANY);
    }
}

static void given(struct model_eye *eye, uint64_t begin, uint64_t end, const struct varve_entry *e)
{
    if (eye->expected == 0) {
        arrived(eye, eye->sought_begin, end, e);
    } else if (e->lsn != eye->expected) {
        model_note_wrong(eye->notes, "%s gives LSN %" PRIu64 " where %" PRIu64 " comes next",
                         eye->reader != NULL ? "a reader" : "a cursor", e->lsn, eye->expected);
    }
    if (e->time_us < eye->time_us) {
        model_note_wrong(eye->notes, "LSN %" PRIu64 " is earlier than the one before it", e->lsn);
    }
    model_note_bound(eye->notes, MODEL_DURABLE, "reading", begin, end, e->lsn, MODEL_ANY);
    model_note_seen(eye->notes, begin, end, e);
    eye->time_us = eye->last_us = e->time_us;
    eye->last_lsn = e->lsn;
    eye->expected = e->lsn + 1;
    eye->wanted_lsn = 0;
}

int model_eye_next(struct model_eye *eye, int timeout_ms, struct varve_entry *ret_entry)
{
    uint64_t begin = model_tick(eye->h);
    int rc = timeout_ms == 0 ? varve_cursor_next(eye->cursor, ret_entry)
                             : varve_cursor_follow(eye->cursor, timeout_ms, ret_entry);
    uint64_t end = model_tick(eye->h);
    if (rc == 0) {
        given(eye, begin, end, ret_entry);
    } else if (rc == VARVE_END) {
        /* A reader may lag behind; at home the end is the durable LSN. */
        if (eye->reader == NULL && eye->expected != 0) {
            model_note_bound(eye->notes, MODEL_DURABLE, "reading", begin, end, 0, eye->expected - 1);
        }
    } else if (rc == VARVE_E_TRIMMED) {
        if (eye->expected != 0) {
            model_note_bound(eye->notes, MODEL_BEGIN, "reading", begin, end, eye->expected + 1, MODEL_ANY);
        }
    } else {
        wrong_error(eye, "next", rc);
    }
    return rc;
}
