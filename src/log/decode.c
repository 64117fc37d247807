/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode: a frame whose checksums are right -> its raw body.
 *
 * In: a frame. Out: records, end to end. Next: cursor, verify, inspect, which check each of them.
 *
 * A body that was stored as it is stays in the scan's window. What was encoded goes into a buffer that is
 * kept; it is made as large as the header says the body was, after that was held against what the codec can
 * have made of the bytes that are there.
 *
 * Ways to fail: a codec, key or dictionary is not there; the codec makes nothing of the bytes.
 */
#include "log/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/dictionary.h"

bool vv_decode_is_unreadable(int code)
{
    return code == VARVE_E_CODEC || code == VARVE_E_KEY_MISSING;
}

void vv_decode_begin(struct vv_scan *scan, const struct vv_chain *chain, const struct vv_link *link)
{
    struct vv_decoding *d = &scan->decoding;
    bool own = link->state == VV_LINK_SOUND || link->state == VV_LINK_FOREIGN;
    const uint8_t *uuid = own ? link->header.uuid : chain->manifest.uuid;

    d->salt = link->header.salt;
    if (d->ready && (memcmp(d->uuid, uuid, sizeof d->uuid) != 0 || d->chain != chain)) {
        vv_decoder_close(&d->decoder);
        d->ready = false;
    }
    d->chain = chain;
    memcpy(d->uuid, uuid, sizeof d->uuid);
}

void vv_decode_free(struct vv_scan *scan)
{
    struct vv_decoding *d = &scan->decoding;

    if (d->ready)
        vv_decoder_close(&d->decoder);
    vv_free(d->plain);
    vv_free(d->dictionary);
    memset(d, 0, sizeof *d);
}

static int find_dictionary(void *arg, uint32_t id, const void **ret_bytes, size_t *ret_length,
                           struct varve_error *ret_error)
{
    struct vv_decoding *d = arg;
    const struct vv_dictionary_place place = {d->chain->io, d->chain->dir, d->uuid, d->chain->keys};

    vv_free(d->dictionary);
    d->dictionary = NULL;
    *ret_length = 0;
    *ret_bytes = NULL;
    if (vv_dictionary_read(&place, id, &d->dictionary, ret_length, ret_error) != 0)
        return ret_error->code;
    *ret_bytes = d->dictionary;
    return 0;
}

static struct vv_decoder *decoder_of(struct vv_scan *scan)
{
    struct vv_decoding *d = &scan->decoding;
    struct varve_codec_setup setup = {.size = sizeof setup};

    if (!d->ready) {
        memcpy(setup.uuid, d->uuid, sizeof setup.uuid);
        if (d->chain) {
            setup.keys = d->chain->keys;
            setup.find_dictionary = find_dictionary;
            setup.find_arg = d;
        }
        vv_decoder_init(&d->decoder, &setup);
        d->ready = true;
    }
    return &d->decoder;
}

static int need_plain(struct vv_decoding *d, uint64_t length, struct varve_error *ret_error)
{
    uint8_t *plain;

    if (length <= d->plain_room)
        return 0;
    plain = vv_realloc(d->plain, length);
    if (!plain)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a frame of %" PRIu64 " bytes", length);
    d->plain = plain;
    d->plain_room = length;
    return 0;
}

/* `out` NULL: into the buffer that is kept. */
static int decode(struct vv_scan *scan, const uint8_t *aad, const struct vv_frame_header *h,
                  const uint8_t *stored, uint8_t *out, const uint8_t **ret_body,
                  struct varve_error *ret_error)
{
    const struct varve_codec_unit unit = {
        .salt = scan->decoding.salt,
        .lsn = h->first_lsn,
        .aad = aad,
        .aad_bytes = VV_FRAME_AAD_BYTES,
    };
    int rc = vv_decoder_check(h->codec, h->stored_bytes, h->raw_bytes, ret_error);

