/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/facts.h"

#include "base/bytes.h"
#include "base/crc.h"

enum {
    VERSION = 1,
    HEAD_BYTES = 88,
    SUM_AT = 84,
    PAST_BYTES = 8,
};

static const uint8_t magic[8] = {'V', 'A', 'R', 'V', 'E', 'K', 'V', 'E'};

size_t vv_facts_bytes(const struct vv_env_facts *facts)
{
    return HEAD_BYTES + (size_t)facts->past_count * PAST_BYTES;
}

/* Of all of it but itself. */
static uint32_t sum_of(const uint8_t *at, size_t bytes)
{
    return vv_crc32c(vv_crc32c(0, at, SUM_AT), at + HEAD_BYTES, bytes - HEAD_BYTES);
}

void vv_facts_put(const struct vv_env_facts *f, uint8_t *out)
{
    memcpy(out, magic, sizeof magic);
    vv_put_u32(out + 8, VERSION);
    vv_put_u32(out + 12, f->shards);
    vv_put_u64(out + 16, f->secret[0]);
    vv_put_u64(out + 24, f->secret[1]);
    vv_put_u64(out + 32, f->lsn);
    vv_put_u64(out + 40, f->end_lsn);
    vv_put_u64(out + 48, f->created_us);
    vv_put_u64(out + 56, f->entries);
    vv_put_u64(out + 64, f->expiring);
    vv_put_u32(out + 72, f->past_count);
    memset(out + 76, 0, SUM_AT - 76);
    for (uint32_t i = 0; i < f->past_count; i++)
        vv_put_u64(out + HEAD_BYTES + i * PAST_BYTES, f->past[i]);
    vv_put_u32(out + SUM_AT, sum_of(out, vv_facts_bytes(f)));
}

int vv_facts_get(const uint8_t *at, size_t bytes, struct vv_env_facts *ret_facts)
{
    struct vv_env_facts f = {.shards = 0};

    if (bytes < HEAD_BYTES || memcmp(at, magic, sizeof magic) != 0)
        return VARVE_E_CORRUPT;
    if (vv_get_u32(at + 8) != VERSION)
        return VARVE_E_VERSION;
    f.past_count = vv_get_u32(at + 72);
    if (f.past_count > VV_ENV_PAST_MAX || bytes != vv_facts_bytes(&f) ||
        vv_get_u32(at + SUM_AT) != sum_of(at, bytes))
        return VARVE_E_CORRUPT;
    f.shards = vv_get_u32(at + 12);
    f.secret[0] = vv_get_u64(at + 16);
    f.secret[1] = vv_get_u64(at + 24);
    f.lsn = vv_get_u64(at + 32);
    f.end_lsn = vv_get_u64(at + 40);
    f.created_us = vv_get_u64(at + 48);
    f.entries = vv_get_u64(at + 56);
    f.expiring = vv_get_u64(at + 64);
    for (uint32_t i = 0; i < f.past_count; i++)
        f.past[i] = vv_get_u64(at + HEAD_BYTES + i * PAST_BYTES);
    if (!vv_is_power_of_two(f.shards) || f.shards > 32768 || f.end_lsn < f.lsn)
        return VARVE_E_CORRUPT;
    *ret_facts = f;
    return 0;
}
