/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite: raw bodies -> segments of a new log.
 *
 * In: frames in the order of their LSNs. Out: files that hold the same records in the same frames, packed and
 * sealed anew. Nothing is durable before a segment ends; that none of this is a log before all of it is there
 * is the caller's business, who says so in MANIFEST.
 *
 * A file is as long as what is in it. A writer goes on only in a segment whose file is as long as its header
 * says, so the new log begins with a segment of its own, whose space it owns.
 */
#include "log/rewrite.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "base/secret.h"
#include "format/segment.h"

static int failed(const struct vv_rewrite *w, int rc, struct varve_error *ret_error)
{
    char name[VV_SEGMENT_NAME_BYTES];

    vv_segment_name(w->number, name);
    return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                        "%s: cannot be written", name);
}

static int write_at(struct vv_rewrite *w, const uint8_t *bytes, size_t length, uint64_t offset,
                    struct varve_error *ret_error)
{
    size_t done = 0;

    while (done < length) {
        struct iovec iov = {(void *)(uintptr_t)(bytes + done), length - done};
        ssize_t n = w->io->pwritev(w->io, w->file, &iov, 1, offset + done, 0);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return failed(w, n == 0 ? -EIO : (int)n, ret_error);
        done += (size_t)n;
    }
    return 0;
}

int vv_rewrite_end(struct vv_rewrite *w, struct varve_error *ret_error)
{
    int rc;

    if (!w->file)
        return 0;
    rc = w->io->sync(w->io, w->file);
    w->io->close(w->io, w->file);
    w->file = NULL;
    return rc == 0 ? 0 : failed(w, rc, ret_error);
}

/* Salt and key of the next segment. */
static int new_life(struct vv_rewrite *w, struct varve_error *ret_error)
{
    const struct varve_codec *sealer = w->encoder.sealer;
    struct varve_codec_unit unit = {.session = w->session};
    int rc = 0;

    w->salt = 0;
    while (rc == 0 && w->salt == 0)
        rc = w->io->random(w->io, &w->salt, sizeof w->salt);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for the salt of a segment");
    w->seed = vv_segment_seed(w->salt);
    if (!sealer)
        return 0;
    if (!w->key)
        w->key = vv_secret_alloc(sealer->key_bytes);
    if (!w->key)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the key of a segment");
    unit.salt = w->salt;
    return sealer->prepare(w->encoder.sealing, &unit, w->key, ret_error);
}

int vv_rewrite_segment(struct vv_rewrite *w, uint64_t lsn, uint64_t time_us, uint64_t frame_bytes,
                       struct varve_error *ret_error)
{
    uint8_t page[VV_SEGMENT_HEADER_BYTES];
    char name[VV_SEGMENT_NAME_BYTES];
    struct vv_segment_header h = {.version = VV_SEGMENT_VERSION,
                                  .sector_bytes = w->sector_bytes,
                                  .created_us = time_us,
                                  .base_lsn = lsn,
                                  .codec = w->manifest.codec};
    int rc = vv_rewrite_end(w, ret_error);

    if (rc == 0)
        rc = new_life(w, ret_error);
    if (rc != 0)
        return rc;
    w->capacity = vv_max_u64(w->segment_bytes,
                             vv_round_up(VV_SEGMENT_HEADER_BYTES + frame_bytes, VV_SEGMENT_HEADER_BYTES));
    if (w->capacity > VV_SEGMENT_BYTES_MAX)
        return vv_error_set(ret_error, VARVE_E_TOO_LARGE, 0,
                            "the frame with LSN %" PRIu64 " does not fit into a segment any more", lsn);
    h.before = w->number;
    h.number = ++w->number;
    h.salt = w->salt;
    h.capacity = w->capacity;
    memcpy(h.uuid, w->manifest.uuid, sizeof h.uuid);
    vv_segment_encode(&h, page);
    vv_segment_name(w->number, name);
    rc = w->io->open(w->io, w->dir, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &w->file);
    if (rc != 0) {
        w->file = NULL;
        return failed(w, rc, ret_error);
    }
    w->offset = VV_SEGMENT_HEADER_BYTES;
    w->segments++;
    return write_at(w, page, sizeof page, 0, ret_error);
}

/* Room for the frame however it comes out. */
static int need(struct vv_rewrite *w, uint64_t raw_bytes, struct varve_error *ret_error)
{
    uint64_t bytes = vv_frame_bytes(raw_bytes + vv_codec_overhead(w->encoder.codec), w->sector_bytes);
    uint8_t *frame;

    if (bytes <= w->room)
        return 0;
    frame = vv_realloc(w->frame, bytes);
    if (!frame)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a frame of %" PRIu64 " bytes", bytes);
    w->frame = frame;
    w->room = bytes;
    return 0;
}

