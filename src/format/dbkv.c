/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dbkv: key-value operations in one current file, which gets the time of its rotation for a name. The framing
 * is big-endian, the payload little-endian. The operation's number stands in the head and, less one, in the
 * payload, and both must agree.
 */
#include "format/dbkv.h"

#include <string.h>

#include "base/bytes.h"
#include "format/builtin.h"
#include "format/fields.h"

enum {
    HEADER_BYTES = 32,
    HEADER_VERSION = 8,
    HEADER_CREATED = 12,

    HEAD_BYTES = 13,
    AT_LENGTH = 0,
    AT_TIME = 4,
    AT_TYPE = 12,

    VERSION = 1,
    /* What the length field counts besides the payload: time, type, checksum. */
    AROUND = 8 + 1 + 4,
    LENGTH_MAX = 10 * 1024 * 1024,
    PAYLOAD_MIN = 12,
};

static const uint8_t magic[8] = {'K', 'V', 'W', 'A', 'L', '0', '0', '1'};
static const char active_name[] = "wal-current.log";
static const char unborn_name[] = "wal-current-new.log";

static void name_put(uint64_t number, char *out)
{
    if (number == VARVE_FORMAT_ACTIVE)
        memcpy(out, active_name, sizeof active_name);
    else if (number == VARVE_FORMAT_UNBORN)
        memcpy(out, unborn_name, sizeof unborn_name);
    else
        vv_name_put(out, "wal-", 1, number, ".log");
}

static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    if (strcmp(name, unborn_name) == 0)
        return VARVE_NAME_UNBORN;
    if (strcmp(name, active_name) == 0) {
        *ret_number = VARVE_FORMAT_ACTIVE;
        return VARVE_NAME_SEGMENT;
    }
    return vv_name_get(name, "wal-", 1, ".log", ret_number) ? VARVE_NAME_SEGMENT : VARVE_NAME_NONE;
}

static void header_put(const struct varve_format_segment *segment, uint8_t *out)
{
    memset(out, 0, HEADER_BYTES);
    memcpy(out, magic, sizeof magic);
    vv_put_u32_be(out + HEADER_VERSION, VERSION);
    vv_put_u64_be(out + HEADER_CREATED, segment->created_us / 1000000);
}

static enum varve_header_state header_get(const uint8_t *bytes, size_t have,
                                          struct varve_format_segment *ret_segment, const char **ret_reason)
{
    enum varve_header_state state =
        vv_header_look(bytes, have, HEADER_BYTES, magic, sizeof magic, ret_reason);
    int64_t created;

    memset(ret_segment, 0, sizeof *ret_segment);
    if (state != VARVE_HEADER_SOUND)
        return state;
    created = (int64_t)vv_get_u64_be(bytes + HEADER_CREATED);
    if (created > 0 && created < INT64_MAX / 1000000)
        ret_segment->created_us = (uint64_t)created * 1000000;
    if (vv_get_u32_be(bytes + HEADER_VERSION) != VERSION) {
        *ret_reason = "its version is not 1";
        return VARVE_HEADER_VERSION;
    }
    return VARVE_HEADER_SOUND;
}

static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    vv_put_u32_be(out + AT_LENGTH, (uint32_t)(AROUND + payload_bytes));
    vv_put_u64_be(out + AT_TIME, stamp->time);
    out[AT_TYPE] = (uint8_t)(vv_payload_first(record) + 1);
}

static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    uint32_t length = vv_get_u32_be(bytes + AT_LENGTH);

    entry->time = vv_get_u64_be(bytes + AT_TIME);
    entry->type = bytes[AT_TYPE];
    if (length < AROUND || length > LENGTH_MAX) {
        entry->reason = "a length below 13 or above 10 MiB";
        return VARVE_FOUND_LENGTH;
    }
    entry->payload_bytes = length - AROUND;
    if (entry->type < VARVE_DBKV_SET || entry->type > VARVE_DBKV_EXTEND_LOCK) {
        entry->head_broken = 1;
        entry->reason = "no operation has this type";
    }
    return VARVE_FOUND_RECORD;
}

