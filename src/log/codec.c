/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec at work on the write path, between gather and write.
 *
 * In: a gathered slot. Out: the frame that goes to disk, in the lane's buffer. Next: place (after packing),
 * write (after sealing).
 *
 * Packing comes before the frame has its place, because the place depends on the length; it is done only
 * where it saves a sector, as nothing less is saved on disk. Sealing comes after, because key and header
 * depend on the place. The plain body stays in the slot until the frame is durable, so a frame that moves to
 * another segment is packed and sealed anew, for that.
 *
 * Ways to fail: packing has none (the body is stored as it is); sealing fails only if libcrypto does, and
 * then nothing was written.
 */
#include "log/codec.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "log/dictionary.h"

int vv_codec_choose(const struct varve_log *log, const struct varve_codec **ret_codec,
                    struct varve_error *ret_error)
{
    const struct vv_manifest *m = &log->manifest;
    const struct varve_codec *codec;

    if (log->options.codec) {
        codec = varve_codec_get(log->options.codec);
        if (!codec)
            return vv_error_set(ret_error, VARVE_E_CODEC, 0, "option codec: this build has no codec '%s'",
                                log->options.codec);
    } else {
        codec = varve_codec_by_id(m->codec);
        if (!codec || (m->codec != 0 && strcmp(codec->name, m->codec_name) != 0))
            return vv_error_set(ret_error, VARVE_E_CODEC, 0,
                                "MANIFEST: this build has no codec '%s' (%" PRIu32 ")", m->codec_name,
                                m->codec);
    }
    *ret_codec = codec->id == VARVE_CODEC_IDENTITY ? NULL : codec;
    return 0;
}

void vv_codec_note(struct varve_log *log, const struct varve_codec *codec)
{
    struct vv_manifest *m = &log->manifest;

    m->codec = codec ? codec->id : VARVE_CODEC_IDENTITY;
    memset(m->codec_name, 0, sizeof m->codec_name);
    if (codec)
        memcpy(m->codec_name, codec->name, strlen(codec->name));
    m->dictionary = log->codec ? log->codec->dictionary_id : 0;
}

/* -- opening -- */

static int make_lanes(struct varve_log *log, struct vv_codec *c, const struct varve_codec_setup *setup,
                      struct varve_error *ret_error)
{
    uint64_t slot_bytes = log->options.slot_bytes;
    int rc = 0;

    /* Packing and sealing keep one processor busy while the disk waits. */
    if (!log->leads && sysconf(_SC_NPROCESSORS_ONLN) > 1)
        log->carriers = VV_CARRIERS_MAX;
    c->lane_count = (uint32_t)vv_max_u64(log->options.writes_in_flight, log->carriers) + 1;
    c->lanes = vv_alloc_array(c->lane_count, sizeof *c->lanes);
    c->frames = vv_alloc_large(c->lane_count * slot_bytes);
    if (!c->lanes || !c->frames)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "codec %s: %" PRIu32 " frames of %" PRIu64 " bytes",
                            c->codec->name, c->lane_count, slot_bytes);
    for (uint32_t i = 0; rc == 0 && i < c->lane_count; i++) {
        c->lanes[i].frame = c->frames + i * slot_bytes;
        rc = vv_encoder_open(&c->lanes[i].encoder, c->codec, setup, ret_error);
    }
    return rc;
}

static struct varve_codec_setup setup_of(const struct varve_log *log)
{
    struct varve_codec_setup setup = {.size = sizeof setup,
                                      .level = log->options.codec_level,
                                      .bytes_max = log->options.slot_bytes,
                                      .dictionary =
                                          log->options.dictionary_bytes ? log->options.dictionary : NULL,
                                      .dictionary_bytes = log->options.dictionary_bytes,
                                      .keys = log->options.keys};

    memcpy(setup.uuid, log->manifest.uuid, sizeof setup.uuid);
    return setup;
}

