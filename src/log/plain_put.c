/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_put: a gathered slot -> records in files.
 *
 * In: records end to end in the slot's buffer, or one larger record in its caller's memory. Out: they are
 * written, not synced, in one file or several: a record never crosses two, and a file is left for the next
 * one at the first record that does not fit, as the formats' own programs do. Next: the sync, then publish.
 *
 * Ways to fail: a write fails for good, then the file is cut back to its last whole record (or the bytes are
 * zero again, where files have a fixed size), and the log turns read-only. Nothing is written a second time
 * elsewhere: two files could hold the same record then.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/format.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/stages.h"

/* -- space -- */

static void use_room(struct varve_log *log, uint64_t bytes)
{
    uint64_t room = atomic_load(&log->room_bytes), left, threshold;

    /* The preparer may grant more at the same moment. */
    do {
        left = room > bytes ? room - bytes : 0;
    } while (!atomic_compare_exchange_weak(&log->room_bytes, &room, left));
    threshold =
        vv_plain_fixed(log) ? vv_prepare_threshold(log) : atomic_load(&log->plain->writer->granted) / 2;
    if (room >= threshold && left < threshold)
        vv_prepare_kick(log);
    if (!vv_plain_fixed(log))
        atomic_fetch_add(&log->plain->writer->disk_bytes, bytes);
}

bool vv_plain_wants(struct varve_log *log)
{
    return atomic_load(&log->room_bytes) < atomic_load(&log->plain->writer->granted) / 2 ||
           atomic_load(&log->space_short) != 0;
}

int vv_plain_lease(struct varve_log *log, struct varve_error *ret_error)
{
    uint64_t needed = log->ring_limit * log->frame_max, free_bytes = 0, room = VV_PLAIN_LEASE_BYTES;
    uint64_t used = atomic_load(&log->plain->writer->disk_bytes), max_bytes = log->options.max_log_bytes;
    size_t facts;

    /* Some of them may be full before this is asked again. */
    pthread_mutex_lock(&log->segments_mutex);
    facts = log->fact_count;
    pthread_mutex_unlock(&log->segments_mutex);
    if (facts + needed / log->options.segment_bytes + 16 > VV_SEGMENTS_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "the log has %zu files", facts);
    /* A file system that cannot say is believed to have room: then a write says that it has none. */
    if (log->io->space(log->io, log->plain->files.folder, &free_bytes) == 0)
        room = vv_min_u64(room, free_bytes);
    if (room < needed)
        return vv_error_set(ret_error, VARVE_E_NOSPC, 0,
                            "records on their way may need %" PRIu64 " bytes, and %" PRIu64 " are free",
                            needed, free_bytes);
    if (max_bytes != 0) {
        uint64_t left = used < max_bytes ? max_bytes - used : 0;

        if (left < log->frame_max)
            return vv_error_set(ret_error, VARVE_E_LOG_FULL, 0,
                                "files take %" PRIu64 " bytes, max_log_bytes is %" PRIu64, used, max_bytes);
        room = vv_min_u64(room, left);
    }
    atomic_store(&log->plain->writer->granted, room);
    atomic_store(&log->room_bytes, room);
    return 0;
}

/* -- bytes -- */

/* Best effort: the log is read-only from here on whatever comes of it. */
static void take_back(struct varve_log *log, uint64_t bytes, struct varve_error *error)
{
    struct vv_segment *file = log->current;
    uint64_t at = atomic_load(&log->plain->writer->at);
    struct varve_io *io = log->io;
    int rc = 0;

    if (!vv_plain_fixed(log))
        rc = io->truncate(io, file->file, at);
    for (uint64_t done = 0; vv_plain_fixed(log) && rc == 0 && done < bytes;) {
        struct iovec iov = {log->zeros, vv_min_u64(bytes - done, VV_PREPARE_ZERO_BYTES)};
        ssize_t n = io->pwritev(io, file->file, &iov, 1, at + done, 0);

        rc = n > 0 ? 0 : n == 0 ? -EIO : n == -EINTR ? 0 : (int)n;
        done += n > 0 ? (uint64_t)n : 0;
    }
    if (rc != 0)
        vv_error_wrap(error, "what was written of it stays");
}

/* The place moves on only behind a whole record. */
static int write_piece(struct varve_log *log, struct vv_slot *slot, const void *base, size_t len,
                       uint64_t *at, struct varve_error *ret_error)
{
    struct iovec iov = {(void *)(uintptr_t)base, len};
    int rc = 0;

    if (len == 0)
        return 0;
    if (log->current->map) {
        memcpy(log->current->map + *at, base, len);
        VV_COUNT(log, written_bytes, len);
    } else {
        slot->segment = log->current;
        rc = vv_write_all(log, slot, &iov, 1, *at, false, ret_error);
    }
    *at += len;
    return rc;
}

