/* SPDX-License-Identifier: Apache-2.0 */
/* fold_list: an environment as the one snapshot that its directory has, looked at or read to its end. */
#include "base/error.h"
#include "kv/snapshot.h"
#include "kv/store.h"

static int check_run(uint64_t word, const uint8_t *run, size_t bytes, uint64_t *count)
{
    const uint8_t *at = run;
    struct vv_stored s;
    int rc;

    while ((rc = vv_stored_next(word, &at, run + bytes, &s)) == 0)
        ++*count;
    return rc == VARVE_END ? 0 : rc;
}

/* Every entry, and whether there are as many as the facts say. */
static int check_all(struct varve_kv *kv, struct varve_error *ret_error)
{
    struct vv_env_read *read;
    uint64_t word = 0, count = 0;
    const uint8_t *run;
    size_t bytes;
    int rc = vv_env_read_begin(kv->env, &read);

    if (rc)
        return vv_error_set(ret_error, rc, 0, "the environment %s/%s", kv->path, VV_ENV_DIR);
    while ((rc = vv_env_next(read, &word, &run, &bytes)) == 0) {
        rc = check_run(word, run, bytes, &count);
        if (rc)
            break;
        word++; /* the last word of all is no key's */
    }
    vv_env_read_end(kv->env, read);
    if (rc != VARVE_END)
        return vv_error_set(ret_error, rc, 0,
                            "the environment %s/%s: what stands under word %llx is no entry of it", kv->path,
                            VV_ENV_DIR, (unsigned long long)word);
    if (count != kv->env_facts.entries)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                            "the environment %s/%s has %llu entries, and says that there are %llu", kv->path,
                            VV_ENV_DIR, (unsigned long long)count, (unsigned long long)kv->env_facts.entries);
    return 0;
}

int vv_fold_list(struct varve_kv *kv, bool verify, varve_kv_snapshot_fn fn, void *arg, bool *ret_is_there,
                 struct varve_error *ret_error)
{
    struct varve_kv_snapshot_info info = {.size = sizeof info, .message = ""};
    struct varve_error why = {.code = 0};
    uint64_t map;
    int rc = vv_fold_open(kv, VARVE_KV_STORE_DEFAULT, ret_error);

    *ret_is_there = kv->env != NULL;
    if (rc || !kv->env)
        return rc;
    if (verify)
        info.code = check_all(kv, &why);
    if (info.code)
        info.message = why.message;
    info.lsn = kv->env_facts.lsn;
    info.end_lsn = kv->env_facts.end_lsn;
    info.created_us = kv->env_facts.created_us;
    info.entries = kv->env_facts.entries;
    vv_env_size(kv->env, &info.bytes, &map);
    return fn(arg, &info);
}
