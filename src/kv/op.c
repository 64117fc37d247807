/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/op.h"

#include <string.h>

#include "base/bytes.h"

size_t vv_op_head(const struct vv_op *op, uint8_t *out)
{
    out[0] = (uint8_t)op->kind;
    out[1] = (uint8_t)((op->expires_us ? VV_OP_EXPIRES : 0) | (op->is_new ? VV_OP_NEW : 0));
    vv_put_u16(out + 2, (uint16_t)op->key_bytes);
    vv_put_u32(out + 4, (uint32_t)op->value_bytes);
    if (!op->expires_us)
        return 8;
    vv_put_u64(out + 8, op->expires_us);
    return 16;
}

uint8_t *vv_op_put(const struct vv_op *op, uint8_t *out)
{
    out += vv_op_head(op, out);
    memcpy(out, op->key, op->key_bytes);
    out += op->key_bytes;
    if (op->value_bytes)
        memcpy(out, op->value, op->value_bytes);
    return out + op->value_bytes;
}

bool vv_op_event(const uint8_t **at, const uint8_t *end, const void **ret_data, size_t *ret_bytes)
{
    size_t left = (size_t)(end - *at), bytes;

    if (left < 4)
        return false;
    bytes = vv_get_u32(*at);
    if (left - 4 < bytes)
        return false;
    *ret_data = *at + 4;
    *ret_bytes = bytes;
    *at += 4 + bytes;
    return true;
}

/* What is in the value of an operation on a stream. */
static const char *check_stream(const struct vv_op *op)
{
    const uint8_t *at = op->value, *end = at + op->value_bytes;
    const void *data;
    uint64_t position, count = 0;
    size_t bytes;

    if (op->value_bytes < VV_OP_POSITION)
        return "a position is cut off";
    position = vv_get_u64(at);
    at += VV_OP_POSITION;
    while (op->kind == VV_OP_EVENTS && vv_op_event(&at, end, &data, &bytes))
        count++;
    if (at != end || (op->kind == VV_OP_EVENTS && count == 0))
        return "events that are cut off";
    return position == 0 || position > UINT64_MAX - count ? "a position that no event has" : NULL;
}

const char *vv_op_get(const uint8_t **at, const uint8_t *end, struct vv_op *ret_op)
{
    const uint8_t *from = *at;
    size_t left = (size_t)(end - from), head;
    struct vv_op op = {.kind = VV_OP_SET};

    if (left < 8)
        return "an operation is cut off";
    if (from[0] < VV_OP_SET || from[0] > VV_OP_PATCH)
        return "an unknown operation";
    if (from[1] & ~(VV_OP_EXPIRES | (from[0] == VV_OP_EVENTS ? VV_OP_NEW : 0)))
        return "an operation with unknown flags";
    op.kind = (enum vv_op_kind)from[0];
    op.is_new = from[1] & VV_OP_NEW;
    op.key_bytes = vv_get_u16(from + 2);
    op.value_bytes = vv_get_u32(from + 4);
    head = from[1] & VV_OP_EXPIRES ? 16 : 8;
    if (op.key_bytes == 0)
        return "an operation without a key";
    if (left < head || left - head < op.key_bytes || left - head - op.key_bytes < op.value_bytes)
        return "an operation is cut off";
    if (head == 16)
        op.expires_us = vv_get_u64(from + 8);
    if (head == 16 && op.expires_us == 0)
        return "an operation that expires never, and says when";
    op.key = from + head;
    op.value = from + head + op.key_bytes;
    if (op.kind == VV_OP_PATCH && op.value_bytes < VV_OP_POSITION)
        return "an offset is cut off";
    if (op.kind == VV_OP_PATCH &&
        vv_get_u64(op.value) > UINT32_MAX - (uint64_t)(op.value_bytes - VV_OP_POSITION))
        return "an offset that no value has";
    if (op.kind == VV_OP_EVENTS || op.kind == VV_OP_TRIM) {
        const char *why = check_stream(&op);

        if (why)
            return why;
    }
    *at = from + head + op.key_bytes + op.value_bytes;
    *ret_op = op;
    return NULL;
}
