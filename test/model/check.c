/* SPDX-License-Identifier: Apache-2.0 */
/* A life's notes against the model, and what is found at an opening against what may be there. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "model/eye.h"
#include "model/history.h"

bool model_wrong(struct model_history *h, const char *fmt, ...)
{
    va_list args;
    if (h->message[0] == '\0') {
        va_start(args, fmt);
        (void)vsnprintf(h->message, sizeof h->message, fmt, args);
        va_end(args);
    }
    return false;
}

/* -- the life -- */

static void note_untold(struct model_history *h, const struct model_append *a)
{
    h->untold = model_grow(h->untold, &h->untold_room, h->untold_count + 1, sizeof *h->untold);
    h->untold[h->untold_count++] = (struct model_untold){a->id, a->count, 0};
}

/* Every append into the list: an LSN is given once, and behind those that were there. */
static bool list_appends(struct model_history *h)
{
    uint64_t gaps, lsn = 0, untold = 0;
    for (size_t i = 0; i < h->notes.append_count; i++) {
        const struct model_append *a = &h->notes.appends[i];
        if (a->lsn == 0) {
            note_untold(h, a);
            untold += a->count;
            continue;
        }
        if (a->lsn <= h->base_last) {
            return model_wrong(h, "LSN %" PRIu64 " was given, and %" PRIu64 " was there before", a->lsn,
                               h->base_last);
        }
        if ((lsn = model_list_append(&h->list, a->lsn, a->id, a->count, a->alone)) != 0) {
            return model_wrong(h, "LSN %" PRIu64 " was given twice", lsn);
        }
        if (a->begin > h->after && (h->limit == 0 || a->lsn < h->limit)) {
            h->limit = a->lsn;
        }
    }
    gaps = model_list_gaps(&h->list, h->base_last, &lsn);
    if (gaps > untold) {
        return model_wrong(h, "LSN %" PRIu64 " was given to nobody, and %" PRIu64 " were given", lsn,
                           h->list.last);
    }
    return true;
}

/* A sync that succeeded makes durable what anybody knew of before it began. */
static void add_syncs(struct model_history *h)
{
    for (size_t i = 0; i < h->notes.syncs.count; i++) {
        const struct model_bound *sync = &h->notes.syncs.items[i];
        uint64_t last = model_bounds_known(&h->notes.bounds[MODEL_LAST], sync->begin, h->base_last);
        model_note_bound(&h->notes, MODEL_DURABLE, "a sync", sync->begin, sync->end, last, MODEL_ANY);
    }
}

static bool check_numbers(struct model_history *h)
{
    const uint64_t starts[MODEL_NUMBERS] = {h->base_last, h->base_last, h->base_first, h->base_first};
    struct model_bound low, high;
    for (int i = 0; i < MODEL_NUMBERS; i++) {
        const char *name = model_number_name((enum model_number)i);
        if (!model_bounds_check(&h->notes.bounds[i], starts[i], &low, &high)) {
            return model_wrong(h,
                               "%s was %" PRIu64 " at %" PRIu64 " by %s, and %" PRIu64
                               " or less after %" PRIu64 " by %s",
                               name, low.low, low.end, low.what, high.high, high.begin, high.what);
        }
    }
    return true;
}

/* The highest LSN that anybody asked to trim below, by then. */
static uint64_t asked_by(const struct model_history *h, uint64_t moment)
{
    uint64_t asked = h->base_first;
    for (size_t i = 0; i < h->notes.trim_count; i++) {
        const struct model_trim *t = &h->notes.trims[i];
        asked = t->begin < moment && t->asked > asked ? t->asked : asked;
    }
    return asked;
}

static bool check_trims(struct model_history *h)
{
    const struct model_bounds *begins = &h->notes.bounds[MODEL_BEGIN];
    for (size_t i = 0; i < begins->count; i++) {
        uint64_t asked = asked_by(h, begins->items[i].end);
        if (begins->items[i].low > asked) {
            return model_wrong(h, "the log begins with LSN %" PRIu64 ", and nobody trimmed above %" PRIu64,
                               begins->items[i].low, asked);
        }
    }
    return true;
}

/* A record that was given against the list. */
static bool check_seen(struct model_history *h, const struct model_seen *seen)
{
    const struct model_entry *entry = model_list_at(&h->list, seen->lsn);
    if (entry != NULL) {
        return model_record_expected(&h->config->sizes, entry->id) == seen->digest ||
               model_wrong(h, "LSN %" PRIu64 " is not read as it was appended", seen->lsn);
    }
    for (size_t i = 0; i < h->untold_count; i++) {
        struct model_untold *u = &h->untold[i];
        uint64_t number = seen->id - u->id;
        if (seen->id < u->id || number >= u->count || u->found >> number & 1) {
            continue;
        }
        if (model_record_expected(&h->config->sizes, seen->id) != seen->digest) {
            break;
        }
        u->found |= UINT64_C(1) << number;
        model_list_found(&h->list, seen->lsn, seen->id);
        return true;
    }
    return model_wrong(h, "LSN %" PRIu64 " was read, and never appended", seen->lsn);
}

