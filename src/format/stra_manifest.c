/* SPDX-License-Identifier: Apache-2.0 */
/* MANIFEST of the format stra: whose log it is, its codec, its newest segment, its snapshot. */
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "base/utf8.h"
#include "format/builtin.h"

enum {
    AT_VERSION = 4,
    AT_UUID = 8,
    AT_CODEC_BYTES = 24,
    AT_CODEC = 28,
    /* These count from the end of the codec's name. */
    BEHIND_SEGMENT = 0,
    BEHIND_WATERMARK = 8,
    BEHIND_SNAPSHOT = 16,
    BEHIND_SUM = 24,
    BEHIND_END = 28,

    VERSION = 1,
    BYTES_MIN = AT_CODEC + BEHIND_END,
};

static const uint8_t magic[4] = {'S', 'T', 'R', 'M'};
static const char identity[] = "identity";

size_t vv_stra_manifest_put(const struct varve_format_meta *meta, uint8_t *out)
{
    const char *codec = meta->codec[0] ? meta->codec : identity;
    size_t codec_bytes = strnlen(codec, VARVE_FORMAT_CODEC_BYTES - 1);
    uint8_t *behind = out + AT_CODEC + codec_bytes;

    memcpy(out, magic, sizeof magic);
    vv_put_u32(out + AT_VERSION, VERSION);
    memcpy(out + AT_UUID, meta->uuid, sizeof meta->uuid);
    vv_put_u32(out + AT_CODEC_BYTES, (uint32_t)codec_bytes);
    memcpy(out + AT_CODEC, codec, codec_bytes);
    vv_put_u64(behind + BEHIND_SEGMENT, meta->last_segment);
    vv_put_u64(behind + BEHIND_WATERMARK, meta->watermark);
    vv_put_u64(behind + BEHIND_SNAPSHOT, meta->snapshot);
    vv_put_u32(behind + BEHIND_SUM, vv_crc32(0, out, AT_CODEC + codec_bytes + BEHIND_SUM));
    return AT_CODEC + codec_bytes + BEHIND_END;
}

int vv_stra_manifest_get(const uint8_t *bytes, size_t len, struct varve_format_meta *ret_meta,
                         struct varve_error *ret_error)
{
    struct varve_format_meta meta = {.covered_lsn = 0};
    struct vv_utf8 text = {0};
    const uint8_t *behind;
    uint32_t codec_bytes;

    if (len < BYTES_MIN)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: too short, %zu bytes", len);
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: invalid magic");
    codec_bytes = vv_get_u32(bytes + AT_CODEC_BYTES);
    if (codec_bytes != len - BYTES_MIN)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                            "MANIFEST: %zu bytes, and its codec's name of %u would want %zu", len,
                            codec_bytes, BYTES_MIN + (size_t)codec_bytes);
    behind = bytes + AT_CODEC + codec_bytes;
    if (vv_get_u32(behind + BEHIND_SUM) != vv_crc32(0, bytes, len - 4))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: its checksum does not match");
    if (vv_get_u32(bytes + AT_VERSION) != VERSION)
        return vv_error_set(ret_error, VARVE_E_VERSION, 0, "MANIFEST: of version %u",
                            vv_get_u32(bytes + AT_VERSION));
    if (!vv_utf8_feed(&text, bytes + AT_CODEC, codec_bytes) || !vv_utf8_whole(&text) ||
        memchr(bytes + AT_CODEC, 0, codec_bytes))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST: the codec's name is not a text");
    if (codec_bytes >= VARVE_FORMAT_CODEC_BYTES)
        return vv_error_set(ret_error, VARVE_E_CODEC, 0, "MANIFEST: a codec with a name of %u bytes",
                            codec_bytes);
    memcpy(meta.uuid, bytes + AT_UUID, sizeof meta.uuid);
    memcpy(meta.codec, bytes + AT_CODEC, codec_bytes);
    meta.last_segment = vv_get_u64(behind + BEHIND_SEGMENT);
    meta.watermark = vv_get_u64(behind + BEHIND_WATERMARK);
    meta.snapshot = vv_get_u64(behind + BEHIND_SNAPSHOT);
    *ret_meta = meta;
    return 0;
}
