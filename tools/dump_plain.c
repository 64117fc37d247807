/* SPDX-License-Identifier: Apache-2.0 */
/* dump --operations, of the payloads of other formats. All of a payload is looked at before any of it is
 * shown. */
#include "dump_says.h"
#include <inttypes.h>
#include <stdio.h>

#include "varve/payload.h"
#include "varve/writeset.h"

#ifndef VARVE_HAVE_KV
const char *says_engine(struct says *says, const struct varve_record_info *record)
{
    (void)says;
    (void)record;
    return "this build is without the key-value engine";
}
#endif

static void text(struct says *says, const char *name, struct varve_bytes bytes)
{
    says_bytes(says, name, bytes.data, bytes.bytes);
}

const char *says_aero(struct says *says, const struct varve_record_info *record)
{
    static const char *const names[] = {"insert", "update", "delete"};
    struct varve_aero_document d;

    if (record->type > VARVE_AERO_DELETE || varve_aero_get(record->data, record->data_bytes, &d) != 0)
        return "not a document";
    says_begin(says, names[record->type]);
    text(says, "collection", d.collection);
    text(says, "document", d.document);
    text(says, "schema", d.schema);
    text(says, "schema_version", d.schema_version);
    if (record->type != VARVE_AERO_DELETE)
        text(says, "body", d.body);
    says_end(says);
    return NULL;
}

const char *says_lfwal(struct says *says, const struct varve_record_info *record)
{
    static const char *const names[] = {"insert", "update", "delete", "commit", "abort"};
    struct varve_lfwal_entry e;

    if (varve_lfwal_get(record->data, record->data_bytes, &e) != 0 || e.type > VARVE_LFWAL_ABORT)
        return "not an entry";
    says_begin(says, names[e.type]);
    says_number(says, "tx", e.tx);
    if (e.type <= VARVE_LFWAL_DELETE)
        text(says, "key", e.key);
    if (e.type <= VARVE_LFWAL_UPDATE)
        text(says, "value", e.value);
    if (e.type == VARVE_LFWAL_UPDATE || e.type == VARVE_LFWAL_DELETE)
        text(says, "old_value", e.old_value);
    says_end(says);
    return NULL;
}

/* -- dbkv -- */

static void dbkv_value(struct says *says, struct varve_bytes encoded)
{
    static const char *const kinds[] = {"int", "float", "decimal", "text", "bytes", "list", "map", "null"};
    struct varve_dbkv_value v;
    char number[40];

    if (varve_dbkv_value_get(encoded.data, encoded.bytes, &v) != 0 || v.kind > VARVE_DBKV_NULL) {
        text(says, "value", encoded);
        return;
    }
    says_word(says, "kind", kinds[v.kind]);
    if (v.kind == VARVE_DBKV_INT) {
        says_signed(says, "value", v.integer);
    } else if (v.kind == VARVE_DBKV_FLOAT) {
        snprintf(number, sizeof number, "%.17g", v.real);
        says_word(says, "value", number);
    } else if (v.kind == VARVE_DBKV_LIST || v.kind == VARVE_DBKV_MAP) {
        says_number(says, "count", v.count);
        text(says, "encoded", encoded);
    } else if (v.kind != VARVE_DBKV_NULL) {
        text(says, "value", v.bytes);
    }
}

static void dbkv_ttl(struct says *says, const struct varve_dbkv_operation *o)
{
    char seconds[48];

    snprintf(seconds, sizeof seconds, "%" PRIu64 ".%09" PRIu32 "s", o->ttl_s, o->ttl_ns);
    says_word(says, "ttl", seconds);
}

/* One with several keys is shown as as many operations. */
static void dbkv_listed(struct says *says, struct varve_dbkv_operation *o)
{
    struct varve_dbkv_pair pair;

    while (varve_dbkv_next(o, &pair) == 0) {
        says_begin(says, o->type == VARVE_DBKV_MSET ? "mset" : "mdel");
        text(says, "key", pair.key);
        if (o->type == VARVE_DBKV_MSET)
            dbkv_value(says, pair.value);
        if (o->has_ttl)
            dbkv_ttl(says, o);
        says_end(says);
    }
}

