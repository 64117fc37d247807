/* SPDX-License-Identifier: Apache-2.0 */
/*
 * large: a record that is larger than a slot -> the bytes of its frame, one piece after the other.
 *
 * In: a record in its caller's memory. Out: pieces that fit into the slot's buffer. Next: write.
 *
 * A codec that packs is not asked: it would need memory for all of the record. A codec that seals takes
 * pieces, but must be gone through twice, as the header, which goes out first, has the checksum of what is
 * stored.
 */
#include "log/large.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "log/codec.h"

/* -- the plain body -- */

/* The next bytes of it, at most `want`; behind the record they are zeros. */
static void read_plain(struct vv_large_source *s, uint8_t *out, size_t want)
{
    const struct vv_large *large = s->slot->large;
    const struct varve_record *record = large->record;
    int parts = record->iov_count > 0 ? record->iov_count : 1;
    size_t got = 0;

    while (got < want && s->part < parts) {
        const uint8_t *from = s->part < 0             ? large->head
                              : record->iov_count > 0 ? record->iov[s->part].iov_base
                                                      : record->data;
        size_t len = s->part < 0             ? large->head_bytes
                     : record->iov_count > 0 ? record->iov[s->part].iov_len
                                             : record->data_bytes;
        size_t n = vv_min_u64(len - s->part_at, want - got);

        if (n > 0)
            memcpy(out + got, from + s->part_at, n);
        got += n;
        s->part_at += n;
        if (s->part_at == len) {
            s->part++;
            s->part_at = 0;
        }
    }
    memset(out + got, 0, want - got);
}

/* -- as it is stored -- */

void vv_large_begin(struct vv_large_source *s, struct varve_log *log, struct vv_slot *slot)
{
    s->log = log;
    s->slot = slot;
    s->at = 0;
    s->part = -1;
    s->part_at = 0;
    memcpy(s->header, slot->buffer, sizeof s->header);
}

/* One step: out of the head, the body or the tail, whichever comes. Returns how far it got, or a code. */
static int64_t read_sealed(struct vv_large_source *s, uint8_t *out, size_t want)
{
    const struct vv_slot *slot = s->slot;
    const struct varve_codec *sealer = slot->lane->encoder.sealer;
    void *context = slot->lane->encoder.sealing;
    uint64_t head = sealer->head_bytes, tail_at = head + slot->body_bytes;
    size_t n;
    int rc = 0;

    if (s->at == 0) {
        struct varve_codec_unit unit = vv_codec_unit(s->log, slot, s->header);

        rc = sealer->seal_begin(context, &unit, s->edge);
    } else if (s->at == tail_at) {
        rc = sealer->seal_end(context, s->edge);
    }
    if (s->at < head || s->at >= tail_at) {
        uint64_t from = s->at < head ? s->at : s->at - tail_at;
        uint64_t end = s->at < head ? head : tail_at + sealer->tail_bytes;

        n = vv_min_u64(want, end - s->at);
        memcpy(out, s->edge + from, n);
    } else {
        n = vv_min_u64(want, tail_at - s->at);
        read_plain(s, out, n);
        rc = sealer->seal_more(context, out, n, out);
    }
    return rc != 0 ? rc : (int64_t)n;
}

int vv_large_read(struct vv_large_source *s, uint8_t *out, size_t want)
{
    uint64_t stored = s->slot->stored_bytes;
    size_t got = 0;

    while (got < want && s->at < stored) {
        size_t left = vv_min_u64(want - got, stored - s->at);
        int64_t n = (int64_t)left;

        if (s->slot->codec_id != 0)
            n = read_sealed(s, out + got, left);
        else
            read_plain(s, out + got, left);
        if (n <= 0)
            return (int)n;
        got += (size_t)n;
        s->at += (uint64_t)n;
    }
    memset(out + got, 0, want - got);
    return 0;
}

/* -- checksum -- */

/* Straight out of the caller's memory. */
static uint32_t plain_checksum(const struct vv_slot *slot, uint32_t crc)
{
    static const uint8_t zeros[8];
    const struct vv_large *large = slot->large;
    const struct varve_record *record = large->record;

    crc = vv_crc32c(crc, large->head, large->head_bytes);
    if (record->iov_count == 0)
        crc = vv_crc32c(crc, record->data, record->data_bytes);
    for (int i = 0; i < record->iov_count; i++)
        crc = vv_crc32c(crc, record->iov[i].iov_base, record->iov[i].iov_len);
    return vv_crc32c(crc, zeros, slot->body_bytes - large->head_bytes - large->payload_bytes);
}

int vv_large_checksum(struct varve_log *log, struct vv_slot *slot, const struct vv_frame_header *header,
                      uint32_t *ret_crc, struct varve_error *ret_error)
{
    uint32_t crc = slot->segment->seed;
    struct vv_large_source source;
    uint8_t *piece = slot->buffer + VV_FRAME_HEADER_BYTES;
    uint64_t room = log->options.slot_bytes - VV_FRAME_HEADER_BYTES;

    if (slot->codec_id == 0) {
        *ret_crc = plain_checksum(slot, crc);
        return 0;
    }
    vv_frame_encode(header, slot->segment->seed, slot->buffer);
    vv_large_begin(&source, log, slot);
    while (source.at < slot->stored_bytes) {
        size_t n = vv_min_u64(room, slot->stored_bytes - source.at);
        int rc = vv_large_read(&source, piece, n);

        if (rc != 0)
            return vv_codec_failed(log, slot, rc, ret_error);
        crc = vv_crc32c(crc, piece, n);
    }
    *ret_crc = crc;
    return 0;
}
