/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fold: what is in memory, into the environment under it.
 *
 * In: memory, while writes go on. Out: an environment that holds every record up to an LSN, and of those
 * behind it some: entries that were met late. Replay from that LSN on makes it whole, as with a snapshot
 * (replay.c says why).
 *
 * In this order: the entries; a wait until the log is durable up to the newest of them; the commit, which
 * makes them durable together with the LSN; then what stands in memory as it was folded leaves it; then the
 * pin in the log moves, and the log is trimmed. A failure or a crash before the commit's end leaves the
 * environment as it was, and everything in memory and in the log.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "base/error.h"
#include "kv/snapshot.h"
#include "kv/store.h"

enum {
    BUCKETS_AT_ONCE = 16,     /* while a shard is locked */
    RETRY_US = 1000000,       /* after a fold that failed */
    GROW_AROUND = 64 * 16384, /* bytes that a commit needs besides the entries */
};

struct fold {
    struct varve_kv *kv;
    struct vv_env_facts facts; /* as they will be */
    struct vv_page page;
    uint8_t *others; /* of a run that is shared: those that stay */
    size_t others_room;
};

/* -- an entry into its run -- */

/* What a run looks like without the entry's key. */
struct others {
    size_t bytes;
    bool had, same_expiry; /* the key was there; another expires at the moment that it had */
    uint64_t version, expires_us;
};

static int look_at_run(struct fold *f, uint64_t word, const uint8_t *run, size_t bytes,
                       const struct vv_entry *e, struct others *ret)
{
    const uint8_t *end = run + bytes;
    struct vv_stored s;
    int rc;

    *ret = (struct others){.bytes = 0};
    for (const uint8_t *at = run; (rc = vv_stored_next(word, &at, end, &s)) == 0;) {
        if (!vv_stored_is(&s, vv_entry_key(e), e->key_bytes)) {
            ret->bytes += vv_stored_bytes(&s);
            continue;
        }
        ret->had = true;
        ret->version = s.version;
        ret->expires_us = s.expires_us;
    }
    if (rc != VARVE_END)
        return rc;
    if (ret->bytes > f->others_room) {
        uint8_t *room = vv_realloc(f->others, ret->bytes);

        if (!room)
            return VARVE_E_NOMEM;
        f->others = room;
        f->others_room = ret->bytes;
    }
    uint8_t *to = f->others;

    /* Copied: what was read does not last until the write. */
    for (const uint8_t *at = run; ret->bytes && vv_stored_next(word, &at, end, &s) == 0;) {
        if (vv_stored_is(&s, vv_entry_key(e), e->key_bytes))
            continue;
        to = vv_stored_put(&s, word, to);
        ret->same_expiry |= ret->had && s.expires_us == ret->expires_us;
    }
    return 0;
}

static int write_expiry(struct fold *f, uint64_t word, const struct others *o, uint64_t expires_us)
{
    int rc = 0;

    f->facts.expiring += (uint64_t)(expires_us != 0) - (uint64_t)(o->expires_us != 0);
    if (expires_us == o->expires_us)
        return 0;
    if (o->expires_us && !o->same_expiry)
        rc = vv_env_write_expiry(f->kv->env, o->expires_us, word, false);
    if (rc == 0 && expires_us)
        rc = vv_env_write_expiry(f->kv->env, expires_us, word, true);
    return rc;
}

static int fold_entry(struct fold *f, const struct vv_entry *e)
{
    uint64_t word = vv_store_word(f->kv, vv_table_hash(&f->kv->shards->table, e));
    struct vv_stored s = vv_stored_of(e);
    bool gone = vv_entry_is_gone(e);
    struct others o = {.bytes = 0};
    const uint8_t *run;
    uint8_t *to;
    size_t bytes;
    int rc = vv_env_write_get(f->kv->env, word, &run, &bytes);

    if (rc == 0)
        rc = look_at_run(f, word, run, bytes, e, &o);
    if (rc < 0)
        return rc;
    if (o.had ? o.version >= e->version : gone)
        return 0;
    bytes = o.bytes + (gone ? 0 : vv_stored_bytes(&s));
    if (bytes == 0) {
        rc = vv_env_write_remove(f->kv->env, word);
    } else {
        rc = vv_env_write_put(f->kv->env, word, bytes, &to);
        if (rc == 0 && o.bytes)
            memcpy(to, f->others, o.bytes);
        if (rc == 0 && !gone)
            (void)vv_stored_put(&s, word, to + o.bytes);
    }
    f->facts.entries += (uint64_t)!gone - (uint64_t)o.had;
    return rc ? rc : write_expiry(f, word, &o, gone ? 0 : s.expires_us);
}

