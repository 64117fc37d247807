/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/entry.h"

#include "base/alloc.h"

struct vv_entry *vv_entry_new(const void *key, size_t key_bytes, enum vv_entry_type type, uint64_t expires_us,
                              const void *value, size_t value_bytes, const void *more, size_t more_bytes)
{
    size_t head = expires_us ? 8 : 0;
    struct vv_entry *e =
        vv_alloc(offsetof(struct vv_entry, bytes) + head + key_bytes + value_bytes + more_bytes);
    uint8_t *at;

    if (!e)
        return NULL;
    e->version = 0;
    e->value_bytes = (uint32_t)(value_bytes + more_bytes);
    e->key_bytes = (uint16_t)key_bytes;
    e->type = type & 15;
    e->used = 0;
    e->flags = expires_us ? VV_ENTRY_EXPIRES : 0;
    at = e->bytes;
    if (head)
        vv_put_u64(at, expires_us);
    memcpy(at + head, key, key_bytes);
    if (value_bytes)
        memcpy(at + head + key_bytes, value, value_bytes);
    if (more_bytes && more)
        memcpy(at + head + key_bytes + value_bytes, more, more_bytes);
    return e;
}

struct vv_entry *vv_entry_event(const void *key, size_t key_bytes, uint64_t position, const void *data,
                                size_t data_bytes)
{
    struct vv_entry *e =
        vv_alloc(offsetof(struct vv_entry, bytes) + key_bytes + VV_EVENT_POSITION + data_bytes);

    if (!e)
        return NULL;
    e->version = 0;
    e->value_bytes = (uint32_t)data_bytes;
    e->key_bytes = (uint16_t)(key_bytes + VV_EVENT_POSITION);
    e->type = VV_ENTRY_EVENT;
    e->used = 0;
    e->flags = 0;
    memcpy(e->bytes, key, key_bytes);
    vv_put_u64_be(e->bytes + key_bytes, position);
    if (data_bytes)
        memcpy(e->bytes + key_bytes + VV_EVENT_POSITION, data, data_bytes);
    return e;
}
