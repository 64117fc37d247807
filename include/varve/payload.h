/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the payloads of the formats whose payload is not just bytes: documents of `aero`, operations of
 * `dbkv`, entries of `lfwal`, the transactions that the users of `wlog` keep in theirs. The log itself only
 * checks them. (Those of `stra` are writesets: varve/writeset.h.)
 *
 * Every ..._put writes to `out`, `room` bytes of it, and tells in *ret_bytes how many it takes, also when
 * that is more than `room` (VARVE_E_TOO_LARGE; then `out` holds nothing of use, and may be NULL with a room
 * of 0). VARVE_E_INVALID: a field that the format does not allow, and nothing is told. What put accepts, the
 * log and get accept.
 *
 * Every ..._get points into the payload that it was given, allocates nothing, trusts no length, and fails
 * with VARVE_E_CORRUPT, which leaves its output undefined. Texts are UTF-8 and have no NUL at their end.
 *
 * Threads: any.
 */
#ifndef VARVE_PAYLOAD_H
#define VARVE_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "varve/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes somewhere. `data` may be NULL when there are none. */
struct varve_bytes {
    const void *data;
    size_t bytes;
};

/* -- aero -- */

/* The record's type. */
enum varve_aero_type {
    VARVE_AERO_INSERT = 0,
    VARVE_AERO_UPDATE = 1,
    VARVE_AERO_DELETE = 2, /* its document's body is empty */
};

/* All are texts but the body, which is the whole document after the operation. */
struct varve_aero_document {
    struct varve_bytes collection, document, schema, schema_version, body;
};

VARVE_API int varve_aero_put(const struct varve_aero_document *document, void *out, size_t room,
                             size_t *ret_bytes);
VARVE_API int varve_aero_get(const void *payload, size_t bytes, struct varve_aero_document *ret_document);

/* -- lfwal -- */

enum varve_lfwal_type {
    VARVE_LFWAL_INSERT = 0,
    VARVE_LFWAL_UPDATE = 1,
    VARVE_LFWAL_DELETE = 2,
    VARVE_LFWAL_COMMIT = 3,
    VARVE_LFWAL_ABORT = 4,
};

struct varve_lfwal_entry {
    enum varve_lfwal_type type;
    uint64_t tx;
    uint64_t time_s;              /* seconds since 1970 UTC */
    struct varve_bytes key;       /* insert, update, delete: a text, not empty */
    struct varve_bytes value;     /* insert, update: the new one */
    struct varve_bytes old_value; /* update, delete */
};

VARVE_API int varve_lfwal_put(const struct varve_lfwal_entry *entry, void *out, size_t room,
                              size_t *ret_bytes);
VARVE_API int varve_lfwal_get(const void *payload, size_t bytes, struct varve_lfwal_entry *ret_entry);

/* -- dbkv -- */

#define VARVE_DBKV_KEY_MAX     256 /* bytes of a key; 1 at least */
#define VARVE_DBKV_DECIMAL_MAX 64  /* bytes of a decimal's text */
#define VARVE_DBKV_DEPTH_MAX   64  /* lists and maps within each other */

/* The record's type. */
enum varve_dbkv_type {
    VARVE_DBKV_SET = 1,
    VARVE_DBKV_DELETE = 2,
    VARVE_DBKV_INCR = 3,
    VARVE_DBKV_DECR = 4,
    VARVE_DBKV_MSET = 5,
    VARVE_DBKV_MDEL = 6,
    VARVE_DBKV_SETNX = 7,
    VARVE_DBKV_LOCK = 8,
    VARVE_DBKV_UNLOCK = 9,
    VARVE_DBKV_EXTEND_LOCK = 10,
};

struct varve_dbkv_pair {
    struct varve_bytes key;
    struct varve_bytes value; /* encoded: varve_dbkv_value_put; not used for mdel */
};

