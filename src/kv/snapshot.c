/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: everything there is, into a file, while writes go on.
 *
 * In: an engine. Out: a file that holds every record up to its LSN, and of those up to its end LSN some.
 * Replay from its LSN on makes it whole (replay.c says why), so nothing has to stand still.
 *
 * In this order: the entries; a wait until the log is durable up to the end LSN, so that no snapshot knows of
 * a record that a power failure takes; a sync; the file's name; a sync of the directory. Then the pin in the
 * log moves to the oldest snapshot that is kept, older ones go, and the log is trimmed. A failure anywhere
 * before the name leaves what was there; after it, a snapshot too many or a log longer than it need be.
 */
#include "kv/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/thread.h"
#include "kv/store.h"
#include "varve/pin.h"

enum {
    BUCKETS_AT_ONCE = 16 /* while a shard is locked */
};

struct names {
    uint64_t *lsns;
    size_t count, room;
};

static int add_name(void *arg, const char *name)
{
    struct names *names = arg;
    uint64_t lsn;

    if (!vv_snap_parse(name, &lsn))
        return 0;
    if (names->count == names->room) {
        size_t room = names->room ? names->room * 2 : 8;
        uint64_t *lsns = vv_realloc(names->lsns, room * sizeof *lsns);

        if (!lsns)
            return -ENOMEM;
        names->lsns = lsns;
        names->room = room;
    }
    names->lsns[names->count++] = lsn;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

int vv_snapshot_list(struct varve_kv *kv, uint64_t **ret_lsns, size_t *ret_count,
                     struct varve_error *ret_error)
{
    struct names names = {.lsns = NULL};
    int rc = kv->snapshots ? kv->io->dir_list(kv->io, kv->snapshots, add_name, &names) : 0;

    if (rc) {
        vv_free(names.lsns);
        return vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, rc, "the directory %s",
                            VV_KV_SNAPSHOT_DIR);
    }
    if (names.count)
        qsort(names.lsns, names.count, sizeof *names.lsns, newest_first);
    *ret_lsns = names.lsns;
    *ret_count = names.count;
    return 0;
}

/* -- making one -- */

static void add_entry(void *arg, struct vv_entry *entry)
{
    vv_snap_add(arg, entry);
}

static void write_shards(struct varve_kv *kv, struct vv_snap_writer *writer)
{
    for (uint32_t i = 0; i < kv->shard_count && !writer->failed; i++) {
        struct vv_shard *shard = &kv->shards[i];

        for (uint64_t place = 0; place < VV_PLACE_END && !writer->failed;) {
            pthread_mutex_lock(&shard->lock);
            for (int n = 0; n < BUCKETS_AT_ONCE && place < VV_PLACE_END; n++)
                place = vv_table_walk(&shard->table, place, add_entry, writer);
            pthread_mutex_unlock(&shard->lock);
            vv_snap_flush(writer);
        }
    }
}

/* What is in the file is durable, the log up to its end too, and it has its name. */
static int finish(struct varve_kv *kv, struct vv_snap_writer *writer, struct varve_error *ret_error)
{
    char name[VV_SNAP_NAME_BYTES];
    uint64_t end_lsn = varve_last_lsn(kv->log);
    int rc = writer->failed ? 0 : varve_wait(kv->log, end_lsn, VARVE_WAIT_FOREVER);

    if (rc)
        (void)vv_error_set(ret_error, rc, 0, "the log cannot be made durable up to LSN %llu",
                           (unsigned long long)end_lsn);
    if (vv_snap_end(writer, end_lsn) && rc == 0)
        rc = vv_error_set(ret_error, writer->failed, writer->sys_errno, "writing %s/%s", VV_KV_SNAPSHOT_DIR,
                          VV_SNAP_TEMP);
    if (rc)
        return rc;
    vv_snap_name(writer->snap.lsn, name);
    rc = kv->io->rename(kv->io, kv->snapshots, VV_SNAP_TEMP, name, 1);
    if (rc == 0)
        rc = kv->io->dir_sync(kv->io, kv->snapshots);
    return rc ? vv_error_set(ret_error, VARVE_E_IO, rc, "the name %s/%s", VV_KV_SNAPSHOT_DIR, name) : 0;
}

