/* SPDX-License-Identifier: Apache-2.0 */
/*
 * append: what callers call. Checks the record, takes it through reserve and encode, and waits for as much
 * durability as was asked for.
 *
 * In: the caller's record. Out: an LSN. Next: reserve.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/tooth.h"
#include "format/frame.h"
#include "format/record.h"
#include "log/metrics.h"
#include "log/plain_write.h"
#include "log/stages.h"
#include "log/tell.h"

/* Whether more is set than a transaction, and may be: a time, which a format of others judges by itself.
 * Apart, as nearly no record has one. */
__attribute__((noinline)) static bool may_have_time(struct varve_log *log, const struct varve_record *record)
{
    if (record->flags & ~(VARVE_RECORD_TXN | VARVE_RECORD_TIME))
        return false;
    if (log->plain || (log->timed && record->time > 0 && record->time <= INT64_MAX))
        return true;
    vv_tell(log, REFUSED, VV_ABOUT(.code = VARVE_E_INVALID), "not appended: %s",
            log->timed ? "its time is 0, or beyond all times"
                       : "it has a time, and the log was not opened with VARVE_OPEN_TIMES");
    return false;
}

/* Length of the payload. Errors: INVALID, TOO_LARGE. */
static inline int measure_pieces(struct varve_log *log, const struct varve_record *record,
                                 uint64_t *ret_bytes)
{
    uint64_t bytes = record->data_bytes;

    if (record->iov_count < 0 ||
        (record->iov_count > 0 && (!record->iov || record->data || record->data_bytes)))
        return VARVE_E_INVALID;
    if (record->iov_count == 0 && bytes > 0 && !record->data)
        return VARVE_E_INVALID;
    if ((record->flags & ~VARVE_RECORD_TXN) && !may_have_time(log, record))
        return VARVE_E_INVALID;
    for (int i = 0; i < record->iov_count; i++) {
        if (record->iov[i].iov_len > 0 && !record->iov[i].iov_base)
            return VARVE_E_INVALID;
        /* In this form: the sum of two lengths may be past what a word holds. */
        if (record->iov[i].iov_len > log->options.record_max - bytes)
            return VARVE_E_TOO_LARGE;
        bytes += record->iov[i].iov_len;
    }
    if (bytes > log->options.record_max)
        return VARVE_E_TOO_LARGE;
    *ret_bytes = bytes;
    return 0;
}

/* Whether a format of others can hold it. Errors: UNSUPPORTED INVALID TOO_LARGE. */
__attribute__((noinline)) static int admit(struct varve_log *log, const struct varve_record *record,
                                           uint64_t payload_bytes)
{
    struct varve_error error;
    int rc = vv_format_admit(log->plain->format, record, payload_bytes, &error);

    if (rc != 0)
        vv_tell(log, REFUSED, VV_ABOUT(.code = rc), "not appended: %s", error.message);
    return rc;
}

static inline int measure(struct varve_log *log, const struct varve_record *record, uint64_t *ret_bytes)
{
    int rc = measure_pieces(log, record, ret_bytes);

    return rc == 0 && log->plain ? admit(log, record, *ret_bytes) : rc;
}

static uint64_t body_bytes(const struct varve_log *log, const struct varve_record *record,
                           uint64_t payload_bytes)
{
    if (log->plain)
        return vv_format_record_bytes(log->plain->format, payload_bytes);
    return vv_record_bytes(payload_bytes, record->flags & VARVE_RECORD_TXN);
}

/* What an append asks for: the log's mode, or a stronger one. */
static int choose_durability(struct varve_log *log, enum varve_durability asked, enum varve_durability *ret)
{
    enum varve_durability own = log->options.durability;

    if (asked == VARVE_DURABILITY_DEFAULT)
        asked = own;
    if (asked > VARVE_STRICT || asked < own)
        return VARVE_E_INVALID;
    if (own == VARVE_MEMORY && asked > own)
        return VARVE_E_UNSUPPORTED;
    *ret = asked;
    return 0;
}

/* A slot got its first record. Nobody who waits may come: the flusher must know. */
static void announce(struct varve_log *log, const struct vv_reservation *r)
{
    if (!log->leads)
        vv_wait_given(log);
    if (!r->first || log->in_memory)
        return;
    /* In `buffered` mode the flusher hears of a slot when it is closed, and a frame of its own was from the
     * start. */
    if (log->leads || (atomic_load(&r->slot->word) & VV_WORD_CLOSED) ||
        (log->options.durability == VARVE_INTERVAL && atomic_load(&log->flush_sleeps) == VV_FLUSH_ASLEEP))
        vv_flush_kick(log);
}

