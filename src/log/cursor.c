/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor: frames -> records, each checked, in the order of their LSNs, never past the durable LSN.
 *
 * In: a walk. Out: records. In the writer's process the durable LSN is known; beside a writer in another
 * process it is what frames vouch for; without a writer everything sound is given.
 *
 * Ways to fail: those of the walk; a frame whose checksum is right and whose record is not (CORRUPT).
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "format/record.h"
#include "log/decode.h"
#include "log/lock.h"
#include "log/manifest.h"
#include "log/plain.h"
#include "log/salvage.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/walk.h"

enum {
    RESTS_MAX = 100 /* a second or two of asking */
};

struct varve_cursor {
    struct varve_log *log;
    struct vv_plain_cursor *plain; /* a log in a format of others: all that is below is not used */
    struct vv_chain chain;
    struct vv_walk walk;
    struct vv_lost accepted;
    struct varve_error error; /* code 0: none */
    uint64_t wanted_lsn;      /* records below are passed over; 0 = none */
    uint64_t wanted_time_us;  /* records before are passed over */

    const uint8_t *body; /* NULL: no frame is open */
    struct vv_scan_frame frame;
    uint64_t offset;  /* of the next record in the body */
    uint32_t index;   /* of the next record in the frame */
    uint64_t time_us; /* of the last record given: times never decrease */
    bool held;        /* a frame was read and may not be given yet */
    unsigned rests;   /* looks in a row for which the directory was not listed */
    uint64_t alone;   /* bytes read from disk when nobody was seen to write */

    struct vv_salvage salvage; /* sound records of a damaged frame, under the policy skip */
    uint64_t lost;
};

/* Beside a writer: whether what is missing was trimmed since the chain was loaded. Then it is no damage. */
static int was_trimmed(struct varve_cursor *c, uint64_t lsn)
{
    return c->walk.live ? vv_manifest_trimmed(c->chain.io, c->chain.dir, lsn, &c->error) : 0;
}

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct varve_cursor *c = arg;
    int rc = was_trimmed(c, damage->lsn_first);

    if (rc != 0)
        return rc;
    c->lost += damage->lsn_last + 1 - damage->lsn_first;
    vv_tell(c->log, DAMAGE_PASSED,
            VV_ABOUT(.segment = damage->segment, .offset = damage->offset, .lsn = damage->lsn_first),
            "%s; passed over%s", damage->message,
            c->walk.policy == VARVE_POLICY_SKIP ? ", but for what is sound in it" : "");
    if (c->walk.policy != VARVE_POLICY_SKIP)
        return 0;
    return vv_salvage_read(&c->salvage, &c->walk.scan, c->chain.dir, damage,
                           vv_record_log_seed(c->chain.manifest.uuid), &c->error);
}

/* Whether this process knows the durable LSN itself. */
static bool at_home(const struct varve_cursor *c)
{
    return !c->log->read_only;
}

/* Whether somebody writes the log now. */
static int ask_live(struct varve_cursor *c, bool *ret_live)
{
    *ret_live = true;
    return at_home(c) ? 0 : vv_lock_held(c->log->io, c->log->dir, ret_live, NULL, &c->error);
}

static int start_walk(struct varve_cursor *c, uint64_t lsn)
{
    enum varve_policy policy = c->walk.policy;
    int rc;

    vv_walk_free(&c->walk);
    vv_salvage_clear(&c->salvage);
    rc = vv_walk_init(&c->walk, &c->chain, lsn, policy);
    if (rc != 0)
        return vv_error_set(&c->error, rc, 0, "reading the log");
    c->walk.accepted = &c->accepted;
    c->walk.damaged = on_damage;
    c->walk.damaged_arg = c;
    c->alone = 0;
    c->body = NULL;
    c->held = false;
    c->time_us = 0;
    c->wanted_lsn = lsn;
    c->wanted_time_us = 0;
    return ask_live(c, &c->walk.live);
}

int varve_cursor_open(struct varve_log *log, enum varve_policy policy, struct varve_cursor **ret_cursor,
                      struct varve_error *ret_error)
{
    struct varve_cursor *c;
    int rc;

