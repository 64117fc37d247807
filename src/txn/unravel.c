/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unravel: records of transactions back into transactions.
 *
 * In: the records of a log, in their order. Out: those of transactions that are committed, in the order of
 * the commits, each transaction's own together.
 *
 * One cursor reads ahead. A transaction in one record goes out as it comes. Of a streamed one only the sums
 * of its parts are kept; when its commit comes and agrees with them, a second cursor reads the parts, from
 * the begin on, and passes over what lies between. So memory does not depend on how large a transaction is.
 *
 * Fails: what the cursors say; a record of a type of ours that none of us has written.
 */
#include "txn/unravel.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
    OPEN_FIRST = 8
};

int vv_unravel_open(struct vv_unravel *u, struct varve_log *log, uint64_t from_lsn, enum varve_policy policy,
                    uint8_t type, struct varve_error *ret_error)
{
    int rc;

    *u = (struct vv_unravel){.log = log, .policy = policy, .type = type};
    rc = varve_cursor_open(log, policy, &u->ahead, ret_error);
    if (rc)
        return rc;
    rc = varve_cursor_seek_lsn(u->ahead, from_lsn);
    if (rc)
        varve_cursor_error(u->ahead, ret_error);
    return rc;
}

void vv_unravel_close(struct vv_unravel *u)
{
    varve_cursor_close(u->ahead);
    varve_cursor_close(u->back);
    vv_free(u->open);
    u->ahead = u->back = NULL;
    u->open = NULL;
    u->open_count = u->open_room = 0;
}

static int fail(struct vv_unravel *u, int code, struct varve_cursor *cursor)
{
    u->failed = code;
    u->error.code = code;
    if (cursor)
        varve_cursor_error(cursor, &u->error);
    else
        (void)vv_error_set(&u->error, code, 0, "while transactions are read");
    return code;
}

int vv_unravel_bad(struct vv_unravel *u, const struct varve_entry *entry, int code, const char *why)
{
    u->failed =
        vv_error_set(&u->error, code, 0,
                     "LSN %llu has type %u, which records of transactions have, and is none of them: %s",
                     (unsigned long long)entry->lsn, entry->type, why);
    return code;
}

static void report(struct vv_unravel *u, enum varve_txn_action action, const struct vv_open_group *group,
                   uint64_t last_lsn)
{
    struct varve_txn_outcome outcome = {
        .action = action,
        .txn_id = group->id,
        .first_lsn = group->first_lsn,
        .last_lsn = last_lsn,
    };

    memcpy(outcome.origin, group->origin, sizeof outcome.origin);
    if (u->outcome)
        u->outcome(u->outcome_arg, &outcome);
}

/* -- the open ones -- */

static bool is_of(const struct vv_open_group *group, const struct varve_entry *entry)
{
    return group->id == entry->txn_id && memcmp(group->origin, entry->origin, sizeof group->origin) == 0;
}

/* The newest first: what a crash has left open is never asked for again. */
static struct vv_open_group *find_open(struct vv_unravel *u, const struct varve_entry *entry)
{
    for (size_t i = u->open_count; i-- > 0;)
        if (is_of(&u->open[i], entry))
            return &u->open[i];
    return NULL;
}

static struct vv_open_group *add_open(struct vv_unravel *u, const struct varve_entry *entry)
{
    struct vv_open_group *group;

    if (u->open_count == u->open_room) {
        size_t room = u->open_room ? u->open_room * 2 : OPEN_FIRST;
        struct vv_open_group *open = vv_realloc(u->open, room * sizeof *open);

        if (!open)
            return NULL;
        u->open = open;
        u->open_room = room;
    }
    group = &u->open[u->open_count++];
    *group = (struct vv_open_group){.id = entry->txn_id, .first_lsn = entry->lsn};
    memcpy(group->origin, entry->origin, sizeof group->origin);
    return group;
}

static void remove_open(struct vv_unravel *u, struct vv_open_group *group)
{
    size_t at = (size_t)(group - u->open);

    u->open_count--;
    memmove(group, group + 1, (u->open_count - at) * sizeof *group);
}

uint64_t vv_unravel_settle(struct vv_unravel *u)
{
    uint64_t count = u->open_count;

    for (size_t i = 0; i < u->open_count; i++)
        report(u, VARVE_TXN_ROLLED_BACK, &u->open[i], 0);
    u->open_count = 0;
    u->stats.orphans += count;
    return count;
}

/* -- the records that are no part -- */

/* The begin, a part whose begin was not met, or an end without anything before it. */
static struct vv_open_group *open_for(struct vv_unravel *u, const struct varve_entry *entry)
{
    struct vv_open_group *group = find_open(u, entry);

    return group ? group : add_open(u, entry);
}

static int take_commit(struct vv_unravel *u, const struct varve_entry *entry, struct vv_open_group *group,
                       const struct vv_control *control)
{
    bool whole = group->begun && group->first_lsn == control->begin_lsn && group->parts == control->parts &&
                 group->bytes == control->bytes;
    int rc = 0;

    if (entry->lsn <= u->applied_lsn) {
        remove_open(u, group);
        return 0;
    }
    report(u, whole ? VARVE_TXN_COMMITTED : VARVE_TXN_PARTIAL, group, entry->lsn);
    if (!whole) {
        u->stats.partial++;
        remove_open(u, group);
        return 0;
    }
    u->giving = *group;
    remove_open(u, group);
    u->stats.committed++;
    u->stats.streamed++;
    u->parts_left = control->parts;
    u->commit = *entry;
    u->is_back = control->parts > 0;
    if (!u->is_back)
        return 0;
    if (!u->back)
        rc = varve_cursor_open(u->log, u->policy, &u->back, &u->error);
    if (rc)
        return u->failed = rc;
    rc = varve_cursor_seek_lsn(u->back, control->begin_lsn);
    return rc ? fail(u, rc, u->back) : 0;
}