/* A file that grows owns nothing ahead, and what is free is given out for ordinary slots. */
static int look_for_space(struct varve_log *log, uint64_t payload_bytes)
{
    uint64_t needed = payload_bytes + log->ring_limit * log->frame_max, free_bytes;

    if (vv_plain_fixed(log) || log->io->space(log->io, log->plain->files.folder, &free_bytes) != 0)
        return 0;
    return free_bytes < needed ? VARVE_E_NOSPC : 0;
}

/* The time of a record that comes after one of `before_us`. */
static uint64_t time_after(uint64_t before_us, const struct varve_record *record)
{
    return record->flags & VARVE_RECORD_TIME ? vv_max_u64(before_us, record->time) : before_us;
}

/* The times of all of them. INVALID: they go back. TOO_LARGE: no frame has room for what lies between. */
static int span_times(const struct varve_record *records, uint32_t count, uint64_t now_us,
                      struct vv_times *times)
{
    uint64_t at_us = records[0].flags & VARVE_RECORD_TIME ? records[0].time : now_us;

    *times = (struct vv_times){.first_us = at_us, .given_us = UINT64_MAX};
    for (uint32_t i = 0; i < count; i++) {
        if (!(records[i].flags & VARVE_RECORD_TIME))
            continue;
        if (records[i].time < at_us)
            return VARVE_E_INVALID;
        at_us = records[i].time;
        if (times->given_us == UINT64_MAX)
            times->given_us = at_us;
    }
    times->last_us = at_us;
    return at_us - times->first_us > UINT32_MAX ? VARVE_E_TOO_LARGE : 0;
}

__attribute__((noinline)) static int take_timed(struct varve_log *log, const struct varve_record *records,
                                                uint32_t count, uint64_t bytes, enum vv_reserve_kind kind,
                                                uint64_t *now_us, struct vv_reservation *ret_reservation)
{
    struct vv_times times;
    int rc = span_times(records, count, *now_us, &times);

    if (rc == 0)
        rc = vv_reserve_timed(log, bytes, count, kind, &times, ret_reservation);
    if (rc == VARVE_E_INVALID)
        vv_tell(log, REFUSED, VV_ABOUT(.code = rc),
                "not appended: its time, %" PRIu64 ", is before that of the record before it",
                times.given_us);
    *now_us = times.first_us;
    return rc;
}

/* A place for the records, and in *now_us the time of the first of them. */
static inline int take(struct varve_log *log, const struct varve_record *records, uint32_t count,
                       uint64_t bytes, enum vv_reserve_kind kind, uint64_t *now_us,
                       struct vv_reservation *ret_reservation)
{
    if (log->timed)
        return take_timed(log, records, count, bytes, kind, now_us, ret_reservation);
    return vv_reserve_take(log, bytes, count, kind, *now_us, ret_reservation);
}

static int append_large(struct varve_log *log, const struct varve_record *record, uint64_t payload_bytes,
                        uint64_t now_us, uint64_t *ret_lsn)
{
    struct vv_large large = {.record = record, .payload_bytes = payload_bytes};
    struct vv_reservation r;
    int rc = log->plain && !log->in_memory ? look_for_space(log, payload_bytes) : 0;

    if (rc == 0)
        rc = take(log, record, 1, body_bytes(log, record, payload_bytes), VV_RESERVE_LARGE, &now_us, &r);
    if (rc != 0)
        return rc;
    large.lsn = r.lsn;
    vv_encode_large(log, r.slot, &large, now_us);
    vv_encode_filled(r.slot, 1);
    if (log->in_memory) {
        if (vv_seal_claim(r.slot, r.seq))
            vv_seal_lead(log, r.slot, r.seq);
    } else {
        /* The bytes are the caller's: this cannot return before they are on disk, or the log has failed and
         * looks at them no more. */
        rc = vv_wait_slot(log, r.seq, r.lsn);
        if (rc != 0) {
            /* Nor while somebody moves it. Who comes to move it after this finds that the log has failed. */
            pthread_mutex_lock(&log->place_mutex);
            pthread_mutex_unlock(&log->place_mutex);
        }
    }
    if (rc == 0 && ret_lsn)
        *ret_lsn = r.lsn;
    return rc;
}

static int try_append(struct varve_log *log, const struct varve_record *record,
                      enum varve_durability durability, bool wait, uint64_t *ret_lsn)
{
    uint64_t payload_bytes, bytes, now_us;
    struct vv_reservation r;
    int rc = measure(log, record, &payload_bytes);

