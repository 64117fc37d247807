/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder: what stands on disk -> plain bytes. Trusts none of them: lengths are held against what a codec can
 * have made before memory is taken, and whatever does not give exactly the length that was promised is
 * CORRUPT.
 *
 * A log may have changed its codec often, so contexts are made when a codec is met, and kept.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "codec/codec.h"

void vv_decoder_init(struct vv_decoder *decoder, const struct varve_codec_setup *setup)
{
    memset(decoder, 0, sizeof *decoder);
    decoder->setup = *setup;
    decoder->setup.size = sizeof decoder->setup;
    decoder->setup.decodes = 1;
}

static void close_entry(struct vv_decoder_entry *entry)
{
    if (entry->codec && entry->codec->close && entry->context)
        entry->codec->close(entry->context);
    entry->codec = NULL;
    entry->context = NULL;
}

void vv_decoder_close(struct vv_decoder *decoder)
{
    for (unsigned i = 0; i < decoder->count; i++)
        close_entry(&decoder->entries[i]);
    decoder->count = 0;
    vv_free(decoder->scratch);
    decoder->scratch = NULL;
    decoder->scratch_room = 0;
}

/* The context of a codec that packs or seals. */
static int context_of(struct vv_decoder *decoder, const struct varve_codec *codec, void **ret_context,
                      struct varve_error *ret_error)
{
    const unsigned room = sizeof decoder->entries / sizeof *decoder->entries;
    struct vv_decoder_entry *entry;
    int rc;

    for (unsigned i = 0; i < decoder->count; i++) {
        if (decoder->entries[i].codec == codec) {
            *ret_context = decoder->entries[i].context;
            return 0;
        }
    }
    if (decoder->count == room)
        close_entry(&decoder->entries[--decoder->count]);
    entry = &decoder->entries[decoder->count];
    entry->codec = codec;
    entry->context = NULL;
    rc = codec->open ? codec->open(&decoder->setup, &entry->context, ret_error) : 0;
    if (rc != 0) {
        entry->codec = NULL;
        return rc;
    }
    decoder->count++;
    *ret_context = entry->context;
    return 0;
}

static int missing(uint32_t id, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, VARVE_E_CODEC, 0, "the codec %s (%u) is not in this build",
                        varve_codec_name(id), id);
}

int vv_decoder_check(uint32_t id, size_t length, size_t raw_length, struct varve_error *ret_error)
{
    const struct varve_codec *codec = varve_codec_by_id(id);
    uint32_t overhead;

    if (!codec)
        return missing(id, ret_error);
    overhead = vv_codec_overhead(codec);
    if (length < overhead ||
        (vv_codec_packer(codec) ? raw_length > VV_CODEC_PACKED_MAX : raw_length != length - overhead))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                            "%zu bytes that the codec %s cannot have made of %zu", length, codec->name,
                            raw_length);
    return 0;
}

static int decode_one(struct vv_decoder *decoder, const struct varve_codec *codec,
                      const struct varve_codec_unit *unit, const void *bytes, size_t length, void *out,
                      size_t raw_length, struct varve_error *ret_error)
{
    void *context = NULL;
    int rc = context_of(decoder, codec, &context, ret_error);

    return rc != 0 ? rc : codec->decode(context, unit, bytes, length, out, raw_length, ret_error);
}

static int need_scratch(struct vv_decoder *decoder, size_t length, struct varve_error *ret_error)
{
    uint8_t *scratch;

    if (length <= decoder->scratch_room)
        return 0;
    scratch = vv_realloc(decoder->scratch, length);
    if (!scratch)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "decoding %zu bytes", length);
    decoder->scratch = scratch;
    decoder->scratch_room = length;
    return 0;
}

int vv_decoder_decode(struct vv_decoder *decoder, uint32_t id, const struct varve_codec_unit *unit,
                      const void *bytes, size_t length, void *out, size_t raw_length,
                      struct varve_error *ret_error)
{
    const struct varve_codec *codec = varve_codec_by_id(id);
    struct varve_error error;
    size_t inner;
    int rc;

    vv_error_clear(&error);
    rc = vv_decoder_check(id, length, raw_length, &error);
    if (rc == 0 && !codec->packs) {
        if (codec->decode)
            rc = decode_one(decoder, codec, unit, bytes, length, out, raw_length, &error);
        else if (raw_length > 0)
            memcpy(out, bytes, raw_length);
    } else if (rc == 0) {
        inner = length - vv_codec_overhead(codec);
        rc = need_scratch(decoder, inner, &error);
        if (rc == 0)
            rc = decode_one(decoder, codec->seals, unit, bytes, length, decoder->scratch, inner, &error);
        if (rc == 0)
            rc = decode_one(decoder, codec->packs, unit, decoder->scratch, inner, out, raw_length, &error);
    }
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}