static int make(struct varve_kv *kv, uint64_t lsn, uint64_t from_lsn, struct varve_error *ret_error)
{
    struct vv_snap_writer writer;
    struct varve_file *file;
    int rc;

    (void)kv->io->unlink(kv->io, kv->snapshots, VV_SNAP_TEMP);
    rc = kv->io->open(kv->io, kv->snapshots, VV_SNAP_TEMP, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc)
        return vv_error_set(ret_error, rc == -ENOSPC ? VARVE_E_NOSPC : VARVE_E_IO, rc, "creating %s/%s",
                            VV_KV_SNAPSHOT_DIR, VV_SNAP_TEMP);
    vv_snap_begin(&writer, kv->io, file, lsn, from_lsn, vv_kv_now(kv));
    write_shards(kv, &writer);
    rc = finish(kv, &writer, ret_error);
    kv->io->close(kv->io, file);
    if (rc)
        (void)kv->io->unlink(kv->io, kv->snapshots, VV_SNAP_TEMP);
    return rc;
}

/* From where on the log is needed, when these snapshots are kept: a transaction that was open when one was
 * made began before it. One that cannot be read is of no use to anybody, and needs nothing. */
static uint64_t needed_from(struct varve_kv *kv, const uint64_t *lsns, size_t kept)
{
    uint64_t from = kept ? lsns[kept - 1] + 1 : 0;

    for (size_t i = 0; i < kept; i++) {
        struct vv_snap snap;

        if (vv_snapshot_read(kv, lsns[i], VV_SNAPSHOT_LOOK, UINT64_MAX, &snap, NULL) == 0)
            from = vv_min_u64(from, snap.from_lsn);
    }
    return from;
}

int vv_snapshot_hold(struct varve_kv *kv, uint64_t lsn, struct varve_error *ret_error)
{
    const struct varve_pin pin = {
        .size = sizeof pin, .name = VV_KV_PIN, .owner = "snapshots of the key-value engine", .lsn = lsn};
    int rc = varve_pin_set(kv->log, &pin, ret_error);

    return rc == VARVE_E_UNSUPPORTED ? 0 : rc;
}

/* The pin first: it never stands behind a snapshot that is still there. */
static int prune(struct varve_kv *kv, struct varve_error *ret_error)
{
    char name[VV_SNAP_NAME_BYTES];
    uint64_t *lsns, from;
    size_t count, kept;
    int rc = vv_snapshot_list(kv, &lsns, &count, ret_error);

    if (rc)
        return rc;
    kept = count < kv->snapshot_keep ? count : kv->snapshot_keep;
    from = needed_from(kv, lsns, kept);
    rc = vv_snapshot_hold(kv, from, ret_error);
    for (size_t i = kept; i < count && rc == 0; i++) {
        vv_snap_name(lsns[i], name);
        rc = kv->io->unlink(kv->io, kv->snapshots, name);
        if (rc)
            rc = vv_error_set(ret_error, VARVE_E_IO, rc, "removing %s/%s", VV_KV_SNAPSHOT_DIR, name);
    }
    if (rc == 0 && count > kept)
        (void)kv->io->dir_sync(kv->io, kv->snapshots);
    if (rc == 0 && kept)
        rc = varve_trim(kv->log, from, NULL);
    vv_free(lsns);
    return rc;
}