    if (rc != 0)
        return rc;
    now_us = vv_log_record_us(log);
    bytes = body_bytes(log, record, payload_bytes);
    if (bytes > log->body_max)
        return append_large(log, record, payload_bytes, now_us, ret_lsn);
    rc = take(log, record, 1, bytes,
              durability == VARVE_STRICT && !VV_TOOTH(STRICT_SHARES) ? VV_RESERVE_ALONE : VV_RESERVE_SHARED,
              &now_us, &r);
    if (rc != 0)
        return rc;
    vv_encode_record(log, r.slot, r.offset, r.lsn, record, payload_bytes, now_us);
    vv_encode_filled(r.slot, 1);
    if (!wait || !log->leads)
        announce(log, &r);
    if (wait && durability >= VARVE_GROUP)
        rc = vv_wait_slot(log, r.seq, r.lsn);
    if (rc == 0 && ret_lsn)
        *ret_lsn = r.lsn;
    return rc;
}

/* Notes a failure, in passing. */
static int noted(struct varve_log *log, int rc)
{
    if (rc != 0)
        vv_metrics_error(log, rc);
    return rc;
}

static int append(struct varve_log *log, const struct varve_record *record, enum varve_durability durability,
                  bool wait, uint64_t *ret_lsn)
{
    return noted(log, try_append(log, record, durability, wait, ret_lsn));
}

int varve_append(struct varve_log *log, const void *data, size_t bytes, uint64_t *ret_lsn)
{
    const struct varve_record record = {.data = data, .data_bytes = bytes};

    return append(log, &record, log->options.durability, true, ret_lsn);
}

int varve_append_record(struct varve_log *log, const struct varve_record *record,
                        enum varve_durability durability, uint64_t *ret_lsn)
{
    int rc = choose_durability(log, durability, &durability);

    return rc != 0 ? noted(log, rc) : append(log, record, durability, true, ret_lsn);
}

int varve_append_async(struct varve_log *log, const struct varve_record *record, uint64_t *ret_lsn)
{
    return append(log, record, log->options.durability, false, ret_lsn);
}

static int append_batch(struct varve_log *log, const struct varve_record *records, size_t count,
                        enum varve_durability durability, int wait, uint64_t *ret_first_lsn)
{
    uint64_t bytes = 0, payload_bytes, offset, now_us;
    struct vv_reservation r;
    int rc = choose_durability(log, durability, &durability);

    if (rc != 0)
        return rc;
    if (count == 0 || count > 65536)
        return VARVE_E_INVALID;
    if (log->plain && count > 1 && log->plain->format->durability == VARVE_STRICT)
        return VARVE_E_UNSUPPORTED; /* a sync for each record is what the format promises */
    /* Before the sizes: a log that is open read-only has no slots to fit into. */
    rc = atomic_load_explicit(&log->gate, memory_order_relaxed);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        rc = measure(log, &records[i], &payload_bytes);
        if (rc != 0)
            return rc;
        bytes += body_bytes(log, &records[i], payload_bytes);
        if (bytes > log->body_max)
            return VARVE_E_TOO_LARGE;
    }
    now_us = vv_log_record_us(log);
    rc = take(log, records, (uint32_t)count, bytes,
              durability == VARVE_STRICT ? VV_RESERVE_ALONE : VV_RESERVE_SHARED, &now_us, &r);
    if (rc != 0)
        return rc;
    offset = r.offset;
    for (size_t i = 0; i < count; i++) {
        (void)measure_pieces(log, &records[i], &payload_bytes);
        if (log->timed)
            now_us = time_after(now_us, &records[i]);
        vv_encode_record(log, r.slot, offset, r.lsn + i, &records[i], payload_bytes, now_us);
        offset += body_bytes(log, &records[i], payload_bytes);
    }
    vv_encode_filled(r.slot, (uint32_t)count);
    if (!wait || !log->leads)
        announce(log, &r);
    if (wait && durability >= VARVE_GROUP)
        rc = vv_wait_slot(log, r.seq, r.lsn + count - 1);
    if (rc == 0 && ret_first_lsn)
        *ret_first_lsn = r.lsn;
    return rc;
}

int varve_append_batch(struct varve_log *log, const struct varve_record *records, size_t count,
                       enum varve_durability durability, int wait, uint64_t *ret_first_lsn)
{
    return noted(log, append_batch(log, records, count, durability, wait, ret_first_lsn));
}
