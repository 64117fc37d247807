/* SPDX-License-Identifier: Apache-2.0 */
/* Files of dictionaries <-> bytes. In: a whole file of unknown worth. Out: what it holds, or that it does not
 * check. */
#include "format/dictionary.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_ID = 12,
    AT_STORED = 16,
    AT_RAW = 20,
    AT_CODEC = 24,
    AT_CRC = 28,
    AT_SALT = 32,
};

static const uint8_t magic[8] = {'V', 'A', 'R', 'V', 'E', 'D', 'I', 'C'};

void vv_dictionary_name(uint32_t id, char *out)
{
    static const char digits[] = "0123456789abcdef";

    memcpy(out, "dictionary-", 11);
    for (int i = 0; i < 8; i++)
        out[11 + i] = digits[(id >> (28 - 4 * i)) & 15];
    out[19] = '\0';
}

static uint32_t checksum(const uint8_t *header, const void *stored, size_t stored_bytes)
{
    uint32_t crc = vv_crc32c(0, header, AT_CRC);

    crc = vv_crc32c(crc, header + AT_SALT, VV_DICTIONARY_HEADER_BYTES - AT_SALT);
    return vv_crc32c(crc, stored, stored_bytes);
}

void vv_dictionary_encode(const struct vv_dictionary_header *h, const void *stored, uint8_t *out)
{
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    vv_put_u32(out + AT_VERSION, 1);
    vv_put_u32(out + AT_ID, h->id);
    vv_put_u32(out + AT_STORED, h->stored_bytes);
    vv_put_u32(out + AT_RAW, h->raw_bytes);
    vv_put_u32(out + AT_CODEC, h->codec);
    vv_put_u64(out + AT_SALT, h->salt);
    vv_put_u32(out + AT_CRC, checksum(out, stored, h->stored_bytes));
}

int vv_dictionary_decode(const uint8_t *bytes, size_t length, struct vv_dictionary_header *ret_header)
{
    struct vv_dictionary_header *h = ret_header;

    if (length < VV_DICTIONARY_HEADER_BYTES || memcmp(bytes, magic, sizeof magic) != 0 ||
        vv_get_u32(bytes + AT_VERSION) != 1)
        return -1;
    h->id = vv_get_u32(bytes + AT_ID);
    h->stored_bytes = vv_get_u32(bytes + AT_STORED);
    h->raw_bytes = vv_get_u32(bytes + AT_RAW);
    h->codec = vv_get_u32(bytes + AT_CODEC);
    h->crc = vv_get_u32(bytes + AT_CRC);
    h->salt = vv_get_u64(bytes + AT_SALT);
    if (h->stored_bytes != length - VV_DICTIONARY_HEADER_BYTES || h->raw_bytes > VV_DICTIONARY_BYTES_MAX ||
        h->raw_bytes > h->stored_bytes ||
        h->crc != checksum(bytes, bytes + VV_DICTIONARY_HEADER_BYTES, h->stored_bytes))
        return -1;
    return 0;
}
