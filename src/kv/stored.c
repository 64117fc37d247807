/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/stored.h"

#include "base/crc.h"
#include "varve/error.h"

enum {
    VALUE_BYTES_AT = 4,
    KEY_BYTES_AT = 8,
    TYPE_AT = 10,
    VERSION_AT = 12,
    EXPIRES_AT = 20,
};

/* Over the word too: an entry that stands under another key's is none. */
static uint32_t sum_of(uint64_t word, const uint8_t *at, size_t bytes)
{
    uint8_t seed[8];

    vv_put_u64(seed, word);
    return vv_crc32c(vv_crc32c(0, seed, sizeof seed), at + VALUE_BYTES_AT, bytes - VALUE_BYTES_AT);
}

uint8_t *vv_stored_put(const struct vv_stored *s, uint64_t word, uint8_t *out)
{
    size_t bytes = vv_stored_bytes(s);

    vv_put_u32(out + VALUE_BYTES_AT, (uint32_t)s->value_bytes);
    vv_put_u16(out + KEY_BYTES_AT, (uint16_t)s->key_bytes);
    out[TYPE_AT] = (uint8_t)s->type;
    out[TYPE_AT + 1] = 0;
    vv_put_u64(out + VERSION_AT, s->version);
    vv_put_u64(out + EXPIRES_AT, s->expires_us);
    memcpy(out + VV_STORED_HEAD, s->key, s->key_bytes);
    if (s->value_bytes)
        memcpy(out + VV_STORED_HEAD + s->key_bytes, s->value, s->value_bytes);
    vv_put_u32(out, sum_of(word, out, bytes));
    return out + bytes;
}

struct vv_stored vv_stored_again(const uint8_t *at)
{
    struct vv_stored s = {
        .version = vv_get_u64(at + VERSION_AT),
        .expires_us = vv_get_u64(at + EXPIRES_AT),
        .key = at + VV_STORED_HEAD,
        .key_bytes = vv_get_u16(at + KEY_BYTES_AT),
        .value_bytes = vv_get_u32(at + VALUE_BYTES_AT),
        .type = (enum vv_entry_type)at[TYPE_AT],
    };

    s.value = s.key + s.key_bytes;
    return s;
}

int vv_stored_next(uint64_t word, const uint8_t **at, const uint8_t *end, struct vv_stored *ret)
{
    size_t left = (size_t)(end - *at), bytes;
    struct vv_stored s;

    if (left == 0)
        return VARVE_END;
    if (left < VV_STORED_HEAD)
        return VARVE_E_CORRUPT;
    s = vv_stored_again(*at);
    if (s.key_bytes == 0 || left - VV_STORED_HEAD < s.key_bytes ||
        left - VV_STORED_HEAD - s.key_bytes < s.value_bytes || s.type > VV_ENTRY_STORED_LAST)
        return VARVE_E_CORRUPT;
    bytes = vv_stored_bytes(&s);
    if (vv_get_u32(*at) != sum_of(word, *at, bytes))
        return VARVE_E_CORRUPT;
    *at += bytes;
    *ret = s;
    return 0;
}

int vv_stored_find(uint64_t word, const uint8_t *run, size_t bytes, const void *key, size_t key_bytes,
                   struct vv_stored *ret)
{
    const uint8_t *at = run;
    struct vv_stored s;
    int rc;

    while ((rc = vv_stored_next(word, &at, run + bytes, &s)) == 0) {
        if (vv_stored_is(&s, key, key_bytes)) {
            *ret = s;
            return 0;
        }
    }
    return rc;
}

struct vv_entry *vv_stored_copy(const struct vv_stored *s)
{
    struct vv_entry *e =
        vv_entry_new(s->key, s->key_bytes, s->type, s->expires_us, s->value, s->value_bytes, NULL, 0);

    if (e)
        e->version = s->version;
    return e;
}
