/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode: lays a record out in the slot that it has a reservation in, and checksums it on the way.
 *
 * In: a reservation. Out: bytes in the slot's buffer, counted in `filled`. Next: seal, by the slot's leader.
 * Appenders do this in parallel, under no lock. It cannot fail.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/wait.h"
#include "format/frame.h"
#include "format/record.h"
#include "log/plain.h"
#include "log/stages.h"

/* The frame's time: that of the first record to get here, and not before the slot was opened, which was after
 * every record of the slot before it had read the clock. So times never decrease along the log. */
static uint64_t frame_time(struct vv_slot *slot, uint64_t now_us)
{
    uint64_t set = atomic_load_explicit(&slot->time_us, memory_order_relaxed);

    if (set != 0)
        return set;
    if (now_us < slot->floor_us)
        now_us = slot->floor_us;
    if (now_us == 0)
        now_us = 1; /* 0 means "not set"; a clock that stands at the very beginning of time is a test's */
    if (atomic_compare_exchange_strong(&slot->time_us, &set, now_us))
        return now_us;
    return set;
}

static uint32_t delta_us(struct vv_slot *slot, uint64_t now_us)
{
    uint64_t start = frame_time(slot, now_us);

    if (now_us <= start)
        return 0;
    return now_us - start > UINT32_MAX ? UINT32_MAX : (uint32_t)(now_us - start);
}

/* What the engine says of a record in a format of others. The slot's time is for the metrics alone. */
static struct varve_format_stamp plain_stamp(struct varve_log *log, struct vv_slot *slot, uint64_t lsn,
                                             const struct varve_record *record, uint64_t now_us)
{
    (void)frame_time(slot, now_us);
    return (struct varve_format_stamp){lsn, record->flags & VARVE_RECORD_TIME
                                                ? record->time
                                                : varve_format_time_of_us(log->plain->format, now_us)};
}

/* Apart, so that it costs the native way no registers. */
__attribute__((noinline)) static void encode_plain(struct varve_log *log, struct vv_slot *slot,
                                                   uint64_t offset, uint64_t lsn,
                                                   const struct varve_record *record, uint64_t payload_bytes,
                                                   uint64_t now_us)
{
    const struct varve_format_stamp stamp = plain_stamp(log, slot, lsn, record, now_us);

    vv_format_encode(log->plain->format, record, payload_bytes, &stamp, slot->buffer + offset);
}

static void encode_plain_large(struct varve_log *log, struct vv_slot *slot, struct vv_large *large,
                               uint64_t now_us)
{
    const struct varve_format_stamp stamp = plain_stamp(log, slot, large->lsn, large->record, now_us);
    struct vv_format_ends ends;

    vv_format_ends(log->plain->format, large->record, large->payload_bytes, &stamp, &ends);
    memcpy(large->head, ends.head, sizeof large->head);
    memcpy(large->tail, ends.tail, sizeof ends.tail);
    slot->large = large;
}

void vv_encode_filled(struct vv_slot *slot, uint32_t count)
{
    atomic_fetch_add(&slot->filled, count);
    if (atomic_load(&slot->leader_waits))
        vv_wake_one(&slot->filled);
}

void vv_encode_record(struct varve_log *log, struct vv_slot *slot, uint64_t offset, uint64_t lsn,
                      const struct varve_record *record, uint64_t payload_bytes, uint64_t now_us)
{
    uint8_t *at = slot->buffer + VV_FRAME_HEADER_BYTES + offset, *end;
    size_t head;
    uint32_t crc;

    if (log->plain) {
        encode_plain(log, slot, offset, lsn, record, payload_bytes, now_us);
        return;
    }
    head = vv_record_head(at, (uint32_t)payload_bytes, record->type, record->flags & VARVE_RECORD_TXN,
                          delta_us(slot, now_us), record->txn_id, record->origin);
    crc = vv_crc32c(vv_record_seed(log->log_seed, lsn), at + 4, head - 4);
    end = at + head;
    if (record->iov_count == 0) {
        crc = vv_crc32c_copy(crc, end, record->data, record->data_bytes);
        end += record->data_bytes;
    }
    for (int i = 0; i < record->iov_count; i++) {
        crc = vv_crc32c_copy(crc, end, record->iov[i].iov_base, record->iov[i].iov_len);
        end += record->iov[i].iov_len;
    }
    vv_put_u32(at, crc);
    while ((uintptr_t)end % 8 != 0)
        *end++ = 0;
}

void vv_encode_large(struct varve_log *log, struct vv_slot *slot, struct vv_large *large, uint64_t now_us)
{
    const struct varve_record *record = large->record;
    uint32_t crc;

    if (log->plain) {
        encode_plain_large(log, slot, large, now_us);
        return;
    }

    large->head_bytes = (uint32_t)vv_record_head(large->head, (uint32_t)large->payload_bytes, record->type,
                                                 record->flags & VARVE_RECORD_TXN, delta_us(slot, now_us),
                                                 record->txn_id, record->origin);
    crc = vv_crc32c(vv_record_seed(log->log_seed, large->lsn), large->head + 4, large->head_bytes - 4);
    if (record->iov_count == 0)
        crc = vv_crc32c(crc, record->data, record->data_bytes);
    for (int i = 0; i < record->iov_count; i++)
        crc = vv_crc32c(crc, record->iov[i].iov_base, record->iov[i].iov_len);
    vv_put_u32(large->head, crc);
    slot->large = large;
}