struct varve_dbkv_operation {
    enum varve_dbkv_type type;
    struct varve_bytes key;    /* all but mset and mdel */
    struct varve_bytes owner;  /* lock, unlock, extend-lock */
    struct varve_bytes value;  /* set, setnx: encoded, see varve_dbkv_value_get */
    int64_t delta;             /* incr, decr */
    int has_ttl;               /* set, setnx, mset: 0 or 1; lock and extend-lock always have one */
    uint64_t ttl_s;            /* seconds */
    uint32_t ttl_ns;           /* and nanoseconds, below 1,000,000,000 */
    uint64_t count;            /* mset, mdel: pairs or keys */
    struct varve_bytes listed; /* get: these, for varve_dbkv_next; put takes them from `pairs` */
    const struct varve_dbkv_pair *pairs;
};

VARVE_API int varve_dbkv_put(const struct varve_dbkv_operation *operation, void *out, size_t room,
                             size_t *ret_bytes);
VARVE_API int varve_dbkv_get(const void *payload, size_t bytes, struct varve_dbkv_operation *ret_operation);

/* Takes the next pair of an mset, or key of an mdel, out of an operation that get has filled. VARVE_END:
 * there is no other. */
VARVE_API int varve_dbkv_next(struct varve_dbkv_operation *operation, struct varve_dbkv_pair *ret_pair);

enum varve_dbkv_kind {
    VARVE_DBKV_INT = 0,
    VARVE_DBKV_FLOAT = 1,
    VARVE_DBKV_DECIMAL = 2,
    VARVE_DBKV_TEXT = 3,
    VARVE_DBKV_BYTES = 4,
    VARVE_DBKV_LIST = 5,
    VARVE_DBKV_MAP = 6,
    VARVE_DBKV_NULL = 7,
};

struct varve_dbkv_value {
    enum varve_dbkv_kind kind;
    int64_t integer;
    double real;
    struct varve_bytes
        bytes;      /* text, bytes, and decimals as text: optional -, digits, optional . and digits */
    uint64_t count; /* list, map: values in it */
    struct varve_bytes
        listed; /* list, map: these, encoded one behind the other; in a map each behind its key */
};

/* Writes a value. The values of a list or a map are encoded already: `count` of them in `listed`. */
VARVE_API int varve_dbkv_value_put(const struct varve_dbkv_value *value, void *out, size_t room,
                                   size_t *ret_bytes);
VARVE_API int varve_dbkv_value_get(const void *encoded, size_t bytes, struct varve_dbkv_value *ret_value);

/* Takes the next value out of a list or map that get has filled, with its key in a map. VARVE_END: there is
 * no other. */
VARVE_API int varve_dbkv_value_next(struct varve_dbkv_value *value, struct varve_bytes *ret_key,
                                    struct varve_bytes *ret_value);

/* -- wlog: the transactions of the program that the format comes from; the log takes any bytes -- */

enum varve_wlog_type {
    VARVE_WLOG_ADD_POSTING = 0,
    VARVE_WLOG_REMOVE_DOCUMENT = 1,
    VARVE_WLOG_STORE_TEXT = 2,
    VARVE_WLOG_DELETE_TEXT = 3,
};

struct varve_wlog_operation {
    enum varve_wlog_type type;
    uint8_t document[16];   /* a 128-bit number, little-endian */
    uint32_t start, length; /* add-posting */
    struct varve_bytes
        floats;              /* add-posting: 32-bit floats, little-endian, unaligned; a multiple of 4 bytes */
    struct varve_bytes text; /* store-text */
};

struct varve_wlog_transaction {
    uint8_t id[16]; /* a 128-bit number, little-endian */
    uint64_t time_us;
    uint32_t count;            /* of operations */
    struct varve_bytes listed; /* get: these, for varve_wlog_next; put takes them from `operations` */
    const struct varve_wlog_operation *operations;
};

VARVE_API int varve_wlog_put(const struct varve_wlog_transaction *transaction, void *out, size_t room,
                             size_t *ret_bytes);
/* Both forms: with the 8 bytes of padding before the operations, which put writes, and without. */
VARVE_API int varve_wlog_get(const void *payload, size_t bytes,
                             struct varve_wlog_transaction *ret_transaction);

/* Takes the next operation out of a transaction that get has filled. VARVE_END: there is no other. */
VARVE_API int varve_wlog_next(struct varve_wlog_transaction *transaction,
                              struct varve_wlog_operation *ret_operation);

#ifdef __cplusplus
}
#endif

#endif