    if (atomic_load(&log->gate) == VARVE_E_FORKED)
        return vv_error_set(ret_error, VARVE_E_FORKED, 0, "%s", log->path);
    if (policy > VARVE_POLICY_SKIP)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "%d is not a policy", (int)policy);
    c = vv_alloc_zero(sizeof *c);
    if (!c)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", log->path);
    c->log = log;
    if (log->plain) {
        rc = vv_plain_cursor_open(log, policy, &c->plain, ret_error);
        if (rc == 0)
            *ret_cursor = c;
        else
            vv_free(c);
        return rc;
    }
    c->walk.policy = policy == VARVE_POLICY_DEFAULT ? VARVE_POLICY_TRUNCATE : policy;
    rc = vv_chain_load(&c->chain, log->io, log->dir, &c->error);
    c->chain.keys = log->options.keys;
    if (rc == 0)
        rc = vv_chain_refuse(&c->chain, &c->error);
    if (rc == 0)
        rc = vv_chain_codecs(&c->chain, &c->error);
    if (rc == 0)
        rc = vv_lost_load(&c->accepted, log->io, log->dir, &c->error);
    if (rc == 0)
        rc = start_walk(c, 0);
    if (rc != 0) {
        vv_error_wrap(&c->error, "%s", log->path);
        vv_error_copy(ret_error, &c->error);
        varve_cursor_close(c);
        return rc;
    }
    *ret_cursor = c;
    return 0;
}

void varve_cursor_close(struct varve_cursor *c)
{
    if (!c)
        return;
    vv_plain_cursor_close(c->plain);
    vv_walk_free(&c->walk);
    vv_salvage_clear(&c->salvage);
    vv_chain_free(&c->chain);
    vv_lost_free(&c->accepted);
    vv_free(c);
}

static int reload(struct varve_cursor *c)
{
    int rc = vv_chain_reload(&c->chain, &c->error);

    if (rc == 0)
        rc = vv_chain_refuse(&c->chain, &c->error);
    if (rc == 0)
        rc = vv_chain_codecs(&c->chain, &c->error);
    if (rc != 0)
        vv_error_wrap(&c->error, "%s", c->log->path);
    return rc;
}

int varve_cursor_seek_lsn(struct varve_cursor *c, uint64_t lsn)
{
    int rc;

    if (c->plain)
        return vv_plain_cursor_seek_lsn(c->plain, lsn);
    vv_error_clear(&c->error);
    rc = reload(c);
    if (rc == 0 && lsn != 0 && c->chain.manifest.first_lsn > lsn)
        rc = vv_error_set(&c->error, VARVE_E_TRIMMED, 0,
                          "LSN %" PRIu64 " was trimmed; the first one is %" PRIu64, lsn,
                          c->chain.manifest.first_lsn);
    return rc != 0 ? rc : start_walk(c, lsn);
}

int varve_cursor_seek_time(struct varve_cursor *c, uint64_t time_us)
{
    uint64_t lsn = 0;
    int rc;

    if (c->plain)
        return vv_plain_cursor_seek_time(c->plain, time_us);
    vv_error_clear(&c->error);
    rc = reload(c);
    if (rc != 0)
        return rc;
    /* A segment was created when its first frame was: what is before it cannot be later. */
    for (size_t i = 0; i < c->chain.count; i++) {
        const struct vv_link *link = &c->chain.links[i];

        if (link->state == VV_LINK_SOUND && link->header.created_us < time_us &&
            link->header.base_lsn > lsn && link->header.base_lsn <= link->end_lsn)
            lsn = link->header.base_lsn;
    }
    rc = start_walk(c, lsn);
    c->wanted_lsn = 0;
    c->wanted_time_us = time_us;
    return rc;
}

/* Whether the frame that was read may be given. */
static int may_give(struct varve_cursor *c, bool *ret_may)
{
    uint64_t last = c->frame.header.first_lsn + c->frame.header.count - 1;
    int rc;

    *ret_may = true;
    if (at_home(c)) {
        *ret_may = atomic_load(&c->log->durable_lsn) >= last || VV_TOOTH(READ_PAST_DURABLE);
        return 0;
    }
    /* A writer may have come since the walk began. Asked after the bytes were read: if there is none now,
     * then they are no write under way. */
    if (!c->walk.live && c->alone != c->walk.scan.bytes_read) {
        rc = ask_live(c, &c->walk.live);
        if (rc != 0)
            return rc;
        c->alone = c->walk.scan.bytes_read;
    }
    if (!c->walk.live)
        return 0;
    rc = vv_walk_vouched(&c->walk, last, ret_may, &c->error);
    if (rc == 0 && !*ret_may) {
        vv_scan_refresh(&c->walk.scan);
        rc = vv_walk_vouched(&c->walk, last, ret_may, &c->error);
    }
    return rc;
}

