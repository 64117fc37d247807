/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: plain bytes -> what goes to disk.
 *
 * In the native format packing comes before a frame has its place, because the place depends on the length,
 * and sealing after it, because that depends on the place. So the two are apart here as well.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "codec/codec.h"

static int open_one(const struct varve_codec *codec, const struct varve_codec_setup *setup,
                    void **ret_context, struct varve_error *ret_error)
{
    if (!codec || !codec->open)
        return 0;
    return codec->open(setup, ret_context, ret_error);
}

int vv_encoder_open(struct vv_encoder *encoder, const struct varve_codec *codec,
                    const struct varve_codec_setup *setup, struct varve_error *ret_error)
{
    struct varve_error error;
    int rc;

    *encoder = (struct vv_encoder){
        .codec = codec, .packer = vv_codec_packer(codec), .sealer = vv_codec_sealer(codec)};
    vv_error_clear(&error);
    rc = open_one(encoder->packer, setup, &encoder->packing, &error);
    if (rc == 0)
        rc = open_one(encoder->sealer, setup, &encoder->sealing, &error);
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}

static void close_one(const struct varve_codec *codec, void *context)
{
    if (codec && codec->close && context)
        codec->close(context);
}

void vv_encoder_close(struct vv_encoder *encoder)
{
    close_one(encoder->packer, encoder->packing);
    close_one(encoder->sealer, encoder->sealing);
    memset(encoder, 0, sizeof *encoder);
}

bool vv_encoder_pack(struct vv_encoder *encoder, const void *bytes, size_t length, void *out, size_t room,
                     size_t *ret_length)
{
    return encoder->packer && length <= VV_CODEC_PACKED_MAX &&
           encoder->packer->encode(encoder->packing, bytes, length, out, room, ret_length) == 0;
}

int vv_encoder_seal(struct vv_encoder *encoder, const struct varve_codec_unit *unit, const void *bytes,
                    size_t length, void *out)
{
    const struct varve_codec *sealer = encoder->sealer;
    uint8_t *at = out;
    int rc;

    assert(sealer);
    rc = sealer->seal_begin(encoder->sealing, unit, at);
    at += sealer->head_bytes;
    if (rc == 0)
        rc = sealer->seal_more(encoder->sealing, bytes, length, at);
    if (rc == 0)
        rc = sealer->seal_end(encoder->sealing, at + length);
    return rc;
}

uint8_t vv_encoder_id(const struct vv_encoder *encoder, bool packed)
{
    if (packed)
        return (uint8_t)encoder->codec->id;
    return (uint8_t)(encoder->sealer ? encoder->sealer->id : VARVE_CODEC_IDENTITY);
}

int vv_encoder_encode(struct vv_encoder *encoder, const struct varve_codec_unit *unit, const void *bytes,
                      size_t length, void *out, size_t room, size_t *ret_length, uint8_t *ret_id)
{
    uint32_t overhead = vv_codec_overhead(encoder->codec);
    uint32_t head = encoder->sealer ? encoder->sealer->head_bytes : 0;
    uint8_t *body = (uint8_t *)out + head;
    size_t packed_length = length;
    bool packed;

    if (room < overhead || room - overhead < length)
        return VARVE_E_INVALID;
    packed = length > 0 && vv_encoder_pack(encoder, bytes, length, body, length - 1, &packed_length);
    *ret_id = vv_encoder_id(encoder, packed);
    *ret_length = (packed ? packed_length : length) + overhead;
    if (encoder->sealer)
        return vv_encoder_seal(encoder, unit, packed ? body : bytes, *ret_length - overhead, out);
    if (!packed && length > 0)
        memcpy(out, bytes, length);
    return 0;
}
