/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writesets: what a transaction changed, as one payload. A list of mutations (put, delete, append), each with
 * a reference to an entity, and for put and append a version, which is the caller's, and a value, which is
 * any bytes. The payload of the format `stra`; a record of any format may carry one.
 *
 * The same mutations in the same order give the same bytes. Nothing here allocates.
 *
 * Layout, little-endian: u32 count, then for each mutation u8 kind, entity, and for put and append u64
 * version, u32 length, value. An entity: u8 kind, 16 bytes of run id, and by kind u64 sequence, 16 bytes of
 * document id, or one or two strings (u32 length, UTF-8).
 *
 * Threads: any; one at a time for a builder or a cursor.
 */
#ifndef VARVE_WRITESET_H
#define VARVE_WRITESET_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/payload.h"

#ifdef __cplusplus
extern "C" {
#endif

enum varve_entity_kind {
    VARVE_ENTITY_KV = 1,     /* name: the key */
    VARVE_ENTITY_EVENT = 2,  /* sequence */
    VARVE_ENTITY_STATE = 3,  /* name */
    VARVE_ENTITY_TRACE = 4,  /* name: the trace's id */
    VARVE_ENTITY_RUN = 5,    /* the run itself */
    VARVE_ENTITY_JSON = 6,   /* document */
    VARVE_ENTITY_VECTOR = 7, /* collection, and name: the key */
};

/* Names are UTF-8 without a NUL at their end, and may be empty. What a kind does not have is not looked at,
 * and zero when it was read. */
struct varve_entity {
    enum varve_entity_kind kind;
    uint8_t run[16];
    struct varve_bytes name;
    struct varve_bytes collection;
    uint64_t sequence;
    uint8_t document[16];
};

enum varve_mutation_kind {
    VARVE_MUTATION_PUT = 1,
    VARVE_MUTATION_DELETE = 2,
    VARVE_MUTATION_APPEND = 3,
};

struct varve_mutation {
    enum varve_mutation_kind kind;
    struct varve_entity entity;
    uint64_t version;         /* put, append */
    struct varve_bytes value; /* put, append */
};

/* A writeset being written, into the caller's memory. Its fields are its own. */
struct varve_writeset {
    uint8_t *at;
    size_t room, bytes;
    uint32_t count;
    int error;
};

/* An empty one. `memory` is the caller's, at least as long as the writeset is used; NULL with a room of 0 to
 * learn how many bytes it takes. */
VARVE_API void varve_writeset_begin(struct varve_writeset *writeset, void *memory, size_t room);

/* Each adds a mutation behind those before. The first error stays, and is returned by all that follow, but
 * TOO_LARGE goes on counting. Errors: INVALID (a name that is not UTF-8, an unknown kind, a length or count
 * above 4,294,967,295) TOO_LARGE. */
VARVE_API int varve_writeset_put(struct varve_writeset *writeset, const struct varve_entity *entity,
                                 uint64_t version, const void *value, size_t value_bytes);
VARVE_API int varve_writeset_delete(struct varve_writeset *writeset, const struct varve_entity *entity);
VARVE_API int varve_writeset_append(struct varve_writeset *writeset, const struct varve_entity *entity,
                                    uint64_t version, const void *value, size_t value_bytes);

/* *ret_bytes: the length of the payload, which is in `memory` from its first byte; with TOO_LARGE how many
 * bytes it would take. Errors: the first one; INVALID leaves *ret_bytes untouched. */
VARVE_API int varve_writeset_end(const struct varve_writeset *writeset, size_t *ret_bytes);

/* A writeset being read. It points into the payload. Its fields are its own, but for `reason`. */
struct varve_writeset_cursor {
    const uint8_t *at;
    size_t left;
    uint32_t count;     /* of mutations that are still to come */
    const char *reason; /* after CORRUPT: what is wrong, in words; static */
};

/* Stands before the first mutation. Errors: CORRUPT (its count cannot be). */
VARVE_API int varve_writeset_open(struct varve_writeset_cursor *cursor, const void *payload, size_t bytes);

/*
 * The next mutation, whose names and value point into the payload. VARVE_END: there is no other, and nothing
 * is left over. Errors: CORRUPT, which stays: data that ends too early, an unknown kind of mutation or
 * entity, a name that is not UTF-8, bytes left over.
 */
VARVE_API int varve_writeset_next(struct varve_writeset_cursor *cursor, struct varve_mutation *ret_mutation);

#ifdef __cplusplus
}
#endif

#endif
