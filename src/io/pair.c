/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair: directories and names. A name that AWAY has is there, every other one at HOME.
 *
 * Ways to fail: as the table below fails on the side that a name is on; -ETIMEDOUT where a call was left
 * behind; -ENODEV for what would change HOME after that was given up.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/pair_impl.h"

static struct vv_pair *pair_of(struct varve_io *io)
{
    return (struct vv_pair *)(void *)io;
}

static struct vv_pair_dir *dir_of(struct varve_dir *dir)
{
    return (struct vv_pair_dir *)(void *)dir;
}

/* -- calls -- */

int vv_pair_call(enum vv_call_op op, const char *name, struct vv_call *ret_call)
{
    size_t len = strlen(name);

    memset(ret_call, 0, sizeof *ret_call);
    ret_call->op = op;
    if (len >= sizeof ret_call->name)
        return -ENAMETOOLONG;
    memcpy(ret_call->name, name, len + 1);
    return 0;
}

/* What only looks is made also where HOME was given up: it may well be readable. */
static bool looks(const struct vv_call *call)
{
    return call->op == VV_CALL_DIR_LIST || call->op == VV_CALL_STAT_NAME || call->op == VV_CALL_STAT ||
           call->op == VV_CALL_SPACE;
}

/* On AWAY only while there is still HOME: else there is nowhere to go, and a call takes as long as it takes.
 */
long vv_pair_ask(struct vv_pair *p, enum vv_half side, struct vv_call *call)
{
    struct vv_patience *patience = p->patience[side];
    bool barred = side == VV_HOME && !call->forced && !looks(call);
    long rc;

    if (barred && atomic_load(&p->gone))
        return -ENODEV;
    if (!patience || (side == VV_AWAY && atomic_load(&p->side) == VV_AWAY))
        return vv_call_run(p->below, call);
    rc = vv_patience_do(patience, call);
    /* Given up while the call was under way: what it came to does not count for what is known of HOME. */
    return barred && rc < 0 && atomic_load(&p->gone) ? -ENODEV : rc;
}

static int ask_name(struct vv_pair *p, enum vv_half side, enum vv_call_op op, const char *name, bool forced)
{
    struct vv_call call;
    int rc = vv_pair_call(op, name, &call);

    if (rc != 0)
        return rc;
    call.dir = p->dirs[side];
    call.forced = forced;
    return (int)vv_pair_ask(p, side, &call);
}

/* -- names of AWAY -- */

static char *find_name(const struct vv_call_names *n, const char *name)
{
    for (size_t at = 0; at < n->used; at += strlen(n->text + at) + 1) {
        if (strcmp(n->text + at, name) == 0)
            return n->text + at;
    }
    return NULL;
}

/* Room is made ahead where names are learnt; where there is none all the same, the name is asked for on disk
 * as before. */
void vv_pair_remember(struct vv_pair *p, const char *name)
{
    struct vv_call_names *n = &p->names;
    size_t len = strlen(name) + 1;

    if (!p->learnt)
        return;
    pthread_mutex_lock(&p->lock);
    if (!find_name(n, name) && n->used + len > n->room) {
        char *text = vv_realloc(n->text, n->room * 2 + len + 1024);

        if (text) {
            n->text = text;
            n->room = n->room * 2 + len + 1024;
        } else {
            p->learnt = false;
        }
    }
    if (p->learnt && !find_name(n, name)) {
        memcpy(n->text + n->used, name, len);
        n->used += len;
    }
    pthread_mutex_unlock(&p->lock);
}

void vv_pair_forget(struct vv_pair *p, const char *name)
{
    struct vv_call_names *n = &p->names;
    size_t len = strlen(name) + 1;
    char *at;

    pthread_mutex_lock(&p->lock);
    at = p->learnt ? find_name(n, name) : NULL;
    if (at) {
        memmove(at, at + len, n->used - (size_t)(at + len - n->text));
        n->used -= len;
    }
    pthread_mutex_unlock(&p->lock);
}

int vv_pair_is_away(struct vv_pair *p, const char *name)
{
    bool known;
    int rc;

    if (strcmp(name, VV_PAIR_LOCK) == 0 || p->hides(name))
        return 0;
    pthread_mutex_lock(&p->lock);
    known = p->learnt;
    rc = known && find_name(&p->names, name) ? 1 : 0;
    pthread_mutex_unlock(&p->lock);
    if (known)
        return rc;
    rc = ask_name(p, VV_AWAY, VV_CALL_STAT_NAME, name, false);
    return rc == 0 ? 1 : rc == -ENOENT ? 0 : rc;
}