static void check_key(struct vv_fb *fb)
{
    uint64_t bytes = vv_fb_u64(fb);

    vv_fb_text(fb, bytes);
    if (bytes == 0 || bytes > VARVE_DBKV_KEY_MAX)
        vv_fb_fail(fb, "a key of no bytes, or of more than 256");
}

static void check_text(struct vv_fb *fb)
{
    vv_fb_text(fb, vv_fb_u64(fb));
}

static void check_duration(struct vv_fb *fb)
{
    vv_fb_u64(fb);
    if (vv_fb_u32(fb) > 999999999)
        vv_fb_fail(fb, "a duration with more than 999,999,999 nanoseconds");
}

static void check_ttl(struct vv_fb *fb)
{
    uint8_t there = vv_fb_u8(fb);

    if (there > 1)
        vv_fb_fail(fb, "neither there nor absent");
    if (there)
        check_duration(fb);
}

/* Optional `-`, digits, optional `.` and digits. */
bool vv_dbkv_is_decimal(const uint8_t *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-', whole, part;

    for (whole = 0; at < len && text[at] >= '0' && text[at] <= '9'; at++)
        whole++;
    if (whole == 0)
        return false;
    if (at == len)
        return true;
    if (text[at++] != '.')
        return false;
    for (part = 0; at < len && text[at] >= '0' && text[at] <= '9'; at++)
        part++;
    return part > 0 && at == len;
}

static void check_decimal(struct vv_fb *fb)
{
    uint8_t text[VARVE_DBKV_DECIMAL_MAX];
    uint64_t bytes = vv_fb_u64(fb);

    if (bytes > sizeof text) {
        vv_fb_fail(fb, "a decimal of more than 64 bytes");
        return;
    }
    vv_fb_copy(fb, text, (size_t)bytes);
    if (!fb->error && !vv_dbkv_is_decimal(text, (size_t)bytes))
        vv_fb_fail(fb, "a decimal that is no number");
}

/* What is still to come of a list or a map. */
struct nest {
    uint64_t left;
    bool keyed;
};

/* Reads a value that holds no others, or enters one that does. */
static void check_one(struct vv_fb *fb, struct nest *nests, unsigned room, unsigned *depth)
{
    uint32_t kind = vv_fb_u32(fb);

    switch (kind) {
    case VARVE_DBKV_INT:
    case VARVE_DBKV_FLOAT:
        vv_fb_u64(fb);
        break;
    case VARVE_DBKV_DECIMAL:
        check_decimal(fb);
        break;
    case VARVE_DBKV_TEXT:
        check_text(fb);
        break;
    case VARVE_DBKV_BYTES:
        vv_fb_bytes(fb, vv_fb_u64(fb));
        break;
    case VARVE_DBKV_LIST:
    case VARVE_DBKV_MAP:
        if (*depth == room) {
            vv_fb_fail(fb, "values nested more than 64 deep");
            break;
        }
        nests[*depth].keyed = kind == VARVE_DBKV_MAP;
        nests[*depth].left = vv_fb_count(fb, vv_fb_u64(fb), kind == VARVE_DBKV_MAP ? 8 + 4 : 4);
        ++*depth;
        break;
    case VARVE_DBKV_NULL:
        break;
    default:
        vv_fb_fail(fb, "a value of no known kind");
    }
}

void vv_dbkv_check_value(struct vv_fb *fb, unsigned within)
{
    struct nest nests[VARVE_DBKV_DEPTH_MAX];
    unsigned room = VARVE_DBKV_DEPTH_MAX - within, depth = 0;

    check_one(fb, nests, room, &depth);
    while (depth > 0 && !fb->error) {
        struct nest *nest = &nests[depth - 1];

        if (nest->left == 0) {
            depth--;
            continue;
        }
        nest->left--;
        if (nest->keyed)
            check_text(fb);
        check_one(fb, nests, room, &depth);
    }
}

