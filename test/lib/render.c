/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/render.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "varve/payload.h"
#include "varve/writeset.h"

struct text {
    char *at;
    size_t room;
};

static void VARVE_PRINTF(2, 3) say(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at, t->room, fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < t->room);
    t->at += n;
    t->room -= (size_t)n;
}

/* Texts of the samples have nothing in them that JSON would escape. */
static void say_text(struct text *t, const char *name, struct varve_bytes text)
{
    say(t, ",\"%s\":\"%.*s\"", name, (int)text.bytes, (const char *)text.data);
}

static void say_hex(struct text *t, const char *name, const uint8_t *bytes, size_t n)
{
    say(t, ",\"%s\":\"", name);
    for (size_t i = 0; i < n; i++)
        say(t, "%02x", bytes[i]);
    say(t, "\"");
}

static void say_sum(struct text *t, const char *name, struct varve_bytes bytes)
{
    say(t, ",\"%s_len\":%zu,\"%s_crc32\":\"%08x\"", name, bytes.bytes, name,
        vv_crc32(0, bytes.data, bytes.bytes));
}

static void say_head(struct text *t, const struct test_place *place, const char *type)
{
    say(t, "{\"index\":%u,\"type\":\"%s\"", place->index, type);
}

/* -- stra -- */

static void say_mutation(struct text *t, const struct varve_mutation *m, unsigned index)
{
    static const char *const ops[] = {"", "put", "delete", "append"};
    static const char *const kinds[] = {"", "kv", "event", "state", "trace", "run", "json", "vector"};
    const struct varve_entity *e = &m->entity;

    say(t, "%s{\"op\":\"%s\",\"kind\":\"%s\"", index > 0 ? "," : "", ops[m->kind], kinds[e->kind]);
    say_hex(t, "run", e->run, sizeof e->run);
    switch (e->kind) {
    case VARVE_ENTITY_KV:
        say_text(t, "key", e->name);
        break;
    case VARVE_ENTITY_EVENT:
        say(t, ",\"sequence\":%" PRIu64, e->sequence);
        break;
    case VARVE_ENTITY_STATE:
        say_text(t, "name", e->name);
        break;
    case VARVE_ENTITY_TRACE:
        say_text(t, "trace_id", e->name);
        break;
    case VARVE_ENTITY_RUN:
        break;
    case VARVE_ENTITY_JSON:
        say_hex(t, "doc_id", e->document, sizeof e->document);
        break;
    case VARVE_ENTITY_VECTOR:
        say_text(t, "collection", e->collection);
        say_text(t, "key", e->name);
        break;
    }
    if (m->kind != VARVE_MUTATION_DELETE) {
        say(t, ",\"version\":%" PRIu64, m->version);
        say_sum(t, "value", m->value);
    }
    say(t, "}");
}

static void say_writeset(struct text *t, struct varve_bytes payload)
{
    struct text before = *t;
    struct varve_writeset_cursor cursor;
    struct varve_mutation m;
    unsigned count = 0;
    int rc = varve_writeset_open(&cursor, payload.data, payload.bytes);

    say(t, ",\"mutations\":[");
    while (rc == 0) {
        rc = varve_writeset_next(&cursor, &m);
        if (rc == 0)
            say_mutation(t, &m, count++);
    }
    say(t, "]");
    if (rc != VARVE_END) {
        *t = before;
        say(t, ",\"mutations\":null");
    }
}

/* -- dbkv -- */

static void say_value(struct text *t, struct varve_bytes encoded)
{
    static const char *const kinds[] = {"int", "float", "decimal", "string", "bytes", "list", "map", "null"};
    struct varve_dbkv_value v;
    uint64_t bits;
    int rc = varve_dbkv_value_get(encoded.data, encoded.bytes, &v);

    assert(rc == 0);
    say(t, ",\"vtype\":\"%s\"", kinds[v.kind]);
    if (v.kind == VARVE_DBKV_INT)
        say(t, ",\"int\":%" PRId64, v.integer);
    if (v.kind == VARVE_DBKV_FLOAT) {
        memcpy(&bits, &v.real, sizeof bits);
        say(t, ",\"f64_bits\":\"%016" PRIx64 "\"", bits);
    }
    if (v.kind == VARVE_DBKV_DECIMAL)
        say_text(t, "decimal", v.bytes);
    if (v.kind == VARVE_DBKV_TEXT || v.kind == VARVE_DBKV_BYTES)
        say_sum(t, "value", v.bytes);
    if (v.kind == VARVE_DBKV_LIST || v.kind == VARVE_DBKV_MAP)
        say(t, ",\"count\":%" PRIu64, v.count);
    say_sum(t, "encoded", encoded);
}

static void say_ttl(struct text *t, const struct varve_dbkv_operation *o)
{
    if (o->has_ttl)
        say(t, ",\"ttl\":[%" PRIu64 ",%u]", o->ttl_s, o->ttl_ns);
    else
        say(t, ",\"ttl\":null");
}

static void say_list(struct text *t, struct varve_dbkv_operation *o)
{
    struct varve_dbkv_pair pair;

    say(t, o->type == VARVE_DBKV_MSET ? ",\"pairs\":[" : ",\"keys\":[");
    for (unsigned i = 0; varve_dbkv_next(o, &pair) == 0; i++) {
        say(t, i > 0 ? "," : "");
        if (o->type == VARVE_DBKV_MDEL) {
            say(t, "\"%.*s\"", (int)pair.key.bytes, (const char *)pair.key.data);
            continue;
        }
        say(t, "{\"key\":\"%.*s\"", (int)pair.key.bytes, (const char *)pair.key.data);
        say_value(t, pair.value);
        say(t, "}");
    }
    say(t, "]");
}