/* At the end of what the chain knows: is there more by now? 0 = look again, VARVE_END = no. */
static int look_again(struct varve_cursor *c, bool *ret_changed)
{
    size_t count = c->chain.count;
    int rc;

    *ret_changed = false;
    if (at_home(c)) {
        if (atomic_load(&c->log->durable_lsn) < c->walk.expected)
            return 0;
    } else {
        bool live;

        rc = ask_live(c, &live);
        if (rc != 0)
            return rc;
        *ret_changed = c->walk.live && !live; /* the end is final now, and may be judged */
        c->walk.live = live;
    }
    /* Asked again and again while nothing comes: the directory is listed when there is reason to, and now and
     * then. */
    if (!at_home(c) && !*ret_changed && c->walk.live && c->walk.scan.file && c->rests < RESTS_MAX &&
        vv_chain_at_rest(&c->chain, c->walk.index)) {
        c->rests++;
        vv_scan_refresh(&c->walk.scan);
        return 0;
    }
    c->rests = 0;
    rc = reload(c);
    if (rc != 0)
        return rc;
    vv_walk_resume(&c->walk);
    *ret_changed = *ret_changed || c->chain.count != count || at_home(c);
    return 0;
}

/* The log gave this LSN out as durable, and it cannot be read. */
static int not_there(struct varve_cursor *c)
{
    return vv_error_set(&c->error, VARVE_E_CORRUPT, 0,
                        "segment %" PRIu64 ", byte %" PRIu64 ": no frame with LSN %" PRIu64
                        ", which is durable",
                        c->walk.end_segment, c->walk.end_offset, c->walk.expected);
}

/* The next frame into c->frame, unless there is one already. */
static int read_frame(struct varve_cursor *c)
{
    bool changed = false;
    int rc = 0;

    for (int tries = 0; !c->held; tries++) {
        if (at_home(c) && atomic_load(&c->log->durable_lsn) < c->walk.expected &&
            !VV_TOOTH(READ_PAST_DURABLE))
            return VARVE_END;
        /* After the chain was looked at again, what this process knows counts as well as what is on disk. */
        if (at_home(c) && tries > 0)
            c->walk.vouched = vv_max_u64(c->walk.vouched, atomic_load(&c->log->durable_lsn));
        rc = vv_walk_next(&c->walk, &c->frame, &c->error);
        if (rc == 0) {
            c->held = true;
            break;
        }
        if (rc != VARVE_END)
            return rc;
        if (tries == 2)
            return at_home(c) ? not_there(c) : VARVE_END;
        rc = look_again(c, &changed);
        if (rc != 0)
            return rc;
        if (!changed && tries > 0)
            return VARVE_END;
    }
    return rc;
}

/* The checksum of the frame is right, and its codec makes nothing of it. */
static int pass_over(struct varve_cursor *c)
{
    c->lost += c->frame.header.count;
    vv_tell(c->log, DAMAGE_PASSED, VV_ABOUT(.code = c->error.code), "%s; passed over", c->error.message);
    vv_error_clear(&c->error);
    c->body = NULL;
    c->held = false;
    return 0;
}

/* Opens the next frame that may be given; under the policy skip, 0 also when one was passed over instead. */
static int next_frame(struct varve_cursor *c)
{
    bool may = false, changed;
    int rc = read_frame(c);

    if (rc == 0)
        rc = may_give(c, &may);
    if (rc == 0 && !may) {
        /* What vouches for the last frame of a segment is in the next one; and a writer that died leaves
         * nothing to wait for. */
        rc = look_again(c, &changed);
        if (rc == 0 && vv_walk_superseded(&c->walk, &c->frame)) {
            c->held = false;
            rc = read_frame(c);
        }
        if (rc == 0)
            rc = may_give(c, &may);
    }
    if (rc != 0)
        return rc;
    if (!may)
        return VARVE_END;
    rc = vv_decode_body(&c->walk.scan, &c->frame, &c->body, &c->error);
    if (rc == VARVE_E_CORRUPT && c->walk.policy == VARVE_POLICY_SKIP)
        return pass_over(c);
    if (rc != 0)
        return rc;
    c->held = false;
    c->offset = 0;
    c->index = 0;
    if (!at_home(c) && c->walk.expected - 1 > atomic_load(&c->log->durable_lsn))
        atomic_store(&c->log->durable_lsn, c->walk.expected - 1);
    return 0;
}