static void check_pairs(struct vv_fb *fb)
{
    uint64_t count = vv_fb_count(fb, vv_fb_u64(fb), 8 + 1 + 4);

    for (; count > 0 && !fb->error; count--) {
        check_key(fb);
        vv_dbkv_check_value(fb, 0);
    }
}

static void check_keys(struct vv_fb *fb)
{
    uint64_t count = vv_fb_count(fb, vv_fb_u64(fb), 8 + 1);

    for (; count > 0 && !fb->error; count--)
        check_key(fb);
}

/* `operation`: as in the head, the payload's own index plus 1. */
static void check_operation(struct vv_fb *fb, uint32_t operation)
{
    switch (operation) {
    case VARVE_DBKV_SET:
    case VARVE_DBKV_SETNX:
        check_key(fb);
        vv_dbkv_check_value(fb, 0);
        check_ttl(fb);
        break;
    case VARVE_DBKV_DELETE:
        check_key(fb);
        break;
    case VARVE_DBKV_INCR:
    case VARVE_DBKV_DECR:
        check_key(fb);
        vv_fb_u64(fb);
        break;
    case VARVE_DBKV_MSET:
        check_pairs(fb);
        check_ttl(fb);
        break;
    case VARVE_DBKV_MDEL:
        check_keys(fb);
        break;
    case VARVE_DBKV_LOCK:
    case VARVE_DBKV_EXTEND_LOCK:
        check_key(fb);
        check_text(fb);
        check_duration(fb);
        break;
    case VARVE_DBKV_UNLOCK:
        check_key(fb);
        check_text(fb);
        break;
    default:
        vv_fb_fail(fb, "an operation of no known kind");
    }
}

static int check(const struct iovec *pieces, int count, struct varve_format_entry *entry)
{
    struct vv_fb fb;
    uint32_t index;

    vv_fb_init(&fb, pieces, count);
    index = vv_fb_u32(&fb);
    if (index >= VARVE_DBKV_EXTEND_LOCK)
        vv_fb_fail(&fb, "an operation of no known kind");
    else
        check_operation(&fb, index + 1);
    if (!vv_fb_end(&fb)) {
        entry->reason = fb.error;
        return -1;
    }
    if (entry->type != 0 && entry->type != index + 1) {
        entry->reason = "the payload is of another type than the record says";
        return -1;
    }
    entry->type = (uint8_t)(index + 1);
    return 0;
}

const struct varve_format vv_format_dbkv = {
    .size = sizeof vv_format_dbkv,
    .name = "dbkv",
    .summary = "key-value operations with their times; skips damaged ones",
    .carries = VARVE_FIELD_TIME | VARVE_FIELD_TYPE,
    .derives = VARVE_FIELD_TYPE,
    .traits = VARVE_FORMAT_SIGNED_TIME | VARVE_FORMAT_ALONE | VARVE_FORMAT_BIG_ENDIAN_SUM | VARVE_FORMAT_GAPS,
    .time_unit_ns = 1,
    .type_min = VARVE_DBKV_SET,
    .type_max = VARVE_DBKV_EXTEND_LOCK,
    .payload_min = PAYLOAD_MIN,
    .payload_max = LENGTH_MAX - AROUND,
    .layout = VARVE_LAYOUT_RENAMED,
    .folder = "",
    .segment_default = UINT64_C(1) << 30,
    .segment_min = 1024,
    .segment_max = VV_SEGMENT_LIMIT,
    .name_put = name_put,
    .name_get = name_get,
    .header_bytes = HEADER_BYTES,
    .header_put = header_put,
    .header_get = header_get,
    .head_bytes = HEAD_BYTES,
    .tail_bytes = 4,
    .sum = VARVE_SUM_CRC32,
    .sum_from = AT_TIME,
    .sum_at = -1,
    .head_put = head_put,
    .head_get = head_get,
    .check = check,
    .policy = VARVE_POLICY_SKIP,
    .removal = VARVE_REMOVE_CUT,
};