void vv_pair_changed(struct vv_pair *p, enum vv_half side)
{
    atomic_fetch_add(&p->changes[side], 1);
}

/* -- one side -- */

int vv_pair_open_on(struct vv_pair *p, enum vv_half side, const char *name, unsigned flags,
                    struct varve_file **ret_file)
{
    return vv_pair_open_file(p, side, NULL, name, flags, false, ret_file);
}

int vv_pair_unlink_on(struct vv_pair *p, enum vv_half side, const char *name)
{
    int rc = ask_name(p, side, VV_CALL_UNLINK, name, false);

    vv_pair_changed(p, side);
    if (side == VV_AWAY && (rc == 0 || rc == -ENOENT))
        vv_pair_forget(p, name);
    return rc;
}

static int rename_on(struct vv_pair *p, enum vv_half side, const char *from, const char *to, int replace)
{
    struct vv_call call;
    int rc = vv_pair_call(VV_CALL_RENAME, from, &call);

    if (rc == 0 && strlen(to) >= sizeof call.other)
        rc = -ENAMETOOLONG;
    if (rc != 0)
        return rc;
    memcpy(call.other, to, strlen(to) + 1);
    call.dir = p->dirs[side];
    call.flag = replace;
    /* Known before it is there: it may be there whatever the call says. */
    if (side == VV_AWAY)
        vv_pair_remember(p, to);
    rc = (int)vv_pair_ask(p, side, &call);
    vv_pair_changed(p, side);
    if (side == VV_AWAY && rc == 0)
        vv_pair_forget(p, from);
    return rc;
}

int vv_pair_rename_on(struct vv_pair *p, enum vv_half side, const char *from, const char *to)
{
    return rename_on(p, side, from, to, 1);
}

/* Nothing is done where a sync that has returned covers every change of names; one that is under way does
 * not. */
int vv_pair_sync_on(struct vv_pair *p, enum vv_half side)
{
    uint64_t wanted = atomic_load(&p->changes[side]), before = atomic_load(&p->synced[side]);
    int rc;

    if (before >= wanted)
        return 0;
    rc = ask_name(p, side, VV_CALL_DIR_SYNC, "", false);
    while (rc == 0 && before < wanted && !atomic_compare_exchange_weak(&p->synced[side], &before, wanted))
        ;
    return rc;
}

int vv_pair_list_on(struct vv_pair *p, enum vv_half side, varve_io_name_fn fn, void *arg)
{
    struct vv_call call;
    int rc = vv_pair_call(VV_CALL_DIR_LIST, "", &call);

    call.dir = p->dirs[side];
    if (rc == 0)
        rc = (int)vv_pair_ask(p, side, &call);
    for (size_t at = 0; rc == 0 && at < call.names.used; at += strlen(call.names.text + at) + 1)
        rc = fn(arg, call.names.text + at);
    vv_call_drop(p->below, &call);
    return rc;
}

/* -- the table -- */

static int pair_dir_open(struct varve_io *io, struct varve_dir *parent, const char *path, int create,
                         struct varve_dir **ret_dir, int *ret_created)
{
    struct vv_pair *p = pair_of(io);
    struct vv_pair_dir *dir = vv_alloc_zero(sizeof *dir);
    struct varve_dir *above = NULL;
    int rc;

    if (!dir)
        return -ENOMEM;
    if (parent)
        above = dir_of(parent)->below ? dir_of(parent)->below : p->dirs[VV_HOME];
    rc = p->below->dir_open(p->below, above, path, create, &dir->below, ret_created);
    if (rc != 0) {
        vv_free(dir);
        return rc;
    }
    *ret_dir = (struct varve_dir *)(void *)dir;
    return 0;
}

static void pair_dir_close(struct varve_io *io, struct varve_dir *dir)
{
    struct vv_pair *p = pair_of(io);

    if (!dir)
        return;
    if (dir_of(dir)->below) {
        p->below->dir_close(p->below, dir_of(dir)->below);
        vv_free(dir_of(dir));
        return;
    }
    vv_pair_unguard(p, atomic_load(&p->forked));
    p->below->dir_close(p->below, p->dirs[VV_HOME]);
    p->below->dir_close(p->below, p->dirs[VV_AWAY]);
    pthread_mutex_destroy(&p->lock);
    vv_free(p->names.text);
    vv_free(p);
}

struct listing {
    struct vv_pair *pair;
    varve_io_name_fn fn;
    void *arg;
    struct vv_call_names away;
};

