/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine in a log of format dbkv, and what others have written in it.
 *
 * In: operations of the engine. Out: the ten that the format has. What it has no word for is said as a set of
 * the whole value, where it can be. Values are bytes here and typed there: a decimal integer is written as an
 * int, other UTF-8 as a text, the rest as bytes; all come back as the same bytes.
 *
 * A time limit there counts from the record's time, to the nanosecond. So every record is given its time
 * here, and what expires in the past expires at that moment.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "kv/dialect.h"

enum {
    NUMBER_BYTES = VV_DIALECT_NUMBER,
};

static int check(struct varve_kv *kv, struct vv_op *op)
{
    if (op->key_bytes > VARVE_DBKV_KEY_MAX || !vv_dialect_is_text(op->key, op->key_bytes) ||
        op->kind == VV_OP_EVENTS || op->kind == VV_OP_TRIM)
        return VARVE_E_UNSUPPORTED;
    if (op->kind == VV_OP_LOCK && !vv_dialect_is_text(op->value, op->value_bytes))
        return VARVE_E_UNSUPPORTED;
    if (op->expires_us)
        op->expires_us = vv_max_u64(op->expires_us, op->now_us ? op->now_us : vv_kv_now(kv));
    return 0;
}

/* -- writing -- */

/* Exactly as it is printed: then it is the same when it comes back. */
static bool is_integer(const void *value, size_t bytes, int64_t *ret)
{
    char text[NUMBER_BYTES], again[NUMBER_BYTES];

    if (bytes == 0 || bytes >= sizeof text)
        return false;
    memcpy(text, value, bytes);
    text[bytes] = '\0';
    *ret = strtoll(text, NULL, 10);
    (void)snprintf(again, sizeof again, "%" PRId64, *ret);
    return strcmp(text, again) == 0 && strlen(text) == bytes;
}

static int encode_value(const void *value, size_t bytes, void *out, size_t room, size_t *ret_bytes)
{
    struct varve_dbkv_value v = {.kind = VARVE_DBKV_BYTES, .bytes = {value, bytes}};

    if (is_integer(value, bytes, &v.integer))
        v.kind = VARVE_DBKV_INT;
    else if (vv_dialect_is_text(value, bytes))
        v.kind = VARVE_DBKV_TEXT;
    return varve_dbkv_value_put(&v, out, room, ret_bytes);
}

/* A value of its own, to be freed. */
static int make_value(const void *value, size_t bytes, struct varve_bytes *ret)
{
    size_t all = 0;
    void *memory;
    int rc = encode_value(value, bytes, NULL, 0, &all);

    if (rc != VARVE_E_TOO_LARGE)
        return rc ? rc : VARVE_E_INVALID;
    memory = vv_alloc(all);
    if (!memory)
        return VARVE_E_NOMEM;
    rc = encode_value(value, bytes, memory, all, &all);
    *ret = (struct varve_bytes){memory, all};
    return rc;
}

static int put(const void *arg, void *out, size_t room, size_t *ret_bytes)
{
    return varve_dbkv_put(arg, out, room, ret_bytes);
}

static void set_limit(struct varve_dbkv_operation *o, uint64_t expires_us, uint64_t now_us)
{
    uint64_t left_us = expires_us > now_us ? expires_us - now_us : 0;

    o->has_ttl = expires_us != 0;
    o->ttl_s = left_us / 1000000;
    o->ttl_ns = (uint32_t)(left_us % 1000000) * 1000;
}

static int send(struct varve_kv *kv, struct varve_dbkv_operation *o, uint64_t now_us, uint64_t *ret_lsn)
{
    struct varve_record record = {
        .type = (uint8_t)o->type, .flags = VARVE_RECORD_TIME, .time = now_us * 1000};

    return vv_dialect_append(kv, &record, put, o, ret_lsn);
}

static int append(struct varve_kv *kv, const struct vv_op *op, const struct vv_entry *next, uint64_t *ret_lsn)
{
    /* What was decided by the clock is to be found so again. */
    uint64_t now_us = op->now_us ? op->now_us : vv_kv_now(kv);
    struct varve_bytes owner = {op->value, op->value_bytes};
    struct varve_dbkv_operation o = {.type = VARVE_DBKV_DELETE, .key = {op->key, op->key_bytes}};
    int rc = 0;

    if (op->intent == VV_INTENT_UNLOCK) {
        o.type = VARVE_DBKV_UNLOCK;
        o.owner = (struct varve_bytes){op->intent_value, op->intent_bytes};
    } else if (op->intent == VV_INTENT_ADD) {
        bool down = op->intent_number < 0 && op->intent_number != INT64_MIN;

        o.type = down ? VARVE_DBKV_DECR : VARVE_DBKV_INCR;
        o.delta = down ? -op->intent_number : op->intent_number;
    } else if (next && next->type == VV_ENTRY_LOCK) {
        o.type = op->intent == VV_INTENT_EXTEND ? VARVE_DBKV_EXTEND_LOCK : VARVE_DBKV_LOCK;
        if (op->kind == VV_OP_EXPIRE) /* of a lock: its owner extends it */
            owner = (struct varve_bytes){vv_entry_value(next), next->value_bytes};
        if (op->kind == VV_OP_EXPIRE)
            o.type = VARVE_DBKV_EXTEND_LOCK;
        o.owner = owner;
        set_limit(&o, vv_entry_expires(next), now_us);
    } else if (next) {
        o.type = op->intent == VV_INTENT_ABSENT ? VARVE_DBKV_SETNX : VARVE_DBKV_SET;
        set_limit(&o, vv_entry_expires(next), now_us);
        rc = make_value(vv_entry_value(next), next->value_bytes, &o.value);
    }
    if (rc == 0)
        rc = send(kv, &o, now_us, ret_lsn);
    vv_free((void *)(uintptr_t)o.value.data);
    return rc;
}

