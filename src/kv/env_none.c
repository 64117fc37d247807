/* SPDX-License-Identifier: Apache-2.0 */
/* env_none: a build without LMDB. Nothing opens, and so nothing else is called. */
#include <assert.h>

#include "base/error.h"
#include "kv/env.h"

bool vv_env_is_built(void)
{
    return false;
}

int vv_env_open(const char *path, bool read_only, bool create, struct vv_env **ret_env,
                struct varve_error *ret_error)
{
    (void)read_only;
    (void)create;
    (void)ret_env;
    return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                        "%s: the store lmdb wants a build with liblmdb (VARVE_LMDB=ON)", path);
}

void vv_env_close(struct vv_env *env)
{
    assert(!env);
    (void)env;
}

static int never(void)
{
    assert(!"an environment in a build without LMDB");
    return VARVE_E_UNSUPPORTED;
}

void vv_env_size(struct vv_env *env, uint64_t *ret_used, uint64_t *ret_map)
{
    (void)env;
    *ret_used = *ret_map = 0;
    (void)never();
}

int vv_env_read_begin(struct vv_env *env, struct vv_env_read **ret_read)
{
    (void)env;
    (void)ret_read;
    return never();
}

void vv_env_read_end(struct vv_env *env, struct vv_env_read *read)
{
    (void)env;
    (void)read;
    (void)never();
}

int vv_env_get(struct vv_env_read *read, uint64_t word, const uint8_t **ret_run, size_t *ret_bytes)
{
    (void)read;
    (void)word;
    (void)ret_run;
    (void)ret_bytes;
    return never();
}

int vv_env_next(struct vv_env_read *read, uint64_t *word, const uint8_t **ret_run, size_t *ret_bytes)
{
    (void)read;
    (void)word;
    (void)ret_run;
    (void)ret_bytes;
    return never();
}

int vv_env_next_expiry(struct vv_env_read *read, uint64_t *expires_us, uint64_t *word)
{
    (void)read;
    (void)expires_us;
    (void)word;
    return never();
}

int vv_env_facts(struct vv_env_read *read, struct vv_env_facts *ret_facts)
{
    (void)read;
    (void)ret_facts;
    return never();
}

int vv_env_write_begin(struct vv_env *env)
{
    (void)env;
    return never();
}

int vv_env_write_get(struct vv_env *env, uint64_t word, const uint8_t **ret_run, size_t *ret_bytes)
{
    (void)env;
    (void)word;
    (void)ret_run;
    (void)ret_bytes;
    return never();
}

int vv_env_write_put(struct vv_env *env, uint64_t word, size_t bytes, uint8_t **ret_run)
{
    (void)env;
    (void)word;
    (void)bytes;
    (void)ret_run;
    return never();
}

int vv_env_write_remove(struct vv_env *env, uint64_t word)
{
    (void)env;
    (void)word;
    return never();
}

int vv_env_write_expiry(struct vv_env *env, uint64_t expires_us, uint64_t word, bool is_there)
{
    (void)env;
    (void)expires_us;
    (void)word;
    (void)is_there;
    return never();
}

int vv_env_write_commit(struct vv_env *env, const struct vv_env_facts *facts)
{
    (void)env;
    (void)facts;
    return never();
}

void vv_env_write_abort(struct vv_env *env)
{
    (void)env;
    (void)never();
}

int vv_env_grow(struct vv_env *env, uint64_t more)
{
    (void)env;
    (void)more;
    return never();
}

int vv_env_mend(struct vv_env *env)
{
    (void)env;
    return never();
}

int vv_env_why(struct vv_env *env, struct varve_error *ret_error)
{
    (void)env;
    (void)ret_error;
    return never();
}
