/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_cursor: the records of a log in a format of others, for varve/cursor.h.
 *
 * In: a walk. Out: records. In the writer's process none is given that is not durable. Such a format has
 * nothing that would tell another process how far the log is durable: there, all that is sound is given, and
 * beside a writer that holds the lock, what does not decode at the end of the last file is the end for now.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/lock.h"
#include "log/plain.h"
#include "log/stages.h"
#include "log/tell.h"

struct vv_plain_cursor {
    struct varve_log *log;
    struct vv_plain_files files;
    struct vv_plain_walk walk;
    struct vv_lost accepted;
    struct varve_error error; /* code 0: none */
    uint64_t wanted_lsn;      /* records below are passed over; 0 = none */
    uint64_t wanted_time_us;  /* records before are passed over, up to the first that is not */
    struct vv_plain_record record;
    bool held; /* `record` was read and may not be given yet */
};

static bool at_home(const struct vv_plain_cursor *c)
{
    return !c->log->read_only;
}

/* What does not decode at the end is no write under way where nobody writes: so this is asked after the bytes
 * were. */
static int ask_live(struct vv_plain_cursor *c, struct varve_error *ret_error)
{
    c->walk.live = true;
    return at_home(c) ? 0 : vv_lock_held(c->log->io, c->log->dir, &c->walk.live, NULL, ret_error);
}

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct vv_plain_cursor *c = arg;

    vv_tell(c->log, DAMAGE_PASSED,
            VV_ABOUT(.segment = damage->segment, .offset = damage->offset, .lsn = damage->lsn_first),
            "%s; passed over", damage->message);
    return 0;
}

/* What the log knows of its files, so that a seek need not read them all. */
static void recall(struct vv_plain_cursor *c)
{
    const struct vv_plain_files *from = &c->log->plain->files;

    for (size_t i = 0; at_home(c) == false && i < c->files.count; i++) {
        uint64_t number = c->files.items[i].number;
        size_t at = vv_plain_files_find(from, number);

        if (number != VARVE_FORMAT_ACTIVE && at < from->count && from->items[at].number == number)
            c->files.items[i].first_lsn = from->items[at].first_lsn;
    }
}

int vv_plain_cursor_open(struct varve_log *log, enum varve_policy policy, struct vv_plain_cursor **ret_cursor,
                         struct varve_error *ret_error)
{
    struct vv_plain_cursor *c = vv_alloc_zero(sizeof *c);
    int rc;

    if (!c)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", log->path);
    c->log = log;
    rc = vv_plain_files_load(&c->files, log->plain->format, log->io, log->dir, ret_error);
    vv_plain_walk_init(&c->walk, &c->files, policy);
    if (rc == 0)
        rc = vv_plain_files_refuse(&c->files, ret_error);
    if (rc == 0)
        rc = ask_live(c, ret_error);
    if (rc == 0)
        rc = vv_lost_load(&c->accepted, log->io, log->dir, ret_error);
    if (rc != 0) {
        vv_lost_free(&c->accepted);
        vv_plain_files_free(&c->files);
        vv_free(c);
        vv_error_wrap(ret_error, "%s", log->path);
        return rc;
    }
    recall(c);
    c->walk.accepted = &c->accepted;
    c->walk.damaged = on_damage;
    c->walk.damaged_arg = c;
    *ret_cursor = c;
    return 0;
}

void vv_plain_cursor_close(struct vv_plain_cursor *c)
{
    if (!c)
        return;
    vv_plain_walk_free(&c->walk);
    vv_lost_free(&c->accepted);
    vv_plain_files_free(&c->files);
    vv_free(c);
}

static int refresh(struct vv_plain_cursor *c)
{
    int rc = vv_plain_walk_refresh(&c->walk, &c->error);

    return rc == 0 ? ask_live(c, &c->error) : rc;
}

static uint64_t first_lsn(const struct vv_plain_cursor *c)
{
    uint64_t first = atomic_load(&c->log->first_lsn);

    return c->files.side_rc == 0 ? vv_max_u64(first, c->files.side.first_lsn) : first;
}

static int seek(struct vv_plain_cursor *c, uint64_t lsn, uint64_t time_us)
{
    int rc;

    vv_error_clear(&c->error);
    rc = refresh(c);
    if (rc != 0)
        return rc;
    if (lsn != 0 && lsn < first_lsn(c))
        return vv_error_set(&c->error, VARVE_E_TRIMMED, 0,
                            "LSN %" PRIu64 " was trimmed; the first one is %" PRIu64, lsn, first_lsn(c));
    vv_plain_walk_seek(&c->walk, lsn);
    c->wanted_lsn = lsn;
    c->wanted_time_us = time_us;
    c->held = false;
    c->walk.lost = 0;
    return 0;
}

int vv_plain_cursor_seek_lsn(struct vv_plain_cursor *c, uint64_t lsn)
{
    return seek(c, lsn, 0);
}

