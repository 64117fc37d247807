/* SPDX-License-Identifier: Apache-2.0 */
/* stats: what callers may ask of an open log. No lock, no I/O. */
#include <string.h>

#include "base/bytes.h"
#include "io/event.h"
#include "log/stages.h"

const char *varve_verdict_name(enum varve_verdict verdict)
{
    static const char *const names[] = {"clean end", "torn", "corrupt", "hole", "missing segment", "foreign"};

    return (size_t)verdict < sizeof names / sizeof *names ? names[verdict] : "unknown verdict";
}

uint64_t varve_durable_lsn(struct varve_log *log)
{
    return atomic_load(&log->durable_lsn);
}

uint64_t varve_last_lsn(struct varve_log *log)
{
    return log->read_only ? atomic_load(&log->durable_lsn) : vv_reserve_last_lsn(log);
}

uint64_t varve_first_lsn(struct varve_log *log)
{
    return atomic_load(&log->first_lsn);
}

void varve_recovery_stats(struct varve_log *log, struct varve_recovery *ret_recovery)
{
    *ret_recovery = log->recovery;
}

int varve_eventfd(struct varve_log *log, int *ret_fd)
{
    int fd, none = -1;

    if (log->read_only || log->in_memory)
        return VARVE_E_UNSUPPORTED;
    if (atomic_load(&log->gate) == VARVE_E_FORKED)
        return VARVE_E_FORKED;
    if (atomic_load(&log->event_fd) < 0) {
        if (vv_event_open(&fd) != 0)
            return VARVE_E_IO;
        if (!atomic_compare_exchange_strong(&log->event_fd, &none, fd))
            vv_event_close(fd); /* somebody else asked at the same moment */
    }
    *ret_fd = atomic_load(&log->event_fd);
    return 0;
}

/* The first LSN that is not yet encoded, less one; and the same for written. Both as of some moment during
 * the call. */
static void positions(struct varve_log *log, struct varve_stats *s)
{
    uint64_t end = atomic_load(&log->open_seq);
    bool all_encoded = true, all_written = true;

    s->durable_lsn = s->encoded_lsn = s->written_lsn = atomic_load(&log->durable_lsn);
    for (uint64_t seq = vv_published(log); seq <= end && all_encoded; seq++) {
        struct vv_slot *slot = vv_slot_at(log, seq);
        uint64_t first = atomic_load(&slot->first_lsn);
        uint32_t filled = atomic_load(&slot->filled), count = vv_word_count(atomic_load(&slot->word));
        uint32_t progress = atomic_load(&slot->progress);

        /* Not published even now: then all of this was of one life of the slot. */
        if (atomic_load(&slot->seq) != seq || vv_published(log) > seq)
            continue;
        all_encoded = filled == count;
        all_written = all_written && all_encoded && progress >= VV_PROGRESS_WRITTEN;
        /* Records are filled in any order: only a full slot tells which ones. */
        if (all_encoded)
            s->encoded_lsn = vv_max_u64(s->encoded_lsn, first + count - 1);
        if (all_written)
            s->written_lsn = vv_max_u64(s->written_lsn, first + count - 1);
    }
}

int varve_stats_get(struct varve_log *log, struct varve_stats *ret_stats)
{
    const struct varve_options *o = &log->options;
    struct vv_counters *c = &log->counters;
    size_t size = ret_stats->size;
    struct varve_stats s = {.size = size};

    if (size < sizeof size)
        return VARVE_E_INVALID;
    if (atomic_load(&log->gate) == VARVE_E_FORKED)
        return VARVE_E_FORKED;
    s.acked_lsn = atomic_load(&log->acked_lsn);
    if (!log->read_only)
        positions(log, &s);
    else
        s.durable_lsn = s.encoded_lsn = s.written_lsn = atomic_load(&log->durable_lsn);
    s.reserved_lsn = varve_last_lsn(log);
    s.first_lsn = atomic_load(&log->first_lsn);
    s.frames = atomic_load(&c->frames);
    s.marks = atomic_load(&c->marks);
    s.records = atomic_load(&c->records);
    s.payload_bytes = atomic_load(&c->payload_bytes);
    s.written_bytes = atomic_load(&c->written_bytes);
    s.writes = atomic_load(&c->writes);
    s.syncs = atomic_load(&c->syncs);
    s.retries = atomic_load(&c->retries);
    s.moves = atomic_load(&c->moves);
    s.backpressure = atomic_load(&c->backpressure);
    s.segments_opened = atomic_load(&c->segments_opened);
    s.segments_trimmed = atomic_load(&c->segments_trimmed);
    s.spares_used = atomic_load(&c->spares_used);
    s.slot_bytes = o->slot_bytes;
    s.slot_count = o->slot_count;
    s.segment_bytes = o->segment_bytes;
    s.sector_bytes = log->sector_bytes;
    s.writes_in_flight = o->writes_in_flight;
    s.backend = o->backend;
    s.durability = o->durability;
    s.record_max = o->record_max;
    memcpy(ret_stats, &s, vv_min_u64(size, sizeof s));
    return 0;
}
