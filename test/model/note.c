/* SPDX-License-Identifier: Apache-2.0 */
#include "model/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/record.h"

void *model_grow(void *array, size_t *room, size_t count, size_t item)
{
    if (count > *room) {
        *room = count * 2 + 16;
        array = realloc(array, *room * item);
        if (array == NULL) {
            abort();
        }
    }
    return array;
}

void model_notes_free(struct model_notes *notes)
{
    for (int i = 0; i < MODEL_NUMBERS; i++) {
        model_bounds_free(&notes->bounds[i]);
    }
    model_bounds_free(&notes->syncs);
    free(notes->appends);
    free(notes->seens);
    free(notes->trims);
    memset(notes, 0, sizeof *notes);
}

static void take_bounds(struct model_bounds *bounds, const struct model_bounds *from)
{
    for (size_t i = 0; i < from->count; i++) {
        model_bounds_add(bounds, &from->items[i]);
    }
}

void model_notes_take(struct model_notes *notes, struct model_notes *from)
{
    for (int i = 0; i < MODEL_NUMBERS; i++) {
        take_bounds(&notes->bounds[i], &from->bounds[i]);
    }
    take_bounds(&notes->syncs, &from->syncs);
    for (size_t i = 0; i < from->append_count; i++) {
        model_note_append(notes, &from->appends[i]);
    }
    for (size_t i = 0; i < from->seen_count; i++) {
        notes->seens =
            model_grow(notes->seens, &notes->seen_room, notes->seen_count + 1, sizeof *notes->seens);
        notes->seens[notes->seen_count++] = from->seens[i];
    }
    for (size_t i = 0; i < from->trim_count; i++) {
        model_note_trim(notes, &from->trims[i]);
    }
    if (from->wrong[0] != '\0') {
        model_note_wrong(notes, "%s", from->wrong);
    }
    model_notes_free(from);
}

void model_note_bound(struct model_notes *notes, enum model_number number, const char *what, uint64_t begin,
                      uint64_t end, uint64_t low, uint64_t high)
{
    const struct model_bound bound = {begin, end, low, high, what};
    model_bounds_add(&notes->bounds[number], &bound);
}

void model_note_append(struct model_notes *notes, const struct model_append *append)
{
    notes->appends =
        model_grow(notes->appends, &notes->append_room, notes->append_count + 1, sizeof *notes->appends);
    notes->appends[notes->append_count++] = *append;
}

void model_note_seen(struct model_notes *notes, uint64_t begin, uint64_t end, const struct varve_entry *entry)
{
    struct model_seen seen = {
        .begin = begin,
        .end = end,
        .lsn = entry->lsn,
        .time_us = entry->time_us,
        .segment = entry->segment,
        .frame = entry->frame_offset,
        .digest = model_record_digest(entry->data, entry->data_bytes, entry->type, entry->flags,
                                      entry->txn_id, entry->origin),
    };
    if (entry->data_bytes >= sizeof seen.id) {
        memcpy(&seen.id, entry->data, sizeof seen.id);
    }
    notes->seens = model_grow(notes->seens, &notes->seen_room, notes->seen_count + 1, sizeof *notes->seens);
    notes->seens[notes->seen_count++] = seen;
}

void model_note_trim(struct model_notes *notes, const struct model_trim *trim)
{
    notes->trims = model_grow(notes->trims, &notes->trim_room, notes->trim_count + 1, sizeof *notes->trims);
    notes->trims[notes->trim_count++] = *trim;
}

void model_note_wrong(struct model_notes *notes, const char *fmt, ...)
{
    va_list args;
    if (notes->wrong[0] != '\0') {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(notes->wrong, sizeof notes->wrong, fmt, args);
    va_end(args);
}