static int settle(struct varve_log *log, int rc, uint64_t bytes, struct varve_error *ret_error)
{
    if (rc != 0) {
        take_back(log, bytes, ret_error);
        return rc;
    }
    atomic_fetch_add(&log->plain->writer->at, bytes);
    use_room(log, bytes);
    return 0;
}

/* How many bytes the current file still takes. */
static uint64_t room_in_file(const struct varve_log *log)
{
    const struct varve_format *format = log->plain->format;
    uint64_t at = atomic_load(&log->plain->writer->at), end = log->current->capacity;

    if (format->layout == VARVE_LAYOUT_ONE_FILE)
        return UINT64_MAX;
    return end > at ? end - at : 0;
}

/* Whether a record that does not fit goes here all the same: the file has none yet. */
static bool stands_alone(const struct varve_log *log)
{
    const struct varve_format *format = log->plain->format;

    return !(format->traits & VARVE_FORMAT_FIXED) &&
           atomic_load(&log->plain->writer->at) == format->header_bytes;
}

/* How much of `bytes` bytes of whole records the current file takes, and how many records that is. */
static uint64_t count_fitting(const struct varve_log *log, const uint8_t *records, uint64_t bytes,
                              uint32_t *ret_count)
{
    const struct varve_format *format = log->plain->format;
    uint64_t room = room_in_file(log), fits = 0;
    struct varve_format_entry entry;
    uint32_t count = 0;

    while (fits < bytes) {
        enum varve_found found = vv_format_head(format, records + fits, bytes - fits, bytes - fits, &entry);

        assert(found == VARVE_FOUND_RECORD);
        (void)found;
        if (entry.bytes > room - fits && !(fits == 0 && stands_alone(log)))
            break;
        fits += entry.bytes;
        count++;
        if (fits > room)
            break;
    }
    *ret_count = count;
    return fits;
}

static int put_shared(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error)
{
    uint64_t lsn = atomic_load(&slot->first_lsn), done = 0;
    uint32_t left = slot->count;
    int rc = 0;

    while (rc == 0 && done < slot->body_bytes) {
        uint64_t bytes = slot->body_bytes - done, at = atomic_load(&log->plain->writer->at);
        uint32_t count = left;

        if (bytes > room_in_file(log))
            bytes = count_fitting(log, slot->buffer + done, bytes, &count);
        if (bytes == 0) {
            rc = vv_plain_rotate(log, slot, lsn, ret_error);
            slot->starts_segment = 1;
            continue;
        }
        rc = write_piece(log, slot, slot->buffer + done, bytes, &at, ret_error);
        rc = settle(log, rc, bytes, ret_error);
        done += bytes;
        lsn += count;
        left -= count;
    }
    return rc;
}

static int put_large(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error)
{
    const struct varve_format *format = log->plain->format;
    const struct vv_large *large = slot->large;
    const struct varve_record *record = large->record;
    uint64_t at;
    int rc = 0;

    if (slot->body_bytes > room_in_file(log) && !stands_alone(log)) {
        rc = vv_plain_rotate(log, slot, large->lsn, ret_error);
        slot->starts_segment = 1;
    }
    if (rc != 0)
        return rc;
    at = atomic_load(&log->plain->writer->at);
    rc = write_piece(log, slot, large->head, format->head_bytes, &at, ret_error);
    if (rc == 0 && record->iov_count == 0)
        rc = write_piece(log, slot, record->data, record->data_bytes, &at, ret_error);
    for (int i = 0; i < record->iov_count && rc == 0; i++)
        rc = write_piece(log, slot, record->iov[i].iov_base, record->iov[i].iov_len, &at, ret_error);
    if (rc == 0)
        rc = write_piece(log, slot, large->tail, format->tail_bytes, &at, ret_error);
    return settle(log, rc, slot->body_bytes, ret_error);
}

int vv_plain_put(struct varve_log *log, struct vv_slot *slot, struct varve_error *ret_error)
{
    int rc = slot->large ? put_large(log, slot, ret_error) : put_shared(log, slot, ret_error);

    if (slot->large)
        atomic_store(&log->large_unplaced, 0);
    atomic_store(&log->placed_seq, atomic_load(&slot->seq) + 1);
    vv_reserve_wake(log);
    return rc;
}