/* All set with the same limit, or all deleted: there are words for that and for nothing else. */
static int append_many(struct varve_kv *kv, const struct vv_op *ops, size_t count,
                       struct varve_record *record, uint64_t *ret_lsn)
{
    uint64_t now_us = vv_kv_now(kv);
    struct varve_dbkv_operation o = {.type = ops[0].kind == VV_OP_SET ? VARVE_DBKV_MSET : VARVE_DBKV_MDEL,
                                     .count = count};
    struct varve_dbkv_pair *pairs;
    int rc = 0;

    (void)record;
    for (size_t i = 1; i < count; i++)
        if (ops[i].kind != ops[0].kind || ops[i].expires_us != ops[0].expires_us)
            return VARVE_E_UNSUPPORTED;
    pairs = vv_alloc_array(count, sizeof *pairs);
    if (!pairs)
        return VARVE_E_NOMEM;
    for (size_t i = 0; i < count && rc == 0; i++) {
        pairs[i].key = (struct varve_bytes){ops[i].key, ops[i].key_bytes};
        if (ops[0].kind == VV_OP_SET)
            rc = make_value(ops[i].value, ops[i].value_bytes, &pairs[i].value);
    }
    o.pairs = pairs;
    set_limit(&o, ops[0].expires_us, now_us);
    if (rc == 0)
        rc = send(kv, &o, now_us, ret_lsn);
    for (size_t i = 0; i < count; i++)
        vv_free((void *)(uintptr_t)pairs[i].value.data);
    vv_free(pairs);
    return rc;
}

/* -- reading -- */

struct varve_bytes vv_dbkv_decode(struct varve_bytes encoded, char text[VV_DIALECT_NUMBER])
{
    struct varve_dbkv_value v;
    struct varve_bytes bytes = encoded;

    if (varve_dbkv_value_get(encoded.data, encoded.bytes, &v) != 0)
        return bytes; /* was checked with the record */
    switch (v.kind) {
    case VARVE_DBKV_INT:
        bytes.bytes = (size_t)snprintf(text, NUMBER_BYTES, "%" PRId64, v.integer);
        bytes.data = text;
        break;
    case VARVE_DBKV_FLOAT:
        bytes.bytes = vv_kv_print_float(v.real, text, NUMBER_BYTES);
        bytes.data = text;
        break;
    case VARVE_DBKV_DECIMAL:
    case VARVE_DBKV_TEXT:
    case VARVE_DBKV_BYTES:
        bytes = v.bytes;
        break;
    case VARVE_DBKV_NULL:
        bytes.bytes = 0;
        break;
    case VARVE_DBKV_LIST:
    case VARVE_DBKV_MAP:
        break;
    }
    return bytes;
}

/* A record that is replayed. */
struct replay {
    struct varve_kv *kv;
    uint64_t lsn, time_us, expires_us;
};

/* The entry that an operation finds, NULL also when its time was over then. False: it was done before. */
static bool find(const struct replay *r, struct varve_bytes key, const struct vv_entry **ret_now)
{
    uint64_t hash = vv_hash(r->kv->secret, key.data, key.bytes);
    const struct vv_entry *e = vv_table_find(&vv_kv_shard(r->kv, hash)->table, hash, key.data, key.bytes);

    *ret_now = e && !vv_entry_is_over(e, r->time_us) ? e : NULL;
    /* What was imported has no LSN of this log. */
    return !e || e->version < r->lsn || r->kv->imported;
}

static int apply(const struct replay *r, enum vv_op_kind kind, struct varve_bytes key,
                 struct varve_bytes value, uint64_t expires_us)
{
    const struct vv_op op = {.kind = kind,
                             .key = key.data,
                             .key_bytes = key.bytes,
                             .value = value.data,
                             .value_bytes = value.bytes,
                             .expires_us = expires_us};

    r->kv->recovery.operations++;
    return vv_kv_apply(r->kv, &op, r->lsn);
}