const char *says_dbkv(struct says *says, const struct varve_record_info *record)
{
    static const char *const names[] = {"",     "set",   "delete", "incr",   "decr",       "mset",
                                        "mdel", "setnx", "lock",   "unlock", "extend-lock"};
    struct varve_dbkv_operation o;

    if (varve_dbkv_get(record->data, record->data_bytes, &o) != 0 || o.type < VARVE_DBKV_SET ||
        o.type > VARVE_DBKV_EXTEND_LOCK)
        return "not an operation";
    if (o.type == VARVE_DBKV_MSET || o.type == VARVE_DBKV_MDEL) {
        dbkv_listed(says, &o);
        return NULL;
    }
    says_begin(says, names[o.type]);
    text(says, "key", o.key);
    if (o.type == VARVE_DBKV_SET || o.type == VARVE_DBKV_SETNX)
        dbkv_value(says, o.value);
    if (o.type == VARVE_DBKV_INCR || o.type == VARVE_DBKV_DECR)
        says_signed(says, "delta", o.delta);
    if (o.type >= VARVE_DBKV_LOCK)
        text(says, "owner", o.owner);
    if (o.has_ttl || o.type == VARVE_DBKV_LOCK || o.type == VARVE_DBKV_EXTEND_LOCK)
        dbkv_ttl(says, &o);
    says_end(says);
    return NULL;
}

/* -- wlog -- */

const char *says_wlog(struct says *says, const struct varve_record_info *record)
{
    static const char *const names[] = {"add-posting", "remove-document", "store-text", "delete-text"};
    struct varve_wlog_transaction t, again;
    struct varve_wlog_operation o;
    int rc;

    if (varve_wlog_get(record->data, record->data_bytes, &t) != 0)
        return "not a transaction";
    again = t;
    while ((rc = varve_wlog_next(&again, &o)) == 0 && o.type <= VARVE_WLOG_DELETE_TEXT)
        ;
    if (rc != VARVE_END)
        return "not a transaction";
    while (varve_wlog_next(&t, &o) == 0) {
        says_begin(says, names[o.type]);
        says_hex(says, "transaction", t.id, sizeof t.id);
        says_hex(says, "document", o.document, sizeof o.document);
        if (o.type == VARVE_WLOG_ADD_POSTING) {
            says_number(says, "start", o.start);
            says_number(says, "length", o.length);
            says_number(says, "floats", o.floats.bytes / 4);
        } else if (o.type == VARVE_WLOG_STORE_TEXT) {
            text(says, "text", o.text);
        }
        says_end(says);
    }
    return NULL;
}

/* -- writesets -- */

static void entity(struct says *says, const struct varve_entity *e)
{
    static const char *const kinds[] = {"", "kv", "event", "state", "trace", "run", "json", "vector"};

    says_word(says, "entity", kinds[e->kind]);
    says_hex(says, "run", e->run, sizeof e->run);
    if (e->kind == VARVE_ENTITY_VECTOR)
        text(says, "collection", e->collection);
    if (e->kind == VARVE_ENTITY_EVENT)
        says_number(says, "sequence", e->sequence);
    else if (e->kind == VARVE_ENTITY_JSON)
        says_hex(says, "document", e->document, sizeof e->document);
    else if (e->kind != VARVE_ENTITY_RUN)
        text(says, "name", e->name);
}

const char *says_writeset(struct says *says, const struct varve_record_info *record)
{
    static const char *const names[] = {"", "put", "delete", "append"};
    struct varve_writeset_cursor cursor;
    struct varve_mutation m;
    int rc = varve_writeset_open(&cursor, record->data, record->data_bytes);

    while (rc == 0)
        rc = varve_writeset_next(&cursor, &m);
    if (rc != VARVE_END)
        return "not a writeset";
    rc = varve_writeset_open(&cursor, record->data, record->data_bytes);
    while (rc == 0 && (rc = varve_writeset_next(&cursor, &m)) == 0) {
        says_begin(says, names[m.kind]);
        entity(says, &m.entity);
        if (m.kind != VARVE_MUTATION_DELETE) {
            says_number(says, "version", m.version);
            text(says, "value", m.value);
        }
        says_end(says);
    }
    return NULL;
}
