/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two codecs as one: first what packs, then what seals. Sealed bytes look like chance and do not shrink, so
 * there is no other order.
 */
#include "codec/codec.h"

#if defined(VARVE_HAVE_ZSTD) && defined(VARVE_HAVE_OPENSSL)
const struct varve_codec vv_codec_zstd_aesgcm = {
    .size = sizeof(struct varve_codec),
    .id = VARVE_CODEC_ZSTD_AES_256_GCM,
    .name = "zstd+aes-256-gcm",
    .packs = &vv_codec_zstd,
    .seals = &vv_codec_aesgcm,
};
#endif

const struct varve_codec *vv_codec_packer(const struct varve_codec *codec)
{
    return codec->encode ? codec : codec->packs;
}

const struct varve_codec *vv_codec_sealer(const struct varve_codec *codec)
{
    return codec->seal_begin ? codec : codec->seals;
}

uint32_t vv_codec_overhead(const struct varve_codec *codec)
{
    const struct varve_codec *sealer = vv_codec_sealer(codec);

    return sealer ? sealer->head_bytes + sealer->tail_bytes : 0;
}
