/* SPDX-License-Identifier: Apache-2.0 */
/* Frame headers <-> bytes. In: 64 bytes and where they stand. Out: a struct and what it is worth there. */
#include "format/frame.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/tooth.h"
#include "format/record.h"

enum {
    AT_MAGIC = 0,
    AT_HEADER_CRC = 4,
    AT_BODY_CRC = 8,
    AT_STORED = 12,
    AT_RAW = 16,
    AT_COUNT = 20,
    AT_FIRST_LSN = 24,
    AT_DURABLE_LSN = 32,
    AT_TIME = 40,
    AT_SEGMENT = 48,
    AT_SECTOR = 56,
    AT_CODEC = 60,
    AT_FLAGS = 61,
    AT_ZERO = 62,
};

static const uint8_t magic[4] = {'V', 'F', 'R', 'M'};

void vv_frame_encode(const struct vv_frame_header *h, uint32_t seed, uint8_t *out)
{
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    vv_put_u32(out + AT_BODY_CRC, h->body_crc);
    vv_put_u32(out + AT_STORED, h->stored_bytes);
    vv_put_u32(out + AT_RAW, h->raw_bytes);
    vv_put_u32(out + AT_COUNT, h->count);
    vv_put_u64(out + AT_FIRST_LSN, h->first_lsn);
    vv_put_u64(out + AT_DURABLE_LSN, h->durable_lsn);
    vv_put_u64(out + AT_TIME, h->time_us);
    vv_put_u64(out + AT_SEGMENT, h->segment);
    vv_put_u32(out + AT_SECTOR, h->sector);
    out[AT_CODEC] = h->codec;
    out[AT_FLAGS] = h->flags;
    out[AT_ZERO] = 0;
    out[AT_ZERO + 1] = 0;
    vv_put_u32(out + AT_HEADER_CRC, vv_crc32c(seed, out + 8, VV_FRAME_HEADER_BYTES - 8));
}

/* Whether the header would check if it named this segment and this place: then one of just these fields is
 * damaged, and the frame is ours all the same. */
static int ours_but_for_place(const uint8_t *bytes, const struct vv_frame_place *place, uint32_t crc)
{
    uint8_t copy[VV_FRAME_HEADER_BYTES];

    memcpy(copy, bytes, sizeof copy);
    vv_put_u64(copy + AT_SEGMENT, place->segment);
    vv_put_u32(copy + AT_SECTOR, (uint32_t)(place->offset / place->sector_bytes));
    return vv_crc32c(place->seed, copy + 8, sizeof copy - 8) == crc;
}

static int possible(const struct vv_frame_header *h, const struct vv_frame_place *place)
{
    uint64_t room = place->capacity > place->offset ? place->capacity - place->offset : 0;

    if (h->first_lsn == 0 || h->first_lsn > UINT64_MAX - h->count || h->durable_lsn >= h->first_lsn)
        return 0;
    if (h->flags != 0 || h->raw_bytes > VV_FRAME_BODY_MAX || h->stored_bytes > VV_FRAME_BODY_MAX)
        return 0;
    if (h->count == 0 ? h->stored_bytes != 0 || h->raw_bytes != 0
                      : (uint64_t)h->count * VV_RECORD_HEADER_BYTES > h->raw_bytes)
        return 0;
    if (h->codec == 0
            ? h->raw_bytes != h->stored_bytes
            : h->stored_bytes == 0 || (h->raw_bytes > h->stored_bytes && h->raw_bytes > VV_FRAME_PACKED_MAX))
        return 0;
    return vv_frame_bytes(h->stored_bytes, place->sector_bytes) <= room || VV_TOOTH(LENGTH_TRUSTED);
}

enum vv_frame_status vv_frame_decode(const uint8_t *bytes, const struct vv_frame_place *place,
                                     struct vv_frame_header *ret_header, uint32_t *ret_crc)
{
    struct vv_frame_header *h = ret_header;
    uint32_t crc = vv_crc32c(place->seed, bytes + 8, VV_FRAME_HEADER_BYTES - 8);

    h->header_crc = vv_get_u32(bytes + AT_HEADER_CRC);
    h->body_crc = vv_get_u32(bytes + AT_BODY_CRC);
    h->stored_bytes = vv_get_u32(bytes + AT_STORED);
    h->raw_bytes = vv_get_u32(bytes + AT_RAW);
    h->count = vv_get_u32(bytes + AT_COUNT);
    h->first_lsn = vv_get_u64(bytes + AT_FIRST_LSN);
    h->durable_lsn = vv_get_u64(bytes + AT_DURABLE_LSN);
    h->time_us = vv_get_u64(bytes + AT_TIME);
    h->segment = vv_get_u64(bytes + AT_SEGMENT);
    h->sector = vv_get_u32(bytes + AT_SECTOR);
    h->codec = bytes[AT_CODEC];
    h->flags = bytes[AT_FLAGS];
    if (ret_crc)
        *ret_crc = crc;
    if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0)
        return VV_FRAME_NONE;
    if (crc != h->header_crc) {
        /* No segment has the number 0: so much of a header is one that was cut off. */
        if (h->segment == place->segment || h->segment == 0 ||
            ours_but_for_place(bytes, place, h->header_crc))
            return VV_FRAME_BROKEN;
        return VV_FRAME_OTHER;
    }
    if (h->segment != place->segment || (uint64_t)h->sector * place->sector_bytes != place->offset)
        return VV_FRAME_MISPLACED;
    return possible(h, place) ? VV_FRAME_OK : VV_FRAME_IMPOSSIBLE;
}

uint32_t vv_frame_seed_of(const uint8_t *bytes)
{
    return vv_crc32c_before(vv_get_u32(bytes + AT_HEADER_CRC), bytes + 8, VV_FRAME_HEADER_BYTES - 8);
}

uint64_t vv_frame_bytes(uint64_t stored_bytes, uint32_t sector_bytes)
{
    return vv_round_up(VV_FRAME_HEADER_BYTES + stored_bytes, sector_bytes);
}