int vv_snapshot_now(struct varve_kv *kv, uint64_t *ret_lsn, struct varve_error *ret_error)
{
    /* First: what begins from now on begins above it, and what was open then is committed above `lsn`, or in
     * memory by then. */
    uint64_t floor = varve_txns_floor(kv->txns), lsn = vv_kv_quiet(kv);
    int rc;

    *ret_lsn = lsn;
    if (lsn == atomic_load(&kv->snapshot_lsn))
        return 0;
    rc = kv->env ? vv_fold(kv, lsn, ret_error) : make(kv, lsn, vv_min_u64(floor, lsn + 1), ret_error);
    vv_fold_note(kv, rc);
    if (rc) {
        atomic_fetch_add(&kv->snapshot_failed, 1);
        return rc;
    }
    atomic_fetch_add(&kv->snapshot_count, 1);
    atomic_store(&kv->snapshot_lsn, lsn);
    return kv->env ? vv_fold_prune(kv, ret_error) : prune(kv, ret_error);
}

void vv_snapshot_say_failed(struct varve_kv *kv, const struct varve_error *error)
{
    if (kv->env)
        vv_kv_say(
            kv, VARVE_EVENT_SNAPSHOT_FAILED, VARVE_MESSAGE_ERROR,
            "memory was not folded into the environment, and stays as it is, in the log too; it is tried "
            "again: %s: %s",
            error->message, varve_error_remedy(error->code));
    else
        vv_kv_say(kv, VARVE_EVENT_SNAPSHOT_FAILED, VARVE_MESSAGE_ERROR, "a snapshot failed: %s",
                  error->message);
}

int varve_kv_snapshot(struct varve_kv *kv, uint64_t *ret_lsn, struct varve_error *ret_error)
{
    uint64_t lsn;
    int rc;

    if (kv->read_only || kv->keeps_nothing)
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0, "an engine that is open %s makes no snapshot",
                            kv->read_only ? "read-only" : "in memory mode");
    pthread_mutex_lock(&kv->snapshot_lock);
    rc = vv_snapshot_now(kv, &lsn, ret_error);
    pthread_mutex_unlock(&kv->snapshot_lock);
    if (rc == 0 && ret_lsn)
        *ret_lsn = lsn;
    return rc;
}

int vv_snapshot_settle(struct varve_kv *kv, struct varve_error *ret_error)
{
    size_t count, kept;
    uint64_t *lsns;
    int rc;

    if (!kv->snapshots)
        return 0;
    rc = kv->io->unlink(kv->io, kv->snapshots, VV_SNAP_TEMP);
    if (rc && rc != -ENOENT)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "removing %s/%s", VV_KV_SNAPSHOT_DIR, VV_SNAP_TEMP);
    rc = vv_snapshot_list(kv, &lsns, &count, ret_error);
    if (rc)
        return rc;
    kept = count < kv->snapshot_keep ? count : kv->snapshot_keep;
    /* Without a snapshot the log is all there is: not even retention may take its beginning. Where a pin
     * stands already it may stand behind what is kept now, and stays. */
    rc = vv_snapshot_hold(kv, needed_from(kv, lsns, kept), ret_error);
    if (rc == VARVE_E_INVALID || rc == VARVE_E_TRIMMED)
        rc = vv_snapshot_hold(kv, 0, ret_error);
    vv_free(lsns);
    return rc;
}

/* -- loading -- */

struct loader {
    struct varve_kv *kv;
    struct vv_snap_reader *reader;
    bool check;
    struct varve_error error;
    int rc;
    pthread_t thread;
    bool runs;
};

static int load_entry(struct varve_kv *kv, struct vv_entry *entry)
{
    uint64_t hash = vv_table_hash(&kv->shards->table, entry);
    struct vv_shard *shard = vv_kv_shard(kv, hash);
    int rc = 0;

    pthread_mutex_lock(&shard->order);
    if (vv_table_find_same(&shard->table, hash, entry))
        rc = VARVE_E_CORRUPT;
    else if (!vv_shard_reserve(shard, 1))
        rc = VARVE_E_NOMEM;
    if (rc == 0)
        vv_shard_change(kv, shard, hash, NULL, entry, entry->version, NULL);
    pthread_mutex_unlock(&shard->order);
    if (rc)
        vv_free(entry);
    return rc;
}