static int keep_away(void *arg, const char *name)
{
    struct listing *l = arg;
    size_t len = strlen(name) + 1;
    char *text;

    if (strcmp(name, VV_PAIR_LOCK) == 0 || l->pair->hides(name))
        return 0;
    text = vv_realloc(l->away.text, l->away.used + len);
    if (!text)
        return -ENOMEM;
    memcpy(text + l->away.used, name, len);
    l->away.text = text;
    l->away.used += len;
    return 0;
}

static int give_home(void *arg, const char *name)
{
    struct listing *l = arg;

    return find_name(&l->away, name) ? 0 : l->fn(l->arg, name);
}

static int pair_dir_list(struct varve_io *io, struct varve_dir *dir, varve_io_name_fn fn, void *arg)
{
    struct vv_pair *p = pair_of(io);
    struct listing l = {.pair = p, .fn = fn, .arg = arg};
    int rc = 0;

    if (dir_of(dir)->below)
        return p->below->dir_list(p->below, dir_of(dir)->below, fn, arg);
    pthread_mutex_lock(&p->lock);
    for (size_t at = 0; rc == 0 && p->learnt && at < p->names.used; at += strlen(p->names.text + at) + 1)
        rc = keep_away(&l, p->names.text + at);
    pthread_mutex_unlock(&p->lock);
    if (rc == 0 && !p->learnt)
        rc = vv_pair_list_on(p, VV_AWAY, keep_away, &l);
    for (size_t at = 0; rc == 0 && at < l.away.used; at += strlen(l.away.text + at) + 1)
        rc = fn(arg, l.away.text + at);
    if (rc == 0)
        rc = vv_pair_list_on(p, VV_HOME, give_home, &l);
    vv_free(l.away.text);
    return rc;
}

static int pair_dir_sync(struct varve_io *io, struct varve_dir *dir)
{
    struct vv_pair *p = pair_of(io);
    int rc;

    if (dir_of(dir)->below)
        return p->below->dir_sync(p->below, dir_of(dir)->below);
    if (vv_pair_side(p) == VV_AWAY)
        return vv_pair_sync_on(p, VV_AWAY);
    rc = vv_pair_sync_on(p, VV_HOME);
    /* What was removed there may come back after a crash, and is nobody's then: it must not keep HOME from
     * going on that AWAY does not do well. */
    if (rc == 0 && vv_pair_hung(p, VV_AWAY) == 0)
        (void)vv_pair_sync_on(p, VV_AWAY);
    return rc;
}

static int pair_dir_sync_parent(struct varve_io *io, struct varve_dir *dir)
{
    struct vv_pair *p = pair_of(io);

    if (dir_of(dir)->below)
        return p->below->dir_sync_parent(p->below, dir_of(dir)->below);
    return ask_name(p, VV_HOME, VV_CALL_DIR_SYNC_PARENT, "", false);
}

static int pair_rename(struct varve_io *io, struct varve_dir *dir, const char *from, const char *to,
                       int replace)
{
    struct vv_pair *p = pair_of(io);
    int away;

    if (dir_of(dir)->below)
        return p->below->rename(p->below, dir_of(dir)->below, from, to, replace);
    away = vv_pair_is_away(p, from);
    return away < 0 ? away : rename_on(p, away ? VV_AWAY : VV_HOME, from, to, replace);
}

/* Where both have it both lose it: what AWAY covered must not come to light. What is at HOME when that was
 * given up is as good as gone: a later open removes it. */
static int pair_unlink(struct varve_io *io, struct varve_dir *dir, const char *name)
{
    struct vv_pair *p = pair_of(io);
    int away, rc;

    if (dir_of(dir)->below)
        return p->below->unlink(p->below, dir_of(dir)->below, name);
    away = vv_pair_is_away(p, name);
    if (away < 0)
        return away;
    rc = atomic_load(&p->gone) ? -ENOENT : vv_pair_unlink_on(p, VV_HOME, name);
    if (away && (rc == 0 || rc == -ENOENT))
        rc = vv_pair_unlink_on(p, VV_AWAY, name);
    return rc;
}

static int pair_stat_name(struct varve_io *io, struct varve_dir *dir, const char *name,
                          struct varve_io_stat *ret_stat)
{
    struct vv_pair *p = pair_of(io);
    struct vv_call call;
    int away, rc;

    if (dir_of(dir)->below)
        return p->below->stat_name(p->below, dir_of(dir)->below, name, ret_stat);
    away = vv_pair_is_away(p, name);
    if (away < 0)
        return away;
    rc = vv_pair_call(VV_CALL_STAT_NAME, name, &call);
    call.dir = p->dirs[away ? VV_AWAY : VV_HOME];
    if (rc == 0)
        rc = (int)vv_pair_ask(p, away ? VV_AWAY : VV_HOME, &call);
    if (rc == 0)
        *ret_stat = call.ret_stat;
    return rc;
}