static void fill_entry(struct varve_cursor *c, const struct vv_record *record, uint64_t lsn, uint64_t at,
                       struct varve_entry *e)
{
    memset(e, 0, sizeof *e);
    /* Appenders read the clock before they get their place, so neighbours may be out of order by
     * microseconds. */
    c->time_us = vv_max_u64(c->time_us, c->frame.header.time_us + record->delta_us);
    e->lsn = lsn;
    e->time_us = e->time = c->time_us;
    e->data = record->payload;
    e->data_bytes = record->payload_bytes;
    e->type = record->type;
    e->flags = record->flags;
    e->txn_id = record->txn_id;
    if (record->origin)
        memcpy(e->origin, record->origin, sizeof e->origin);
    e->segment = c->walk.end_segment;
    e->frame_offset = c->frame.offset;
    e->record_offset = at;
}

static int bad_record(struct varve_cursor *c, uint64_t lsn)
{
    return vv_error_set(&c->error, VARVE_E_CORRUPT, 0,
                        "segment %" PRIu64 ", byte %" PRIu64 ": record %" PRIu64
                        " does not check in a frame that does",
                        c->walk.end_segment, c->frame.offset, lsn);
}

/* The next record of the frame that is open. */
static int next_record(struct varve_cursor *c, struct varve_entry *e)
{
    uint64_t lsn = c->frame.header.first_lsn + c->index, at = c->offset;
    uint32_t seed = vv_record_seed(vv_record_log_seed(c->chain.manifest.uuid), lsn);
    struct vv_record record;
    enum vv_record_status status =
        vv_record_decode(c->body, c->frame.header.raw_bytes, at, seed, &record, &c->offset);

    c->index++;
    if (status != VV_RECORD_OK) {
        if (c->walk.policy != VARVE_POLICY_SKIP)
            return bad_record(c, lsn);
        c->lost += status == VV_RECORD_LOST ? c->frame.header.count - c->index + 1 : 1;
        if (status == VV_RECORD_LOST)
            c->index = c->frame.header.count;
        return VARVE_END;
    }
    fill_entry(c, &record, lsn, at, e);
    return 0;
}

static bool wanted(const struct varve_cursor *c, const struct varve_entry *e)
{
    return e->lsn >= c->wanted_lsn && e->time_us >= c->wanted_time_us;
}

/* One sound record out of what the policy skip passed over. */
static bool next_salvaged(struct varve_cursor *c, struct varve_entry *e)
{
    struct vv_salvaged record;

    if (!vv_salvage_next(&c->salvage, &record))
        return false;
    c->lost--;
    c->frame.header.time_us = c->time_us; /* its own is not to be trusted */
    record.record.delta_us = 0;
    c->frame.offset = record.frame_offset;
    fill_entry(c, &record.record, record.lsn, record.record_offset, e);
    e->segment = record.segment;
    return true;
}

static int next(struct varve_cursor *c, struct varve_entry *e)
{
    for (;;) {
        int rc;

        if (c->body && c->index < c->frame.header.count) {
            rc = next_record(c, e);
            if (rc < 0)
                return rc;
            if (rc == 0 && wanted(c, e))
                return 0;
            continue;
        }
        c->body = NULL;
        if (vv_salvage_has(&c->salvage)) {
            struct vv_scan_frame held = c->frame;
            bool have = next_salvaged(c, e);

            c->frame = held;
            if (have && wanted(c, e))
                return 0;
            if (have)
                continue;
        }
        rc = next_frame(c);
        if (vv_salvage_has(&c->salvage) && (rc == 0 || rc == VARVE_END)) {
            /* The walk went over damage to get here: what could be saved there comes first. */
            c->body = NULL;
            c->held = c->held || rc == 0;
            continue;
        }
        if (rc != 0)
            return rc;
    }
}

/* All that is there was given, and nothing says where the log begins and how far it went. */
static int end_without_manifest(struct varve_cursor *c)
{
    if (c->chain.manifest_rc == 0 || c->walk.policy == VARVE_POLICY_SKIP || c->log->in_memory)
        return VARVE_END;
    c->walk.damage.verdict = VARVE_VERDICT_CORRUPT;
    return vv_error_set(&c->error, VARVE_E_CORRUPT, 0,
                        "%s; whether this was all that the log held cannot be told",
                        c->chain.manifest_error.message);
}

