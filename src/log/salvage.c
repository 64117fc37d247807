/* SPDX-License-Identifier: Apache-2.0 */
/*
 * salvage: damaged bytes -> the records in them that are sound. Used by cursors under the policy skip.
 *
 * A body that was encoded gives all of its records or none: a codec makes nothing of damaged bytes.
 */
#include "log/salvage.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/decode.h"

#define BYTES_MAX (UINT64_C(4) << 20)

void vv_salvage_clear(struct vv_salvage *s)
{
    vv_free(s->bytes);
    memset(s, 0, sizeof *s);
}

bool vv_salvage_has(const struct vv_salvage *s)
{
    return s->bytes != NULL;
}

/* Fills s->bytes from `from` on, as far as the file goes. */
static int read_bytes(struct vv_salvage *s, struct varve_io *io, struct varve_file *file, uint64_t from,
                      uint64_t length)
{
    struct varve_io_stat stat;
    int rc = io->stat(io, file, &stat);

    if (rc == 0)
        length = vv_min_u64(length, stat.size_bytes - vv_min_u64(from, stat.size_bytes));
    while (rc == 0 && s->length < length) {
        ssize_t n = io->pread(io, file, s->bytes + s->length, length - s->length, from + s->length);

        if (n > 0)
            s->length += (uint64_t)n;
        else if (n != -EINTR)
            rc = n == 0 ? -EIO : (int)n;
    }
    return rc;
}

/* `begin`: the place in the segment at which the file begins. */
static int read_file(struct vv_salvage *s, struct vv_scan *scan, struct varve_dir *dir, const char *name,
                     uint64_t begin, const struct vv_damage *damage, uint32_t log_seed,
                     struct varve_error *ret_error)
{
    struct varve_io *io = scan->io;
    /* Of a segment without a sound header it is the frames that matter. */
    uint64_t start = damage->offset != 0 ? damage->offset : VV_SEGMENT_HEADER_BYTES, length;
    struct varve_file *file;
    int rc;

    vv_salvage_clear(s);
    if (damage->end_offset <= start || damage->trust == VV_TRUST_NONE)
        return 0;
    length = vv_min_u64(damage->end_offset - start, BYTES_MAX);
    rc = vv_chain_open_file(io, dir, name, &file, ret_error);
    if (rc != 0)
        return rc == VARVE_E_NOT_FOUND ? 0 : rc;
    s->scan = scan;
    s->segment = damage->segment;
    s->start = start;
    s->lsn = damage->lsn_first;
    s->lsn_last = damage->lsn_last;
    s->log_seed = log_seed;
    s->vouched_only = damage->trust == VV_TRUST_VOUCHED;
    s->seed = damage->seed;
    s->sector_bytes = damage->sector_bytes;
    s->bytes = vv_alloc(length);
    rc = s->bytes ? read_bytes(s, io, file, start - begin, length) : -ENOMEM;
    io->close(io, file);
    if (rc == 0)
        return 0;
    vv_salvage_clear(s);
    return vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, -rc,
                        "%s: what is damaged in it cannot be read", name);
}

int vv_salvage_read(struct vv_salvage *s, struct vv_scan *scan, struct varve_dir *dir,
                    const struct vv_damage *damage, uint32_t log_seed, struct varve_error *ret_error)
{
    char name[VV_SEGMENT_NAME_BYTES];

    vv_segment_name(damage->segment, name);
    return read_file(s, scan, dir, name, 0, damage, log_seed, ret_error);
}

int vv_salvage_read_copy(struct vv_salvage *s, struct vv_scan *scan, struct varve_dir *dir, const char *name,
                         const struct vv_damage *damage, uint32_t log_seed, struct varve_error *ret_error)
{
    return read_file(s, scan, dir, name, damage->offset, damage, log_seed, ret_error);
}

/* Whether the frame at `at` was written to this place, as far as that can be told: one that was misdirected
 * here may hold records that were appended under these LSNs and never acknowledged. */
static bool is_in_place(const struct vv_salvage *s, uint64_t at)
{
    struct vv_frame_place place = {
        .seed = s->seed, .segment = s->segment, .offset = s->start + at, .capacity = UINT64_MAX};
    struct vv_frame_header header;
    enum vv_frame_status status;

    if (s->sector_bytes != 0) {
        place.sector_bytes = s->sector_bytes;
        status = vv_frame_decode(s->bytes + at, &place, &header, NULL);
        return status != VV_FRAME_OTHER && status != VV_FRAME_MISPLACED;
    }
    /* Without the salt there is only what it says itself. */
    place.sector_bytes = VV_SECTOR_BYTES_MIN;
    if (vv_frame_decode(s->bytes + at, &place, &header, NULL) == VV_FRAME_NONE)
        return true;
    for (uint32_t sector = VV_SECTOR_BYTES_MIN; sector <= VV_SECTOR_BYTES_MAX; sector *= 2) {
        if (header.segment == s->segment && (uint64_t)header.sector * sector == place.offset)
            return true;
    }
    return false;
}