static int load_block(struct loader *l, struct vv_snap_block *block)
{
    struct vv_entry *entry;
    int rc;

    while ((rc = vv_snap_entry(block, &entry)) == 0) {
        if (entry->version > l->reader->snap.end_lsn)
            rc = VARVE_E_CORRUPT;
        if (rc || l->check)
            vv_free(entry);
        else
            rc = load_entry(l->kv, entry);
        if (rc)
            break;
    }
    if (rc == VARVE_END)
        return 0;
    return vv_error_set(&l->error, rc, 0, rc == VARVE_E_CORRUPT ? "an entry that cannot be" : "an entry");
}

static void *load_blocks(void *arg)
{
    struct loader *l = arg;
    struct vv_snap_block block = {.memory = NULL};

    do {
        l->rc = vv_snap_take(l->reader, &block, &l->error);
        if (l->rc == 0)
            l->rc = load_block(l, &block);
    } while (l->rc == 0);
    vv_free(block.memory);
    return NULL;
}

/* Two at once: one reads while the other puts in place. */
static int load_all(struct varve_kv *kv, struct vv_snap_reader *reader, bool check,
                    struct varve_error *ret_error)
{
    struct loader loaders[2] = {{.kv = kv, .reader = reader, .check = check},
                                {.kv = kv, .reader = reader, .check = check}};
    int rc = 0;

    loaders[1].runs = vv_thread_start(&loaders[1].thread, "varve-load", load_blocks, &loaders[1]) == 0;
    (void)load_blocks(&loaders[0]);
    if (loaders[1].runs)
        pthread_join(loaders[1].thread, NULL);
    for (int i = 0; i < 2; i++) {
        if (rc == 0 && loaders[i].rc < 0) {
            rc = loaders[i].rc;
            vv_error_copy(ret_error, &loaders[i].error);
        }
    }
    return rc;
}

/* Whether it can be gone on from with this log. */
static int fits(struct varve_kv *kv, const struct vv_snap *snap, struct varve_error *ret_error)
{
    unsigned long long first = varve_first_lsn(kv->log), last = varve_last_lsn(kv->log);

    if (snap->end_lsn > last)
        return vv_error_set(
            ret_error, VARVE_E_SNAPSHOT, 0,
            "it knows of records up to LSN %llu, and the log ends at %llu: it is newer than the log",
            (unsigned long long)snap->end_lsn, last);
    if (snap->from_lsn < first)
        return vv_error_set(
            ret_error, VARVE_E_SNAPSHOT, 0,
            "LSN %llu comes next, and the log begins at %llu: what is between was trimmed away",
            (unsigned long long)snap->from_lsn, first);
    return 0;
}

/* What is in the file goes into the engine, is only checked, or is left alone. */
static int read_file(struct varve_kv *kv, struct varve_file *file, uint64_t lsn, enum vv_snapshot_use use,
                     uint64_t at_lsn, struct vv_snap *ret_snap, struct varve_error *ret_error)
{
    struct vv_snap_reader reader;
    int rc = vv_snap_open(&reader, kv->io, file, lsn, ret_error);

    if (rc)
        return rc;
    *ret_snap = reader.snap;
    if (use == VV_SNAPSHOT_LOAD) {
        rc = fits(kv, &reader.snap, ret_error);
        if (rc == 0 && reader.snap.end_lsn > at_lsn)
            rc = VARVE_END;
    }
    if (rc == 0 && use != VV_SNAPSHOT_LOOK)
        rc = load_all(kv, &reader, use == VV_SNAPSHOT_CHECK, ret_error);
    vv_snap_close(&reader);
    return rc;
}

int vv_snapshot_read(struct varve_kv *kv, uint64_t lsn, enum vv_snapshot_use use, uint64_t at_lsn,
                     struct vv_snap *ret_snap, struct varve_error *ret_error)
{
    struct varve_file *file;
    char name[VV_SNAP_NAME_BYTES];
    int rc;