/*
 * Reading has failed. Where the log was trimmed meanwhile that is no damage: the file is gone, or has begun
 * another life. 0: nothing that was to come is gone, and reading starts again at it; else what the caller
 * gets.
 */
static int after_failure(struct varve_cursor *c, int rc)
{
    const struct varve_error error = c->error;
    uint64_t time_us = c->time_us, wanted_time_us = c->wanted_time_us;
    /* A frame that was found and could not be given is behind the walk already. */
    uint64_t at = c->held || c->body ? c->frame.header.first_lsn : c->walk.expected;
    uint64_t next_lsn = vv_max_u64(at, c->wanted_lsn);
    bool reloaded = reload(c) == 0;

    if (reloaded && c->chain.manifest.first_lsn > next_lsn)
        return vv_error_set(&c->error, VARVE_E_TRIMMED, 0,
                            "LSN %" PRIu64 " was trimmed while it was read; the first one is %" PRIu64,
                            next_lsn, c->chain.manifest.first_lsn);
    if (reloaded && (c->chain.manifest.first_lsn > at || rc == VARVE_E_TRIMMED)) {
        /* Gone are only records to be passed over, or a file that had none left to give. */
        vv_error_clear(&c->error);
        rc = start_walk(c, next_lsn);
        c->time_us = time_us;
        c->wanted_time_us = wanted_time_us;
        return rc;
    }
    c->error = error;
    vv_error_wrap(&c->error, "%s", c->log->path);
    return rc;
}

int varve_cursor_next(struct varve_cursor *c, struct varve_entry *ret_entry)
{
    int rc;

    if (c->error.code != 0)
        return c->error.code;
    if (atomic_load(&c->log->gate) == VARVE_E_FORKED)
        return vv_error_set(&c->error, VARVE_E_FORKED, 0, "%s", c->log->path);
    if (c->plain)
        return vv_plain_cursor_next(c->plain, ret_entry);
    do {
        rc = next(c, ret_entry);
        if (rc == VARVE_END)
            rc = end_without_manifest(c);
        if (rc >= 0 || rc == VARVE_E_NOMEM)
            return rc;
        rc = after_failure(c, rc);
    } while (rc == 0);
    return rc;
}

int varve_cursor_follow(struct varve_cursor *c, int timeout_ms, struct varve_entry *ret_entry)
{
    struct varve_io *io = c->log->io;
    uint64_t until = timeout_ms < 0 ? UINT64_MAX : io->monotonic_us(io) + (uint64_t)timeout_ms * 1000;
    _Atomic uint32_t nobody = 0;
    int64_t poll_us = 1000;

    for (;;) {
        int rc = varve_cursor_next(c, ret_entry);
        uint64_t now;
        int64_t left;

        if (rc != VARVE_END)
            return rc;
        now = io->monotonic_us(io);
        if (now >= until)
            return VARVE_END;
        left = until == UINT64_MAX ? INT64_MAX / 2 : (int64_t)(until - now);
        if (at_home(c) && !c->log->in_memory) {
            int ms = left > INT32_MAX / 2 ? INT32_MAX / 2000 : (int)(left / 1000) + 1;

            /* A log that has failed gives nothing new. */
            rc = vv_wait_durable(c->log, c->plain ? vv_plain_cursor_expected(c->plain) : c->walk.expected,
                                 (int64_t)ms * 1000);
            if (rc == VARVE_E_TIMEOUT || rc == 0)
                continue;
            return VARVE_END;
        }
        /* Another process writes: there is nothing to sleep on but time. */
        (void)vv_wait_on(&nobody, 0, left < poll_us ? left : poll_us);
        poll_us = poll_us < 20000 ? poll_us * 2 : poll_us;
    }
}

void varve_cursor_error(const struct varve_cursor *c, struct varve_error *ret_error)
{
    const struct varve_error *error =
        c->plain && c->error.code == 0 ? vv_plain_cursor_error(c->plain) : &c->error;

    if (error->code != 0)
        vv_error_copy(ret_error, error);
}

enum varve_verdict varve_cursor_verdict(const struct varve_cursor *c)
{
    return c->plain ? vv_plain_cursor_verdict(c->plain) : c->walk.damage.verdict;
}

uint64_t varve_cursor_lost(const struct varve_cursor *c)
{
    return c->plain ? vv_plain_cursor_lost(c->plain) : c->lost;
}