    if (rc == 0 && !out) {
        rc = need_plain(&scan->decoding, h->raw_bytes, ret_error);
        out = scan->decoding.plain;
    }
    if (rc == 0)
        rc = vv_decoder_decode(decoder_of(scan), h->codec, &unit, stored, h->stored_bytes, out, h->raw_bytes,
                               ret_error);
    if (rc == 0)
        *ret_body = out;
    return rc;
}

/* Reads a body that does not fit into the window into a buffer of its own. */
static int read_large(struct vv_scan *scan, uint64_t at, uint64_t len, struct varve_error *ret_error)
{
    uint64_t done = 0;

    if (len > scan->large_room) {
        uint8_t *large = vv_realloc(scan->large, len);

        if (!large)
            return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a frame of %" PRIu64 " bytes", len);
        scan->large = large;
        scan->large_room = len;
    }
    while (done < len) {
        ssize_t n = scan->io->pread(scan->io, scan->file, scan->large + done, len - done, at + done);

        if (n == -EINTR)
            continue;
        if (n == 0 && at + done >= scan->file_bytes) {
            memset(scan->large + done, 0, len - done);
            break;
        }
        if (n <= 0)
            return vv_scan_unread(scan, at + done, n, ret_error);
        done += (uint64_t)n;
    }
    return 0;
}

/* As it lies on disk. */
static int read_stored(struct vv_scan *scan, const struct vv_scan_frame *frame, const uint8_t **ret_stored,
                       struct varve_error *ret_error)
{
    uint64_t at = frame->offset + VV_FRAME_HEADER_BYTES, len = frame->header.stored_bytes;
    int rc;

    if (len <= VV_SCAN_WINDOW_BYTES)
        return vv_scan_bytes(scan, at, len, ret_stored, ret_error);
    rc = read_large(scan, at, len, ret_error);
    *ret_stored = scan->large;
    return rc;
}

int vv_decode_body(struct vv_scan *scan, const struct vv_scan_frame *frame, const uint8_t **ret_body,
                   struct varve_error *ret_error)
{
    const struct vv_frame_header *h = &frame->header;
    const struct varve_codec *sealer;
    const uint8_t *stored;
    uint8_t *out = NULL;
    struct varve_error error;
    int rc = read_stored(scan, frame, &stored, ret_error);

    if (rc != 0)
        return rc;
    if (h->codec == 0) {
        *ret_body = stored;
        return 0;
    }
    /* What only seals is opened where it stands, so that a large record is not in memory twice. */
    sealer = varve_codec_by_id(h->codec);
    if (stored == scan->large && sealer && sealer->seal_begin)
        out = scan->large + sealer->head_bytes;
    vv_error_clear(&error);
    rc = decode(scan, frame->aad, h, stored, out, ret_body, &error);
    if (rc != 0) {
        vv_error_wrap(&error, "segment %" PRIu64 ", byte %" PRIu64 ": LSN %" PRIu64 " to %" PRIu64,
                      scan->place.segment, frame->offset, h->first_lsn, h->first_lsn + h->count - 1);
        vv_error_copy(ret_error, &error);
    }
    return rc;
}

int vv_decode_memory(struct vv_scan *scan, const uint8_t *frame, uint64_t bytes, const uint8_t **ret_body,
                     uint64_t *ret_length, struct varve_error *ret_error)
{
    struct vv_frame_place nowhere = {.sector_bytes = VV_SECTOR_BYTES_MIN};
    struct vv_frame_header h;
    int rc;

    (void)vv_frame_decode(frame, &nowhere, &h, NULL);
    if (h.stored_bytes > bytes - VV_FRAME_HEADER_BYTES || h.stored_bytes > VV_FRAME_BODY_MAX ||
        h.raw_bytes > VV_FRAME_BODY_MAX)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "lengths that cannot be");
    rc =
        decode(scan, frame + VV_FRAME_AAD_FROM, &h, frame + VV_FRAME_HEADER_BYTES, NULL, ret_body, ret_error);
    if (rc == 0)
        *ret_length = h.raw_bytes;
    return rc;
}
