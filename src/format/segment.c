/* SPDX-License-Identifier: Apache-2.0 */
/* Segment headers and names <-> bytes. In: bytes of unknown worth. Out: a struct and whether it may be
 * trusted. */
#include "format/segment.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"

/* Byte offsets, as docs/FORMAT.md has them. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_SECTOR = 12,
    AT_UUID = 16,
    AT_NUMBER = 32,
    AT_SALT = 40,
    AT_CAPACITY = 48,
    AT_CREATED = 56,
    AT_BASE_LSN = 64,
    AT_CODEC = 72,
    AT_FLAGS = 76,
    AT_REUSED = 80,
    AT_BEFORE = 88,
    AT_CRC = 124,
};

static const uint8_t magic[8] = {'V', 'A', 'R', 'V', 'E', 'S', 'E', 'G'};

void vv_segment_encode(const struct vv_segment_header *h, uint8_t *out)
{
    memset(out, 0, VV_SEGMENT_HEADER_BYTES);
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    vv_put_u32(out + AT_VERSION, h->version);
    vv_put_u32(out + AT_SECTOR, h->sector_bytes);
    memcpy(out + AT_UUID, h->uuid, VV_UUID_BYTES);
    vv_put_u64(out + AT_NUMBER, h->number);
    vv_put_u64(out + AT_SALT, h->salt);
    vv_put_u64(out + AT_CAPACITY, h->capacity);
    vv_put_u64(out + AT_CREATED, h->created_us);
    vv_put_u64(out + AT_BASE_LSN, h->base_lsn);
    vv_put_u32(out + AT_CODEC, h->codec);
    vv_put_u32(out + AT_FLAGS, h->flags);
    vv_put_u32(out + AT_REUSED, h->reused);
    vv_put_u64(out + AT_BEFORE, h->before);
    vv_put_u32(out + AT_CRC, vv_crc32c(0, out, AT_CRC));
}

/* What a sound header may say: a header that checks and contradicts itself was not written by us. */
static int plausible(const struct vv_segment_header *h)
{
    uint32_t sector = h->sector_bytes;

    return sector >= VV_SECTOR_BYTES_MIN && sector <= VV_SECTOR_BYTES_MAX && (sector & (sector - 1)) == 0 &&
           h->number != 0 && h->base_lsn != 0 && h->capacity >= VV_SEGMENT_BYTES_MIN &&
           h->capacity <= VV_SEGMENT_BYTES_MAX && h->capacity % VV_SEGMENT_HEADER_BYTES == 0;
}

enum vv_segment_status vv_segment_decode(const uint8_t *bytes, size_t len,
                                         struct vv_segment_header *ret_header)
{
    struct vv_segment_header *h = ret_header;

    memset(h, 0, sizeof *h);
    if (len > VV_SEGMENT_HEADER_BYTES)
        len = VV_SEGMENT_HEADER_BYTES;
    if (vv_is_zero(bytes, len))
        return VV_SEGMENT_BLANK;
    if (len < VV_SEGMENT_CHECKED_BYTES)
        return VV_SEGMENT_BAD;
    h->version = vv_get_u32(bytes + AT_VERSION);
    h->sector_bytes = vv_get_u32(bytes + AT_SECTOR);
    memcpy(h->uuid, bytes + AT_UUID, VV_UUID_BYTES);
    h->number = vv_get_u64(bytes + AT_NUMBER);
    h->salt = vv_get_u64(bytes + AT_SALT);
    h->capacity = vv_get_u64(bytes + AT_CAPACITY);
    h->created_us = vv_get_u64(bytes + AT_CREATED);
    h->base_lsn = vv_get_u64(bytes + AT_BASE_LSN);
    h->codec = vv_get_u32(bytes + AT_CODEC);
    h->flags = vv_get_u32(bytes + AT_FLAGS);
    h->reused = vv_get_u32(bytes + AT_REUSED);
    h->before = vv_get_u64(bytes + AT_BEFORE);
    h->crc_stored = vv_get_u32(bytes + AT_CRC);
    h->crc_computed = vv_crc32c(0, bytes, AT_CRC);
    if (memcmp(bytes + AT_MAGIC, magic, sizeof magic) != 0 || h->crc_stored != h->crc_computed)
        return VV_SEGMENT_BAD;
    if (h->version > VV_SEGMENT_VERSION)
        return VV_SEGMENT_NEWER;
    if (h->version == 0)
        return VV_SEGMENT_BAD;
    if (h->flags != 0)
        return VV_SEGMENT_FLAGGED;
    return plausible(h) ? VV_SEGMENT_OK : VV_SEGMENT_BAD;
}

void vv_segment_name(uint64_t number, char *out)
{
    static const char digits[] = "0123456789abcdef";

    memcpy(out, "wal-", 4);
    for (int i = 0; i < 16; i++)
        out[4 + i] = digits[(number >> (60 - 4 * i)) & 15];
    memcpy(out + 20, ".seg", 5);
}

int vv_segment_name_parse(const char *name, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (strlen(name) != VV_SEGMENT_NAME_BYTES - 1 || memcmp(name, "wal-", 4) != 0 ||
        memcmp(name + 20, ".seg", 5) != 0)
        return 0;
    for (int i = 4; i < 20; i++) {
        char c = name[i];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return 0;
        number = number << 4 | digit;
    }
    if (number == 0)
        return 0;
    *ret_number = number;
    return 1;
}

uint32_t vv_segment_seed(uint64_t salt)
{
    uint8_t bytes[8];

    vv_put_u64(bytes, salt);
    return vv_crc32c(0, bytes, sizeof bytes);
}
