/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the environment share, and what they call of each other. */
#ifndef VV_KV_ENV_LMDB_H
#define VV_KV_ENV_LMDB_H

#include <lmdb.h>
#include <pthread.h>

#include "kv/env.h"

enum {
    VV_EXPIRY_KEY_BYTES = 16
};

struct vv_env_read {
    struct vv_env_read *next;
    struct vv_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor; /* over entries; NULL: none yet */
    bool cursor_renewed, is_at;
    uint64_t at; /* where the cursor stands */
};

struct vv_env {
    struct vv_env *next; /* [open_lock] */
    MDB_env *env;        /* [changed with the gate closed] */
    MDB_dbi entries, expiry, facts;
    char *path; /* from the root on */
    bool read_only;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct vv_env_read *idle;    /* [lock] */
    unsigned made, active, most; /* [lock] */
    bool is_closed;              /* [lock] the gate */
    unsigned opened;             /* [lock] how often the file was */

    MDB_txn *write; /* [the writer] */
    int why;        /* [the writer] what LMDB said last */
    const char *doing;
};

/* What LMDB says, as a code of ours: VARVE_END where nothing is found, VV_ENV_FULL. */
int vv_env_code(int rc);
int vv_env_say(struct varve_error *ret_error, const char *path, const char *doing, int rc);

/* As LMDB says it. */
int vv_env_open_file(struct vv_env *env, bool create);

/* Nobody comes in until it is opened again; returns when nobody is inside. */
void vv_env_close_gate(struct vv_env *env);
void vv_env_open_gate(struct vv_env *env);
/* With the gate closed. */
void vv_env_drop_readers(struct vv_env *env);

void vv_env_expiry_key(uint64_t expires_us, uint64_t word, uint8_t key[VV_EXPIRY_KEY_BYTES]);

#endif