/* As on the write path: packed where that saves a sector. */
static bool pack(struct vv_rewrite *w, const uint8_t *body, size_t length, uint8_t *out, size_t *ret_length)
{
    uint32_t overhead = vv_codec_overhead(w->encoder.codec);
    uint64_t whole = vv_frame_bytes(length + overhead, w->sector_bytes);
    uint64_t fixed = VV_FRAME_HEADER_BYTES + overhead;

    return w->encoder.packer && whole - w->sector_bytes > fixed &&
           vv_encoder_pack(&w->encoder, body, length, out, whole - w->sector_bytes - fixed, ret_length);
}

/* The body as it will lie on disk, behind `h`, which is complete but for the checksum. */
static int seal(struct vv_rewrite *w, const struct vv_frame_header *h, const uint8_t *plain, size_t length,
                struct varve_error *ret_error)
{
    uint8_t *stored = w->frame + VV_FRAME_HEADER_BYTES;
    struct varve_codec_unit unit = {
        .salt = w->salt, .session = w->session, .lsn = h->first_lsn, .key = w->key};
    int rc;

    if (!w->encoder.sealer) {
        if (plain != stored)
            memcpy(stored, plain, length);
        return 0;
    }
    vv_frame_encode(h, w->seed, w->frame);
    unit.aad = w->frame + VV_FRAME_AAD_FROM;
    unit.aad_bytes = VV_FRAME_AAD_BYTES;
    rc = vv_encoder_seal(&w->encoder, &unit, plain, length, stored);
    return rc == 0 ? 0
                   : vv_error_set(ret_error, rc, 0, "the frame with LSN %" PRIu64 " cannot be sealed",
                                  h->first_lsn);
}

int vv_rewrite_frame(struct vv_rewrite *w, const struct vv_frame_header *from, const uint8_t *body,
                     struct varve_error *ret_error)
{
    uint32_t head = w->encoder.sealer ? w->encoder.sealer->head_bytes : 0;
    size_t length = from->raw_bytes;
    struct vv_frame_header h = {.raw_bytes = from->raw_bytes,
                                .count = from->count,
                                .first_lsn = from->first_lsn,
                                .durable_lsn = from->first_lsn - 1, /* of a log that counts as a whole only */
                                .time_us = from->time_us};
    uint8_t *packed_at;
    uint64_t bytes;
    bool packed;
    int rc = need(w, from->raw_bytes, ret_error);

    if (rc != 0)
        return rc;
    packed_at = w->frame + VV_FRAME_HEADER_BYTES + head;
    packed = pack(w, body, from->raw_bytes, packed_at, &length);
    h.stored_bytes = (uint32_t)(length + vv_codec_overhead(w->encoder.codec));
    h.codec = vv_encoder_id(&w->encoder, packed);
    bytes = vv_frame_bytes(h.stored_bytes, w->sector_bytes);
    if (!w->file || w->capacity - w->offset < bytes)
        rc = vv_rewrite_segment(w, h.first_lsn, h.time_us, bytes, ret_error);
    if (rc != 0)
        return rc;
    h.segment = w->number;
    h.sector = (uint32_t)(w->offset / w->sector_bytes);
    rc = seal(w, &h, packed ? packed_at : body, length, ret_error);
    if (rc != 0)
        return rc;
    h.body_crc = vv_crc32c(w->seed, w->frame + VV_FRAME_HEADER_BYTES, h.stored_bytes);
    memset(w->frame + VV_FRAME_HEADER_BYTES + h.stored_bytes, 0,
           bytes - VV_FRAME_HEADER_BYTES - h.stored_bytes);
    vv_frame_encode(&h, w->seed, w->frame);
    rc = write_at(w, w->frame, bytes, w->offset, ret_error);
    w->offset += bytes;
    w->frames++;
    w->records += h.count;
    w->raw_bytes += h.raw_bytes;
    w->stored_bytes += h.stored_bytes;
    return rc;
}

void vv_rewrite_free(struct vv_rewrite *w)
{
    if (w->file)
        w->io->close(w->io, w->file);
    w->file = NULL;
    if (w->key)
        vv_secret_free(w->key, w->encoder.sealer->key_bytes);
    w->key = NULL;
    vv_encoder_close(&w->encoder);
    vv_free(w->frame);
    w->frame = NULL;
}
