/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls did to a store, by their LSNs, and what a store must hold that has them up to one of these.
 *
 * Threads: any at once while calls are noted; one while it is judged.
 */
#ifndef TEST_STORE_MODEL_H
#define TEST_STORE_MODEL_H

#include <pthread.h>
#include <stdbool.h>

#include "crash/trace.h"
#include "varve/stream.h"

enum {
    MODEL_KEYS = 40
};

enum model_kind {
    MODEL_SET,
    MODEL_DELETE,
    MODEL_APPEND,
    MODEL_ADD,
    MODEL_LOCK,
    MODEL_EVENT,
    MODEL_TRIM,
};

/* One key of one call; those of a transaction have one LSN. */
struct model_call {
    uint64_t lsn;
    unsigned key;
    enum model_kind kind;
    uint64_t number; /* what its value is made of; ADD: the delta; TRIM: the position */
    size_t bytes;
};

struct model {
    struct crash_trace *trace;
    pthread_mutex_t lock;
    struct model_call *calls; /* [lock] */
    size_t count, room;
    struct model_ack {
        uint64_t at, lsn;
    } * acks; /* [lock] */
    size_t ack_count, ack_room;
};

/* Ways in which the model may be wrong, to show that it is seen. */
enum model_tooth {
    MODEL_TOOTH_NONE,
    MODEL_TOOTH_LOSES,  /* the last call is forgotten */
    MODEL_TOOTH_TWICE,  /* an append, of bytes or of an event, happens twice */
    MODEL_TOOTH_HALVES, /* the last key of a transaction is forgotten */
    MODEL_TOOTH_ACKS,   /* what never was is taken for acknowledged */
    MODEL_TOOTH_COUNT,
};

void model_init(struct model *model, struct crash_trace *trace);
void model_close(struct model *model);
void model_note(struct model *model, const struct model_call *calls, size_t count);
void model_ack(struct model *model, uint64_t lsn);

size_t model_key(unsigned key, char name[16]);
void model_value(uint64_t number, void *value, size_t bytes);

/* Sorts the calls; before the first judgement. */
void model_seal(struct model *model);
/* Holds a store against the model as of `last_lsn`. */
bool model_judge(struct model *model, struct varve_kv *kv, uint64_t last_lsn, uint64_t moment,
                 enum model_tooth tooth, char *ret_why, size_t room);

#endif