int vv_codec_try(const struct varve_log *log, struct varve_error *ret_error)
{
    const struct varve_codec_setup setup = setup_of(log);
    const struct varve_codec *codec;
    struct vv_encoder encoder;
    int rc;

    if (!log->options.codec || log->read_only)
        return 0;
    rc = vv_codec_choose(log, &codec, ret_error);
    if (rc == 0 && setup.dictionary && !(codec && vv_codec_packer(codec)))
        rc = vv_error_set(ret_error, VARVE_E_INVALID, 0, "option dictionary: the codec %s takes none",
                          codec ? codec->name : "identity");
    if (rc != 0 || !codec)
        return rc;
    rc = vv_encoder_open(&encoder, codec, &setup, ret_error);
    vv_encoder_close(&encoder);
    return rc;
}

/* The dictionary that was given, or that the log has, for the codec to be opened with; it is in the
 * directory, durably, when this returns. */
static int settle_dictionary(struct varve_log *log, struct vv_codec *c, struct varve_codec_setup *setup,
                             struct varve_error *ret_error)
{
    const struct vv_dictionary_place place = {log->io, log->dir, log->manifest.uuid, log->options.keys};
    const struct varve_codec *before = varve_codec_by_id(log->manifest.codec);
    uint32_t had = log->manifest.dictionary;
    size_t bytes = setup->dictionary_bytes;
    int rc;

    /* Another codec knows nothing of it, and with none at all it is given up. */
    if (log->options.dictionary || !before || vv_codec_packer(before) != vv_codec_packer(c->codec))
        had = 0;
    if (had == 0 && bytes == 0)
        return 0;
    if (had != 0) {
        rc = vv_dictionary_read(&place, had, &c->dictionary, &bytes, ret_error);
    } else {
        c->dictionary = vv_alloc(bytes);
        rc = c->dictionary ? 0 : vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a dictionary");
        if (rc == 0)
            memcpy(c->dictionary, setup->dictionary, bytes);
    }
    if (rc == 0)
        rc = vv_dictionary_install(&place, &c->preparer, c->session, c->dictionary, bytes, &c->dictionary_id,
                                   ret_error);
    setup->dictionary = c->dictionary;
    setup->dictionary_bytes = bytes;
    return rc;
}

int vv_codec_open(struct varve_log *log, struct varve_error *ret_error)
{
    struct varve_codec_setup setup = setup_of(log), keys_only = setup;
    const struct varve_codec *codec;
    struct vv_codec *c;
    int rc = vv_codec_choose(log, &codec, ret_error);

    if (rc != 0 || !codec || log->in_memory)
        return rc;
    c = vv_alloc_zero(sizeof *c);
    if (!c)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "codec %s", codec->name);
    log->codec = c;
    c->codec = codec;
    c->overhead = vv_codec_overhead(codec);
    if (vv_codec_sealer(codec)) {
        c->head_bytes = vv_codec_sealer(codec)->head_bytes;
        rc = log->io->random(log->io, &c->session, sizeof c->session);
        if (rc != 0)
            return vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for a session");
    }
    keys_only.dictionary = NULL;
    rc = vv_encoder_open(&c->preparer, codec, &keys_only, ret_error);
    if (rc == 0)
        rc = settle_dictionary(log, c, &setup, ret_error);
    if (rc == 0)
        rc = make_lanes(log, c, &setup, ret_error);
    return rc;
}

void vv_codec_close(struct varve_log *log)
{
    struct vv_codec *c = log->codec;

    if (!c)
        return;
    for (uint32_t i = 0; c->lanes && i < c->lane_count; i++)
        vv_encoder_close(&c->lanes[i].encoder);
    vv_encoder_close(&c->preparer);
    vv_free(c->lanes);
    vv_free(c->frames);
    vv_free(c->dictionary);
    vv_free(c);
    log->codec = NULL;
}

/* -- keys of segments -- */

int vv_codec_prepare(struct varve_log *log, struct vv_segment *segment, struct varve_error *ret_error)
{
    struct vv_codec *c = log->codec;
    struct varve_codec_unit unit = {.salt = segment->salt};
    const struct varve_codec *sealer = c ? c->preparer.sealer : NULL;
    struct varve_error error;
    int rc;

    if (!sealer)
        return 0;
    if (!segment->key)
        segment->key = vv_secret_alloc(sealer->key_bytes);
    if (!segment->key)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the key of a segment");
    unit.session = c->session;
    vv_error_clear(&error);
    rc = sealer->prepare(c->preparer.sealing, &unit, segment->key, &error);
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}