/* -- all of them -- */

static int fold_shard(struct fold *f, struct vv_shard *shard)
{
    int rc = 0;

    for (uint64_t place = 0; place < VV_PLACE_END && rc == 0;) {
        const struct vv_entry *e;
        size_t at = 0;

        vv_page_clear(&f->page);
        pthread_mutex_lock(&shard->lock);
        for (int n = 0; n < BUCKETS_AT_ONCE && place < VV_PLACE_END; n++)
            place = vv_table_walk(&shard->table, place, vv_page_add, &f->page);
        pthread_mutex_unlock(&shard->lock);
        if (f->page.full)
            return VARVE_E_NOMEM;
        f->facts.end_lsn = vv_max_u64(f->facts.end_lsn, f->page.lsn);
        while (rc == 0 && (e = vv_page_next(&f->page, &at)) != NULL)
            rc = fold_entry(f, e);
    }
    return rc;
}

/* VV_ENV_FULL: nothing has happened, but that the map is too small. */
static int fold_once(struct fold *f, uint64_t lsn, struct varve_error *ret_error)
{
    struct varve_kv *kv = f->kv;
    int rc;

    f->facts = kv->env_facts;
    f->facts.end_lsn = vv_max_u64(f->facts.end_lsn, lsn);
    rc = vv_env_write_begin(kv->env);
    for (uint32_t i = 0; i < kv->shard_count && rc == 0; i++)
        rc = fold_shard(f, &kv->shards[i]);
    if (rc == 0) {
        rc = varve_wait(kv->log, f->facts.end_lsn, VARVE_WAIT_FOREVER);
        if (rc) {
            vv_env_write_abort(kv->env);
            return vv_error_set(ret_error, rc, 0, "the log cannot be made durable up to LSN %" PRIu64,
                                f->facts.end_lsn);
        }
        f->facts.lsn = lsn;
        f->facts.created_us = vv_kv_now(kv);
        f->facts.past_count = (uint32_t)vv_min_u64(f->facts.past_count + 1, VV_ENV_PAST_MAX);
        memmove(f->facts.past + 1, f->facts.past, (f->facts.past_count - 1) * sizeof f->facts.past[0]);
        f->facts.past[0] = lsn;
        rc = vv_env_write_commit(kv->env, &f->facts);
    } else {
        vv_env_write_abort(kv->env);
    }
    if (rc == 0 || rc == VV_ENV_FULL)
        return rc;
    if (rc == VARVE_E_NOMEM || rc == VARVE_E_CORRUPT)
        return vv_error_set(ret_error, rc, 0, "the environment %s/%s", kv->path, VV_ENV_DIR);
    return vv_env_why(kv->env, ret_error);
}

/* -- out of memory -- */

struct leaving {
    uint64_t lsn;
    struct vv_entry **entries;
    size_t count, room;
};

static void add_leaving(void *arg, struct vv_entry *e)
{
    struct leaving *l = arg;

    if (e->version > l->lsn)
        return;
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 256;
        struct vv_entry **entries = vv_realloc(l->entries, room * sizeof(struct vv_entry *));

        if (!entries)
            return; /* it stays for the next fold */
        l->entries = entries;
        l->room = room;
    }
    l->entries[l->count++] = e;
}

/* Everything up to the LSN has not changed since before the fold began: else it would be newer. */
static void clear_memory(struct varve_kv *kv, uint64_t lsn)
{
    struct leaving l = {.lsn = lsn};

    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];

        for (uint64_t place = 0; place < VV_PLACE_END;) {
            l.count = 0;
            pthread_mutex_lock(&shard->order);
            pthread_mutex_lock(&shard->lock);
            for (int n = 0; n < BUCKETS_AT_ONCE && place < VV_PLACE_END; n++)
                place = vv_table_walk(&shard->table, place, add_leaving, &l);
            for (size_t k = 0; k < l.count; k++)
                vv_shard_forget(kv, shard, l.entries[k]);
            pthread_mutex_unlock(&shard->lock);
            pthread_mutex_unlock(&shard->order);
        }
    }
    vv_free(l.entries);
}