    vv_snap_name(lsn, name);
    rc = kv->io->open(kv->io, kv->snapshots, name, VARVE_IO_READ, &file);
    if (rc) {
        int code = rc == -ENOENT ? VARVE_E_NOT_FOUND : VARVE_E_IO;

        if (rc == -ELOOP || rc == -EMEDIUMTYPE || rc == -EISDIR)
            code = VARVE_E_NOT_REGULAR;
        return vv_error_set(ret_error, code, rc, "%s/%s", VV_KV_SNAPSHOT_DIR, name);
    }
    rc = read_file(kv, file, lsn, use, at_lsn, ret_snap, ret_error);
    kv->io->close(kv->io, file);
    if (rc < 0)
        vv_error_wrap(ret_error, "%s/%s", VV_KV_SNAPSHOT_DIR, name);
    return rc;
}

void vv_kv_empty(struct varve_kv *kv)
{
    for (uint32_t i = 0; i < kv->shard_count; i++) {
        struct vv_shard *shard = &kv->shards[i];

        vv_table_free(&shard->table);
        atomic_store(&shard->bytes, 0);
        atomic_store(&shard->count, 0);
        atomic_store(&shard->expiring, 0);
        atomic_store(&shard->streams, 0);
        atomic_store(&shard->events, 0);
        atomic_store(&shard->streams, 0);
        atomic_store(&shard->events, 0);
    }
    atomic_store(&kv->memory, 0);
}

/* One that is damaged is passed over. One that is newer than the log is no accident that another could make
 * up for: the log has lost records. Only beside a writer it may have come after the log was looked at: then
 * the one before, and the log behind it, say the same. */
static int try_one(struct varve_kv *kv, uint64_t lsn, uint64_t at_lsn, bool *ret_taken, uint64_t *ret_from,
                   struct varve_error *ret_error)
{
    struct vv_snap snap = {.lsn = 0};
    int rc = vv_snapshot_read(kv, lsn, VV_SNAPSHOT_LOAD, at_lsn, &snap, ret_error);

    *ret_taken = rc == 0;
    if (rc == 0) {
        kv->recovery.snapshot_lsn = kv->recovery.last_lsn = snap.lsn;
        kv->recovery.snapshot_entries = snap.entries;
        *ret_from = snap.from_lsn;
        return 0;
    }
    vv_kv_empty(kv);
    bool newer = rc == VARVE_E_SNAPSHOT && snap.end_lsn > varve_last_lsn(kv->log);

    if (rc == VARVE_E_NOMEM || (newer && !kv->read_only))
        return rc;
    if (rc != VARVE_END && !newer) {
        kv->recovery.snapshots_bad++;
        vv_kv_say(kv, VARVE_EVENT_SNAPSHOT_PASSED, VARVE_MESSAGE_WARNING, "a snapshot is passed over: %s",
                  ret_error->message);
    }
    return 0;
}

int vv_snapshot_load(struct varve_kv *kv, uint64_t at_lsn, uint64_t *ret_from, struct varve_error *ret_error)
{
    struct varve_error why = {.code = 0};
    uint64_t *lsns, first = varve_first_lsn(kv->log);
    bool taken = false;
    size_t count;
    int rc = vv_snapshot_list(kv, &lsns, &count, ret_error);

    if (rc)
        return rc;
    for (size_t i = 0; i < count && !taken && rc == 0; i++)
        if (lsns[i] <= at_lsn)
            rc = try_one(kv, lsns[i], at_lsn, &taken, ret_from, &why);
    vv_free(lsns);
    if (rc) {
        vv_error_copy(ret_error, &why);
        return rc;
    }
    if (taken || first <= 1)
        return 0;
    if (at_lsn != UINT64_MAX)
        return vv_error_set(
            ret_error, VARVE_E_TRIMMED, 0,
            "the state at LSN %llu is gone: the log begins at %llu, and no sound snapshot is as old",
            (unsigned long long)at_lsn, (unsigned long long)first);
    return vv_error_set(ret_error, VARVE_E_SNAPSHOT, 0,
                        "the log begins at LSN %llu, and no sound snapshot has what was before%s%s",
                        (unsigned long long)first, why.code ? ": " : "", why.code ? why.message : "");
}