int vv_plain_cursor_seek_time(struct vv_plain_cursor *c, uint64_t time_us)
{
    const struct varve_format *format = c->log->plain->format;

    if (format->time_unit_ns == 0) {
        vv_error_clear(&c->error);
        return vv_error_set(&c->error, VARVE_E_UNSUPPORTED, 0, "%s: records in the format %s have no time",
                            c->log->path, format->name);
    }
    return seek(c, 0, time_us);
}

static void fill_entry(struct vv_plain_cursor *c, struct varve_entry *e)
{
    const struct vv_plain_record *r = &c->record;

    memset(e, 0, sizeof *e);
    e->lsn = r->lsn;
    e->time = r->entry.time;
    e->time_us = varve_format_time_us(c->log->plain->format, r->entry.time);
    e->data = r->data;
    e->data_bytes = (size_t)r->entry.payload_bytes;
    e->type = r->entry.type;
    e->flags = r->entry.flags;
    e->txn_id = r->entry.txn_id;
    memcpy(e->origin, r->entry.origin, sizeof e->origin);
    e->segment = r->number;
    e->frame_offset = r->offset;
}

/* The next record that is wanted, into c->record. */
static int read_record(struct vv_plain_cursor *c)
{
    while (!c->held) {
        int rc;

        if (at_home(c))
            c->walk.durable_lsn = atomic_load(&c->log->durable_lsn);
        rc = vv_plain_walk_next(&c->walk, &c->record, &c->error);
        if (rc != 0)
            return rc;
        if (c->record.lsn < c->wanted_lsn)
            continue;
        if (varve_format_time_us(c->log->plain->format, c->record.entry.time) < c->wanted_time_us)
            continue;
        c->wanted_time_us = 0;
        c->held = true;
    }
    return 0;
}

/* The log gave this LSN out as durable, and it cannot be read. */
static int not_there(struct vv_plain_cursor *c)
{
    return vv_error_set(&c->error, VARVE_E_CORRUPT, 0,
                        "LSN %" PRIu64 ", which is durable, cannot be read: %s", c->walk.next_lsn,
                        c->walk.damage.message[0] ? c->walk.damage.message : "the log ends before it");
}

/* Files were trimmed while they were to be read. 0: none that was wanted. */
static int after_trim(struct vv_plain_cursor *c)
{
    const struct varve_error error = c->error;
    uint64_t wanted = c->wanted_lsn;
    int rc = refresh(c);

    if (rc == 0 && wanted >= first_lsn(c)) {
        vv_error_clear(&c->error);
        vv_plain_walk_seek(&c->walk, wanted);
        return 0;
    }
    if (rc == 0)
        c->error = error;
    return rc != 0 ? rc : error.code;
}

static int next(struct vv_plain_cursor *c)
{
    for (int tries = 0;; tries++) {
        uint64_t durable_lsn = atomic_load(&c->log->durable_lsn);
        int rc;

        if (at_home(c) &&
            durable_lsn < vv_max_u64(vv_max_u64(c->walk.next_lsn, first_lsn(c)), c->held ? c->record.lsn : 0))
            return VARVE_END;
        rc = read_record(c);
        if (rc == 0)
            return at_home(c) && c->record.lsn > durable_lsn ? VARVE_END : 0;
        if (rc == VARVE_E_TRIMMED) {
            rc = after_trim(c);
            if (rc != 0)
                return rc;
            continue;
        }
        if (rc != VARVE_END)
            return rc;
        if (tries > 1)
            return at_home(c) ? not_there(c) : VARVE_END;
        rc = refresh(c);
        if (rc != 0)
            return rc;
    }
}

int vv_plain_cursor_next(struct vv_plain_cursor *c, struct varve_entry *ret_entry)
{
    int rc;

    if (c->error.code != 0)
        return c->error.code;
    rc = next(c);
    if (rc == 0) {
        fill_entry(c, ret_entry);
        c->held = false;
        if (!at_home(c) && c->record.lsn > atomic_load(&c->log->durable_lsn))
            atomic_store(&c->log->durable_lsn, c->record.lsn);
    } else if (rc == VARVE_E_NOMEM) {
        vv_error_clear(&c->error); /* it may be had the next time */
    } else if (rc < 0) {
        vv_error_wrap(&c->error, "%s", c->log->path);
    }
    return rc;
}

uint64_t vv_plain_cursor_expected(const struct vv_plain_cursor *c)
{
    return c->held ? c->record.lsn : vv_max_u64(c->walk.next_lsn, 1);
}

const struct varve_error *vv_plain_cursor_error(const struct vv_plain_cursor *c)
{
    return &c->error;
}

enum varve_verdict vv_plain_cursor_verdict(const struct vv_plain_cursor *c)
{
    return c->walk.damage.verdict;
}

uint64_t vv_plain_cursor_lost(const struct vv_plain_cursor *c)
{
    return c->walk.lost;
}