int vv_fold(struct varve_kv *kv, uint64_t lsn, struct varve_error *ret_error)
{
    struct fold f = {.kv = kv};
    uint64_t began = kv->io->monotonic_us(kv->io), used, map;
    int rc = vv_env_mend(kv->env);

    if (rc)
        return vv_env_why(kv->env, ret_error);
    vv_env_size(kv->env, &used, &map);
    /* A fold that meets a full map begins anew, so room is made before, as far as one can tell. */
    if (map < used + 2 * atomic_load(&kv->memory) + GROW_AROUND)
        rc = vv_env_grow(kv->env, 2 * atomic_load(&kv->memory) + GROW_AROUND);
    if (rc)
        return vv_env_why(kv->env, ret_error);
    while ((rc = fold_once(&f, lsn, ret_error)) == VV_ENV_FULL) {
        vv_env_size(kv->env, &used, &map);
        if (vv_env_grow(kv->env, map - vv_min_u64(used, map) + 1) != 0) {
            rc = vv_env_why(kv->env, ret_error);
            break;
        }
    }
    vv_page_free(&f.page);
    vv_free(f.others);
    if (rc)
        return rc;
    kv->env_facts = f.facts;
    atomic_store(&kv->snapshot_lsn, lsn);
    clear_memory(kv, lsn);
    atomic_store(&kv->fold_us, kv->io->monotonic_us(kv->io) - began);
    return 0;
}

/* -- when -- */

bool vv_fold_is_due(const struct varve_kv *kv)
{
    return atomic_load_explicit(&kv->memory, memory_order_relaxed) > kv->max_memory / 2 &&
           kv->io->monotonic_us(kv->io) >= atomic_load(&kv->fold_retry_us);
}

int vv_fold_make_room(struct varve_kv *kv, uint64_t bytes)
{
    struct varve_error error = {.code = 0};
    uint64_t lsn, before;
    int rc = 0;

    if (bytes > kv->max_memory)
        return VARVE_E_MEMORY;
    pthread_mutex_lock(&kv->snapshot_lock);
    if (kv->io->monotonic_us(kv->io) < atomic_load(&kv->fold_retry_us))
        rc = kv->fold_failed;
    else if (atomic_load(&kv->memory) + bytes > kv->max_memory) {
        before = atomic_load(&kv->snapshot_lsn);
        rc = vv_snapshot_now(kv, &lsn, &error);
        /* What is left is kept for transactions, or promised to writers who are about to be done. */
        if (rc == 0 && lsn == before && atomic_load(&kv->view_count) > 0)
            rc = VARVE_E_MEMORY;
    }
    pthread_mutex_unlock(&kv->snapshot_lock);
    if (error.code)
        vv_snapshot_say_failed(kv, &error);
    return rc;
}

void vv_fold_note(struct varve_kv *kv, int rc)
{
    kv->fold_failed = rc;
    atomic_store(&kv->fold_retry_us, rc ? kv->io->monotonic_us(kv->io) + RETRY_US : 0);
}

/* -- the log behind it -- */

static uint64_t needed_from(const struct varve_kv *kv)
{
    uint64_t kept = vv_min_u64(kv->env_facts.past_count, kv->snapshot_keep);

    return kept ? kv->env_facts.past[kept - 1] + 1 : 0;
}

int vv_fold_prune(struct varve_kv *kv, struct varve_error *ret_error)
{
    int rc = vv_snapshot_hold(kv, needed_from(kv), ret_error);

    return rc || needed_from(kv) == 0 ? rc : varve_trim(kv->log, needed_from(kv), NULL);
}

int vv_fold_settle(struct varve_kv *kv, struct varve_error *ret_error)
{
    int rc = vv_snapshot_hold(kv, needed_from(kv), ret_error);

    /* Where a pin stands already it may stand behind what is kept now, and stays. */
    return rc == VARVE_E_INVALID || rc == VARVE_E_TRIMMED ? vv_snapshot_hold(kv, 0, ret_error) : rc;
}