static int pair_space(struct varve_io *io, struct varve_dir *dir, uint64_t *ret_free_bytes)
{
    struct vv_pair *p = pair_of(io);
    enum vv_half side = vv_pair_side(p);
    struct vv_call call;
    int rc;

    if (dir_of(dir)->below)
        return p->below->space(p->below, dir_of(dir)->below, ret_free_bytes);
    rc = vv_pair_call(VV_CALL_SPACE, "", &call);
    call.dir = p->dirs[side];
    if (rc == 0)
        rc = (int)vv_pair_ask(p, side, &call);
    if (rc == 0)
        *ret_free_bytes = call.ret_bytes;
    return rc;
}

static int pair_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                     struct varve_file **ret_file)
{
    struct vv_pair *p = pair_of(io);
    int away, rc;

    if (dir_of(dir)->below)
        return vv_pair_open_file(p, VV_HOME, dir_of(dir)->below, name, flags, false, ret_file);
    if ((flags & VARVE_IO_CREATE) && strcmp(name, VV_PAIR_LOCK) != 0)
        return vv_pair_open_on(p, vv_pair_side(p), name, flags, ret_file);
    away = vv_pair_is_away(p, name);
    if (away < 0)
        return away;
    rc = vv_pair_open_on(p, away ? VV_AWAY : VV_HOME, name, flags, ret_file);
    /* It may have gone home just now. */
    return rc == -ENOENT && away && !p->learnt ? vv_pair_open_on(p, VV_HOME, name, flags, ret_file) : rc;
}

static uint64_t pair_realtime_us(struct varve_io *io)
{
    return pair_of(io)->below->realtime_us(pair_of(io)->below);
}

static uint64_t pair_monotonic_us(struct varve_io *io)
{
    return pair_of(io)->below->monotonic_us(pair_of(io)->below);
}

static uint64_t pair_monotonic_coarse_us(struct varve_io *io)
{
    return pair_of(io)->below->monotonic_coarse_us(pair_of(io)->below);
}

static int pair_random(struct varve_io *io, void *buf, size_t len)
{
    return pair_of(io)->below->random(pair_of(io)->below, buf, len);
}

int vv_pair_open(struct varve_io *below, struct varve_dir *home, struct varve_dir *away,
                 vv_pair_hides_fn hides, struct vv_pair **ret_pair)
{
    struct vv_pair *p = vv_alloc_zero(sizeof *p);

    if (!p)
        return -ENOMEM;
    p->io = (struct varve_io){
        .size = sizeof p->io,
        .dir_open = pair_dir_open,
        .dir_close = pair_dir_close,
        .dir_list = pair_dir_list,
        .dir_sync = pair_dir_sync,
        .dir_sync_parent = pair_dir_sync_parent,
        .rename = pair_rename,
        .unlink = pair_unlink,
        .stat_name = pair_stat_name,
        .space = pair_space,
        .open = pair_open,
        .realtime_us = pair_realtime_us,
        .monotonic_us = pair_monotonic_us,
        .random = pair_random,
    };
    vv_pair_file_table(&p->io);
    if (below->size > offsetof(struct varve_io, monotonic_coarse_us) && below->monotonic_coarse_us)
        p->io.monotonic_coarse_us = pair_monotonic_coarse_us;
    p->below = below;
    p->dirs[VV_HOME] = home;
    p->dirs[VV_AWAY] = away;
    p->hides = hides;
    /* A process that was killed may have left names that are not durable. */
    atomic_store(&p->changes[VV_HOME], 1);
    atomic_store(&p->changes[VV_AWAY], 1);
    pthread_mutex_init(&p->lock, NULL);
    *ret_pair = p;
    return 0;
}

struct varve_io *vv_pair_io(struct vv_pair *p)
{
    return &p->io;
}

struct varve_dir *vv_pair_dir(struct vv_pair *p)
{
    return (struct varve_dir *)(void *)&p->dir;
}

struct varve_io *vv_pair_below(struct vv_pair *p)
{
    return p->below;
}

struct varve_dir *vv_pair_side_dir(struct vv_pair *p, enum vv_half side)
{
    return p->dirs[side];
}

void vv_pair_away_buffered(struct vv_pair *p)
{
    p->away_buffered = true;
}

enum vv_half vv_pair_side(struct vv_pair *p)
{
    return (enum vv_half)atomic_load(&p->side);
}