static bool check_all_seen(struct model_history *h)
{
    for (size_t i = 0; i < h->notes.seen_count; i++) {
        const struct model_seen *seen = &h->notes.seens[i];
        if (!check_seen(h, seen)) {
            return false;
        }
    }
    h->tally->seens += h->notes.seen_count;
    h->tally->appends += h->notes.append_count;
    return true;
}

bool model_check_life(struct model_history *h)
{
    if (h->notes.wrong[0] != '\0') {
        return model_wrong(h, "%s", h->notes.wrong);
    }
    model_bounds_tie(h->notes.bounds);
    add_syncs(h);
    if (!list_appends(h) || !check_numbers(h) || !check_trims(h) || !check_all_seen(h)) {
        return false;
    }
    h->list.durable = model_bounds_known(&h->notes.bounds[MODEL_DURABLE], h->before, h->base_last);
    h->low = model_bounds_known(&h->notes.bounds[MODEL_BEGIN], h->before, h->base_first);
    h->high = asked_by(h, h->after);
    if (h->options.durability == VARVE_MEMORY) {
        model_list_crash(&h->list, h->base_last);
        h->low = h->high = h->base_first;
    } else if (h->clean) {
        h->list.durable = h->list.last;
    }
    return true;
}

/* -- an opening -- */

/* Records that were appended together share a frame, and strict ones share it with nobody. */
static bool check_frame(struct model_history *h, const struct model_seen *seen,
                        const struct model_seen *before)
{
    const struct model_entry *entry = model_list_at(&h->list, seen->lsn),
                             *last = before != NULL ? model_list_at(&h->list, before->lsn) : NULL;
    if (last == NULL) {
        return true;
    }
    bool together = seen->segment == before->segment && seen->frame == before->frame;
    if (entry->batch == last->batch && !together) {
        return model_wrong(h, "LSN %" PRIu64 " and the one before were appended together and have two frames",
                           seen->lsn);
    }
    if (entry->batch != last->batch && together && (entry->alone || last->alone)) {
        return model_wrong(h, "LSN %" PRIu64 " and the one before share a frame, and one is strict",
                           seen->lsn);
    }
    return true;
}

static bool read_found(struct model_history *h, struct model_notes *notes)
{
    struct model_eye eye;
    struct varve_entry entry;
    if (!model_eye_open(&eye, h, notes, false)) {
        return model_wrong(h, "%s", notes->wrong);
    }
    while (model_eye_next(&eye, 0, &entry) == 0) {
    }
    model_eye_close(&eye);
    if (notes->wrong[0] != '\0') {
        return model_wrong(h, "after opening: %s", notes->wrong);
    }
    return true;
}

static bool check_end(struct model_history *h, uint64_t last)
{
    struct varve_recovery recovery;
    const char *why = model_list_may_end(&h->list, last);
    varve_recovery_stats(h->log, &recovery);
    if (recovery.verdict > (h->clean ? VARVE_VERDICT_CLEAN_END : VARVE_VERDICT_TORN)) {
        return model_wrong(h, "the verdict is %s", varve_verdict_name(recovery.verdict));
    }
    if (why != NULL) {
        return model_wrong(h, "the log ends with LSN %" PRIu64 ", and %" PRIu64 " was durable: %s", last,
                           h->list.durable, why);
    }
    if ((h->limit != 0 && last >= h->limit) || (last > h->list.last && h->untold_count == 0)) {
        return model_wrong(h, "the log ends with LSN %" PRIu64 ", which was never given", last);
    }
    h->tally->torn += recovery.verdict == VARVE_VERDICT_TORN;
    return true;
}

bool model_check_found(struct model_history *h)
{
    struct model_notes notes = {.wrong = ""};
    uint64_t first = varve_first_lsn(h->log), last = varve_last_lsn(h->log);
    bool good = check_end(h, last) && read_found(h, &notes);
    if (good && (first < h->low || first > h->high)) {
        good = model_wrong(h, "the log begins with LSN %" PRIu64 ", and %" PRIu64 " to %" PRIu64 " is right",
                           first, h->low, h->high);
    }
    if (good && notes.seen_count != last + 1 - first) {
        good = model_wrong(h, "%zu records are read of LSN %" PRIu64 " to %" PRIu64, notes.seen_count, first,
                           last);
    }
    for (size_t i = 0; good && i < notes.seen_count; i++) {
        const struct model_seen *seen = &notes.seens[i];
        good =
            seen->lsn == first + i || model_wrong(h, "LSN %" PRIu64 " is read in the wrong place", seen->lsn);
        good = good && check_seen(h, seen) && check_frame(h, seen, i > 0 ? seen - 1 : NULL);
    }
    model_notes_free(&notes);
    if (good) {
        model_list_crash(&h->list, last);
        h->base_first = first;
        h->base_last = last;
        h->untold_count = 0; /* what is not there now never will be */
    }
    return good;
}