void vv_codec_forget(struct varve_log *log, struct vv_segment *segment)
{
    if (segment->key)
        vv_secret_free(segment->key, log->codec->preparer.sealer->key_bytes);
    segment->key = NULL;
}

/* -- frames -- */

struct vv_lane *vv_codec_lane(struct varve_log *log, uint64_t seq)
{
    /* No more than writes_in_flight leaders are past their permit, and their numbers follow on each other. */
    return &log->codec->lanes[seq % (log->codec->lane_count - 1)];
}

struct vv_lane *vv_codec_mover(struct varve_log *log)
{
    return &log->codec->lanes[log->codec->lane_count - 1];
}

/* Packs into the lane if the frame then takes fewer sectors. */
static bool pack_body(struct varve_log *log, const struct vv_slot *slot, struct vv_lane *lane,
                      size_t *ret_bytes)
{
    const struct vv_codec *c = log->codec;
    uint64_t whole = vv_frame_bytes(slot->body_bytes + c->overhead, log->sector_bytes);
    uint64_t fixed = VV_FRAME_HEADER_BYTES + c->overhead;

    /* What is larger than a slot is in its caller's memory, in pieces. */
    if (!lane->encoder.packer || slot->large || whole - log->sector_bytes <= fixed)
        return false;
    return vv_encoder_pack(&lane->encoder, slot->buffer + VV_FRAME_HEADER_BYTES, slot->body_bytes,
                           lane->frame + VV_FRAME_HEADER_BYTES + c->head_bytes,
                           whole - log->sector_bytes - fixed, ret_bytes);
}

void vv_codec_pack(struct varve_log *log, struct vv_slot *slot, struct vv_lane *lane)
{
    const struct vv_codec *c = log->codec;
    size_t bytes = slot->body_bytes;

    if (slot->count == 0)
        return; /* a mark has no body */
    slot->lane = lane;
    slot->packed = pack_body(log, slot, lane, &bytes);
    slot->codec_id = vv_encoder_id(&lane->encoder, slot->packed);
    slot->frame = !slot->large && slot->codec_id != 0 ? lane->frame : slot->buffer;
    slot->stored_bytes = bytes + c->overhead;
    slot->frame_bytes = vv_frame_bytes(slot->stored_bytes, log->sector_bytes);
}

struct varve_codec_unit vv_codec_unit(const struct varve_log *log, const struct vv_slot *slot,
                                      const uint8_t *header)
{
    return (struct varve_codec_unit){
        .salt = slot->segment->salt,
        .session = log->codec->session,
        .lsn = atomic_load(&slot->first_lsn),
        .key = slot->segment->key,
        .aad = header + VV_FRAME_AAD_FROM,
        .aad_bytes = VV_FRAME_AAD_BYTES,
    };
}

int vv_codec_failed(const struct varve_log *log, const struct vv_slot *slot, int code,
                    struct varve_error *ret_error)
{
    return vv_error_set(ret_error, code, 0,
                        "segment %" PRIu64 ": codec %s: the frame with LSN %" PRIu64 " cannot be sealed",
                        slot->segment->number, log->codec->codec->name, atomic_load(&slot->first_lsn));
}

int vv_codec_seal(struct varve_log *log, struct vv_slot *slot, const struct vv_frame_header *header,
                  struct varve_error *ret_error)
{
    const struct vv_codec *c = log->codec;
    uint8_t bytes[VV_FRAME_HEADER_BYTES], *body = slot->frame + VV_FRAME_HEADER_BYTES;
    struct varve_codec_unit unit;
    int rc;

    if (!c || c->overhead == 0 || slot->codec_id == 0)
        return 0;
    vv_frame_encode(header, slot->segment->seed, bytes);
    unit = vv_codec_unit(log, slot, bytes);
    rc = vv_encoder_seal(&slot->lane->encoder, &unit,
                         slot->packed ? body + c->head_bytes : slot->buffer + VV_FRAME_HEADER_BYTES,
                         slot->stored_bytes - c->overhead, body);
    return rc == 0 ? 0 : vv_codec_failed(log, slot, rc, ret_error);
}