static void say_operation(struct text *t, struct varve_bytes payload)
{
    struct varve_dbkv_operation o;
    int rc = varve_dbkv_get(payload.data, payload.bytes, &o);

    assert(rc == 0);
    if (o.type == VARVE_DBKV_MSET || o.type == VARVE_DBKV_MDEL)
        say_list(t, &o);
    else
        say_text(t, "key", o.key);
    if (o.type == VARVE_DBKV_SET || o.type == VARVE_DBKV_SETNX)
        say_value(t, o.value);
    if (o.type == VARVE_DBKV_INCR || o.type == VARVE_DBKV_DECR)
        say(t, ",\"delta\":%" PRId64, o.delta);
    if (o.type == VARVE_DBKV_LOCK || o.type == VARVE_DBKV_UNLOCK || o.type == VARVE_DBKV_EXTEND_LOCK)
        say_text(t, "owner", o.owner);
    if (o.type != VARVE_DBKV_DELETE && o.type != VARVE_DBKV_INCR && o.type != VARVE_DBKV_DECR &&
        o.type != VARVE_DBKV_MDEL && o.type != VARVE_DBKV_UNLOCK)
        say_ttl(t, &o);
}

/* -- aero, lfwal -- */

static void say_document(struct text *t, struct varve_bytes payload)
{
    struct varve_aero_document d;
    int rc = varve_aero_get(payload.data, payload.bytes, &d);

    assert(rc == 0);
    say_text(t, "collection_id", d.collection);
    say_text(t, "document_id", d.document);
    say_text(t, "schema_id", d.schema);
    say_text(t, "schema_version", d.schema_version);
    say_sum(t, "body", d.body);
}

static void say_lfwal(struct text *t, struct varve_bytes payload)
{
    struct varve_lfwal_entry e;
    int rc = varve_lfwal_get(payload.data, payload.bytes, &e);

    assert(rc == 0);
    if (e.type > VARVE_LFWAL_DELETE)
        return;
    say_text(t, "key", e.key);
    if (e.type != VARVE_LFWAL_INSERT)
        say_sum(t, "old", e.old_value);
    if (e.type != VARVE_LFWAL_DELETE)
        say_sum(t, "value", e.value);
}

/* What stands between the type and the payload's length. */
static void say_fields(struct text *t, const struct varve_format *format, const struct test_place *place,
                       const struct varve_format_entry *e, struct varve_bytes payload)
{
    static const char *const aero[] = {"insert", "update", "delete"};
    static const char *const lfwal[] = {"insert", "update", "delete", "commit", "abort"};
    static const char *const dbkv[] = {"",     "set",   "delete", "incr",   "decr",       "mset",
                                       "mdel", "setnx", "lock",   "unlock", "extend_lock"};
    struct varve_wlog_transaction transaction;

    if (strcmp(format->name, "stra") == 0) {
        say_head(t, place, "txn");
        say(t, ",\"txn_id\":%" PRIu64, e->txn_id);
        say_hex(t, "run_id", e->origin, sizeof e->origin);
        say(t, ",\"timestamp\":%" PRIu64, e->time);
    } else if (strcmp(format->name, "wlog") == 0) {
        say_head(t, place, varve_wlog_get(payload.data, payload.bytes, &transaction) == 0 ? "txn" : "raw");
    } else if (strcmp(format->name, "aero") == 0) {
        say_head(t, place, aero[e->type]);
        say(t, ",\"seq\":%" PRIu64, e->lsn);
    } else if (strcmp(format->name, "dbkv") == 0) {
        say_head(t, place, dbkv[e->type]);
        say(t, ",\"op_type\":%u,\"timestamp\":%" PRIu64, e->type, e->time);
    } else {
        say_head(t, place, lfwal[e->type]);
        say(t, ",\"tx_id\":%" PRIu64 ",\"timestamp\":%" PRIu64, e->txn_id, e->time);
    }
}

void test_render_record(const struct varve_format *format, const struct test_place *place,
                        const struct varve_format_entry *entry, const void *payload, char *out, size_t room)
{
    struct varve_bytes bytes = {payload, (size_t)entry->payload_bytes};
    struct text t = {out, room};

    say_fields(&t, format, place, entry, bytes);
    say_sum(&t, "payload", bytes);
    if (strcmp(format->name, "stra") == 0 || strcmp(format->name, "wlog") == 0)
        say(&t, ",\"segment\":%" PRIu64, place->number);
    if (strcmp(format->name, "dbkv") == 0)
        say(&t, ",\"file\":\"%s\"", place->file);
    say(&t, ",\"offset\":%" PRIu64 ",\"record_len\":%" PRIu64, place->offset, entry->bytes);
    if (strcmp(format->name, "stra") == 0)
        say_writeset(&t, bytes);
    if (strcmp(format->name, "aero") == 0)
        say_document(&t, bytes);
    if (strcmp(format->name, "dbkv") == 0)
        say_operation(&t, bytes);
    if (strcmp(format->name, "lfwal") == 0)
        say_lfwal(&t, bytes);
    say(&t, "}");
}