/* Whether a frame says that the LSN was durable. Its header cannot be checked, but for what it says of
 * itself. */
static bool is_vouched(const struct vv_salvage *s, uint64_t lsn)
{
    for (uint64_t at = 0; at + VV_FRAME_HEADER_BYTES <= s->length; at += VV_SECTOR_BYTES_MIN) {
        uint64_t first = vv_get_u64(s->bytes + at + 24), durable = vv_get_u64(s->bytes + at + 32);

        if (memcmp(s->bytes + at, "VFRM", 4) == 0 && durable >= lsn && durable < first &&
            first <= s->lsn_last + 1)
            return true;
    }
    return false;
}

/* Where the records of the frame at s->frame are. A header that is damaged may name any codec, so what cannot
 * be decoded is taken for plain as well. */
static void take_body(struct vv_salvage *s)
{
    const uint8_t *frame = s->bytes + s->frame;
    uint64_t left = s->length - s->frame;

    s->decoded = frame[VV_FRAME_CODEC_AT] != 0 &&
                 vv_decode_memory(s->scan, frame, left, &s->body, &s->body_bytes, NULL) == 0;
    if (!s->decoded) {
        s->body = frame + VV_FRAME_HEADER_BYTES;
        s->body_bytes = left - VV_FRAME_HEADER_BYTES;
    }
}

/* Stands at the next place where a frame may begin. The first one begins where the damage does, with the LSN
 * that was expected; others say themselves which LSN they hold, and their records' checksums whether that is
 * so. */
static bool find_frame(struct vv_salvage *s)
{
    uint64_t at = s->in_frame ? s->frame + VV_SECTOR_BYTES_MIN : 0;

    for (; at + VV_FRAME_HEADER_BYTES + VV_RECORD_HEADER_BYTES <= s->length; at += VV_SECTOR_BYTES_MIN) {
        if (at > 0) {
            uint64_t lsn = vv_get_u64(s->bytes + at + 24);

            if (memcmp(s->bytes + at, "VFRM", 4) != 0 || lsn < s->lsn || lsn > s->lsn_last)
                continue;
            if (!is_in_place(s, at))
                continue;
            /* Behind a tear stand records whose LSNs were given again. */
            if (s->vouched_only && lsn > s->lsn && !is_vouched(s, lsn - 1))
                return false;
            s->lsn = lsn;
        } else if (!is_in_place(s, at)) {
            continue;
        }
        s->frame = at;
        s->offset = 0;
        s->in_frame = true;
        take_body(s);
        return true;
    }
    return false;
}

bool vv_salvage_next(struct vv_salvage *s, struct vv_salvaged *ret)
{
    while (s->bytes && s->lsn <= s->lsn_last) {
        enum vv_record_status status;

        if (!s->in_frame && !find_frame(s))
            break;
        /* A frame that fills its last sector ends where the next one begins. */
        if (!s->decoded && s->offset > 0 && (s->offset + VV_FRAME_HEADER_BYTES) % VV_SECTOR_BYTES_MIN == 0 &&
            s->frame + VV_FRAME_HEADER_BYTES + s->offset + 4 <= s->length &&
            memcmp(s->body + s->offset, "VFRM", 4) == 0) {
            if (!find_frame(s))
                break;
            continue;
        }
        ret->record_offset = s->offset;
        status = vv_record_decode(s->body, s->body_bytes, s->offset, vv_record_seed(s->log_seed, s->lsn),
                                  &ret->record, &s->offset);
        if (status == VV_RECORD_LOST || (status == VV_RECORD_DAMAGED && ret->record.payload_bytes == 0)) {
            /* Not a record, or zeros that look like one: the frame ends here. */
            if (!find_frame(s))
                break;
            continue;
        }
        ret->lsn = s->lsn++;
        ret->segment = s->segment;
        ret->frame_offset = s->start + s->frame;
        if (status == VV_RECORD_OK)
            return true;
    }
    vv_salvage_clear(s);
    return false;
}