static int take_control(struct vv_unravel *u, const struct varve_entry *entry, enum vv_control_type type)
{
    struct vv_control control;
    struct vv_open_group *group;
    const char *why = "";
    int rc = vv_control_get(type, entry->data, entry->data_bytes, &control, &why);

    if (rc)
        return vv_unravel_bad(u, entry, rc, why);
    if (type == VV_CONTROL_BEGIN && find_open(u, entry))
        return vv_unravel_bad(u, entry, VARVE_E_CORRUPT, "its transaction has begun before");
    group = open_for(u, entry);
    if (!group)
        return fail(u, VARVE_E_NOMEM, NULL);
    if (type == VV_CONTROL_BEGIN) {
        group->begun = true;
        return 0;
    }
    if (type == VV_CONTROL_COMMIT)
        return take_commit(u, entry, group, &control);
    if (entry->lsn > u->applied_lsn) {
        report(u, VARVE_TXN_ROLLED_BACK, group, entry->lsn);
        u->stats.rolled_back++;
    }
    remove_open(u, group);
    return 0;
}

static int take_part(struct vv_unravel *u, const struct varve_entry *entry)
{
    struct vv_open_group *group = open_for(u, entry);

    if (!group)
        return fail(u, VARVE_E_NOMEM, NULL);
    group->parts++;
    group->bytes += entry->data_bytes;
    return 0;
}

static void give_whole(struct vv_unravel *u, const struct varve_entry *entry, struct vv_piece *ret)
{
    struct vv_open_group group = {.id = entry->txn_id, .first_lsn = entry->lsn};

    memcpy(group.origin, entry->origin, sizeof group.origin);
    u->stats.committed++;
    report(u, VARVE_TXN_COMMITTED, &group, entry->lsn);
    *ret = (struct vv_piece){.entry = *entry, .is_last = true};
    ret->commit_lsn = entry->lsn;
    ret->commit_time_us = entry->time_us;
}

/* One record ahead. 0 when *ret was filled, VARVE_END to go on with the next one, which is no error here. */
static int take_ahead(struct vv_unravel *u, const struct varve_entry *entry, struct vv_piece *ret)
{
    unsigned type = (unsigned)entry->type - u->type;
    int rc;

    u->stats.records++;
    u->stats.last_lsn = entry->lsn;
    if (entry->type < u->type || type >= VARVE_TXN_TYPES) {
        u->stats.others++;
        if (entry->lsn <= u->applied_lsn)
            return VARVE_END;
        *ret = (struct vv_piece){.entry = *entry, .is_other = true, .is_last = true};
        ret->commit_lsn = entry->lsn;
        ret->commit_time_us = entry->time_us;
        return 0;
    }
    if (!(entry->flags & VARVE_RECORD_TXN))
        return vv_unravel_bad(u, entry, VARVE_E_CORRUPT, "it does not name a transaction");
    if (type == VV_CONTROL_WHOLE && entry->lsn <= u->applied_lsn)
        return VARVE_END;
    if (type == VV_CONTROL_WHOLE) {
        give_whole(u, entry, ret);
        return 0;
    }
    rc = type == VV_CONTROL_PART ? take_part(u, entry) : take_control(u, entry, (enum vv_control_type)type);
    return rc ? rc : VARVE_END;
}

/* The next part of the streamed transaction that is being given. */
static int give_part(struct vv_unravel *u, struct vv_piece *ret)
{
    struct varve_entry entry;
    int rc;

    do {
        rc = varve_cursor_next(u->back, &entry);
        if (rc < 0)
            return fail(u, rc, u->back);
        if (rc == VARVE_END || entry.lsn >= u->commit.lsn)
            return u->failed =
                       vv_error_set(&u->error, VARVE_E_TRIMMED, 0,
                                    "parts of the transaction that LSN %llu commits were there and are not "
                                    "any more: the log was trimmed while it was read",
                                    (unsigned long long)u->commit.lsn);
    } while (entry.type != u->type + VV_CONTROL_PART || !(entry.flags & VARVE_RECORD_TXN) ||
             !is_of(&u->giving, &entry));
    u->parts_left--;
    u->is_back = u->parts_left > 0;
    *ret = (struct vv_piece){.entry = entry, .is_last = !u->is_back};
    ret->commit_lsn = u->commit.lsn;
    ret->commit_time_us = u->commit.time_us;
    return 0;
}

int vv_unravel_next(struct vv_unravel *u, struct vv_piece *ret)
{
    struct varve_entry entry;
    int rc;

    if (u->failed)
        return u->failed;
    for (;;) {
        if (u->is_back)
            return give_part(u, ret);
        rc = varve_cursor_next(u->ahead, &entry);
        u->stats.lost = varve_cursor_lost(u->ahead);
        if (rc == VARVE_END)
            return rc;
        if (rc)
            return fail(u, rc, u->ahead);
        rc = take_ahead(u, &entry, ret);
        if (rc != VARVE_END)
            return rc;
    }
}