static int set(const struct replay *r, struct varve_bytes key, struct varve_bytes encoded)
{
    char text[NUMBER_BYTES];

    return apply(r, VV_OP_SET, key, vv_dbkv_decode(encoded, text), r->expires_us);
}

/* With saturation, as the format has it; the engine itself refuses before that. */
static int add(const struct replay *r, const struct varve_dbkv_operation *o)
{
    const struct vv_entry *now;
    int64_t value = 0, delta = o->delta;
    bool down = o->type == VARVE_DBKV_DECR;
    char text[NUMBER_BYTES];
    struct varve_bytes sum = {.data = text};

    if (!find(r, o->key, &now))
        return 0;
    if (now && (now->type != VV_ENTRY_VALUE || !is_integer(vv_entry_value(now), now->value_bytes, &value)))
        return 0;
    if (down ? __builtin_sub_overflow(value, delta, &value) : __builtin_add_overflow(value, delta, &value))
        value = (delta < 0) == down ? INT64_MAX : INT64_MIN;
    sum.bytes = (size_t)snprintf(text, sizeof text, "%" PRId64, value);
    return apply(r, VV_OP_SET, o->key, sum, now ? vv_entry_expires(now) : 0);
}

static bool is_owner(const struct vv_entry *now, struct varve_bytes owner)
{
    return now && now->value_bytes == owner.bytes &&
           memcmp(vv_entry_value(now), owner.data, owner.bytes) == 0;
}

static int lock(const struct replay *r, const struct varve_dbkv_operation *o)
{
    const struct vv_entry *now;
    static const struct varve_bytes nothing;

    if (!find(r, o->key, &now))
        return 0;
    if (o->type == VARVE_DBKV_LOCK)
        return now ? 0 : apply(r, VV_OP_LOCK, o->key, o->owner, r->expires_us);
    if (!is_owner(now, o->owner))
        return 0;
    return o->type == VARVE_DBKV_UNLOCK ? apply(r, VV_OP_DELETE, o->key, nothing, 0)
                                        : apply(r, now->type == VV_ENTRY_LOCK ? VV_OP_LOCK : VV_OP_SET,
                                                o->key, o->owner, r->expires_us);
}

static int replay_pairs(const struct replay *r, struct varve_dbkv_operation *o)
{
    static const struct varve_bytes nothing;
    struct varve_dbkv_pair pair;
    int rc = 0;

    while (rc == 0 && (rc = varve_dbkv_next(o, &pair)) == 0)
        rc = o->type == VARVE_DBKV_MSET ? set(r, pair.key, pair.value)
                                        : apply(r, VV_OP_DELETE, pair.key, nothing, 0);
    return rc == VARVE_END ? 0 : rc;
}

static int replay(struct varve_kv *kv, const struct varve_entry *entry, const char **ret_why)
{
    static const struct varve_bytes nothing;
    struct replay r = {.kv = kv, .lsn = entry->lsn, .time_us = entry->time_us};
    struct varve_dbkv_operation o;
    const struct vv_entry *now;

    if (kv->imported && (entry->segment < kv->import_segment ||
                         (entry->segment == kv->import_segment && entry->frame_offset < kv->import_offset)))
        return 0; /* is in the snapshot */
    if (varve_dbkv_get(entry->data, entry->data_bytes, &o) != 0) {
        *ret_why = "it is no operation";
        return VARVE_E_CORRUPT;
    }
    if (o.has_ttl || o.type == VARVE_DBKV_LOCK || o.type == VARVE_DBKV_EXTEND_LOCK) {
        uint64_t time = (int64_t)entry->time < 0 ? 0 : entry->time;
        uint64_t ns = time % 1000000000 + o.ttl_ns, s = time / 1000000000;

        s = o.ttl_s > UINT64_MAX / 2000000 ? UINT64_MAX / 2000000 : s + o.ttl_s;
        r.expires_us = vv_max_u64(s * 1000000 + ns / 1000, 1);
    }
    switch (o.type) {
    case VARVE_DBKV_SET:
        return set(&r, o.key, o.value);
    case VARVE_DBKV_SETNX:
        return find(&r, o.key, &now) && !now ? set(&r, o.key, o.value) : 0;
    case VARVE_DBKV_DELETE:
        return apply(&r, VV_OP_DELETE, o.key, nothing, 0);
    case VARVE_DBKV_INCR:
    case VARVE_DBKV_DECR:
        return add(&r, &o);
    case VARVE_DBKV_MSET:
    case VARVE_DBKV_MDEL:
        return replay_pairs(&r, &o);
    case VARVE_DBKV_LOCK:
    case VARVE_DBKV_UNLOCK:
    case VARVE_DBKV_EXTEND_LOCK:
        return lock(&r, &o);
    }
    return 0;
}

const struct vv_dialect vv_dialect_dbkv = {.format = "dbkv",
                                           .import = vv_dbkv_import,
                                           .suffix = ".snap",
                                           .check = check,
                                           .append = append,
                                           .append_many = append_many,
                                           .replay = replay};
