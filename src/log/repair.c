/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair: a damaged log -> one that opens under every policy.
 *
 * First everything is read: what cannot be read for want of a key or a codec is not taken for damage, and
 * refuses before anything is changed. Then, in this order: files of other logs are renamed; what MANIFEST and
 * PINS were is kept, and a PINS that cannot be read is replaced by a pin that holds everything; the log is
 * opened under the policy skip, which sets aside what is lost, makes MANIFEST anew where it must, and begins
 * a fresh segment; the index says that the losses are part of a repair; everything is read again.
 *
 * Each step is one rename, or one file replaced as a whole, or what opening does; none takes back another,
 * and each looks at what there is. So a crash in between leaves a log with some of them done, and the next
 * repair does the rest. No byte of a segment that is there is changed.
 */
#include "varve/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/chain.h"
#include "log/duplicate.h"
#include "log/inspect.h"
#include "log/lock.h"
#include "log/lost.h"
#include "log/manifest.h"
#include "log/options.h"
#include "log/pin.h"
#include "log/plain.h"
#include "log/replace.h"
#include "log/stages.h"

#define KEPT ".before-repair"

enum {
    ROUNDS_MAX = 4, /* of accepting: a damage may turn out to be several */
    KEPT_MAX = 100  /* files of one name */
};

struct repair {
    struct varve_io *io;
    struct varve_dir *dir;
    const char *path;
    struct varve_options options;
    bool dry;
    varve_damage_fn damage;
    varve_repair_fn step;
    void *arg;
    struct varve_repair_result *result;
    struct vv_pins *pins;
    int pins_rc;
    struct varve_error *ret_error;
};

VARVE_PRINTF(2, 3)
static void tell(const struct repair *r, const char *fmt, ...)
{
    char text[VARVE_ERROR_MESSAGE_BYTES];
    va_list args;

    if (!r->step)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->step(r->arg, text);
}

/* -- reading -- */

static int read_log(struct repair *r, varve_damage_fn damage, struct varve_verify_result *ret)
{
    int rc;

    *ret = (struct varve_verify_result){.size = sizeof *ret};
    rc = varve_verify(r->path, &r->options, damage, r->arg, ret, r->ret_error);
    if (rc == 0 && ret->unread_frames != 0)
        rc =
            vv_error_set(r->ret_error, ret->unread_code, 0, "%s: %" PRIu64 " records cannot be read here: %s",
                         r->path, ret->unread_records, ret->unread_why);
    return rc;
}

/* What reading alone does not say, or says too late. Errors: VERSION CODEC CORRUPT NOT_REGULAR NOMEM IO. */
static int look(struct repair *r, struct vv_chain *chain)
{
    struct varve_error error;
    int rc = vv_plain_refuse(r->io, r->dir, "is repaired by opening it",
                             "open it for writing with the policy truncate, or skip where that refuses",
                             r->ret_error);

    if (rc == 0)
        rc = vv_chain_load(chain, r->io, r->dir, r->ret_error);
    if (rc != 0)
        return rc;
    rc = vv_chain_refuse(chain, &error);
    if (rc == VARVE_E_FOREIGN)
        rc = 0;
    if (rc == 0)
        rc = vv_chain_codecs(chain, &error);
    if (rc == 0 && chain->manifest_rc != 0 && chain->manifest.first_lsn == 0)
        rc = vv_error_set(&error, VARVE_E_CORRUPT, 0,
                          "%s, and no segment has a sound header: 'varve dump' shows what frames there are",
                          chain->manifest_error.message);
    if (rc == 0) {
        r->pins_rc = vv_pin_read(r->io, r->dir, r->pins, &error);
        rc = r->pins_rc == VARVE_E_CORRUPT ? 0 : r->pins_rc;
    }
    if (rc != 0) {
        vv_error_wrap(&error, "%s", r->path);
        vv_error_copy(r->ret_error, &error);
        vv_chain_free(chain);
    }
    return rc;
}

/* -- keeping what has to make room -- */

/* A name of which there is no file yet. Negative errno. */
static int free_name(const struct repair *r, const char *name, char *out, size_t room)
{
    struct varve_io_stat stat;
    int rc = 0;

    for (unsigned i = 1; rc == 0 && i < KEPT_MAX; i++) {
        if (i == 1)
            snprintf(out, room, "%s" KEPT, name);
        else
            snprintf(out, room, "%s" KEPT "-%u", name, i);
        rc = r->io->stat_name(r->io, r->dir, out, &stat);
    }
    return rc == -ENOENT ? 0 : rc == 0 ? -EEXIST : rc;
}

static int kept_error(const struct repair *r, const char *name, int rc)
{
    return vv_error_set(r->ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                        "%s: %s cannot be kept", r->path, name);
}

static int move_away(struct repair *r, const char *name)
{
    char kept[VV_NAME_BYTES + 32];
    int rc = free_name(r, name, kept, sizeof kept);

    if (rc == 0) {
        tell(r, "%s: belongs to another log; %s %s", name, r->dry ? "would be renamed to" : "renamed to",
             kept);
        r->result->files++;
    }
    if (rc == 0 && !r->dry) {
        rc = r->io->rename(r->io, r->dir, name, kept, 0);
        if (rc == 0)
            rc = r->io->dir_sync(r->io, r->dir);
    }
    return rc == 0 ? 0 : kept_error(r, name, rc);
}

/* A copy, durable before what it is a copy of changes. What is copied is a small file of facts, or was one.
 */
static int keep_copy(struct repair *r, const char *name)
{
    char kept[VV_NAME_BYTES + 32];
    struct varve_file *from, *to;
    struct varve_io_stat stat;
    int rc = free_name(r, name, kept, sizeof kept);

    if (rc == 0) {
        tell(r, "%s: %s %s", name, r->dry ? "would be kept as" : "kept as", kept);
        r->result->files++;
    }
    if (rc != 0 || r->dry)
        return rc == 0 ? 0 : kept_error(r, name, rc);
    rc = r->io->open(r->io, r->dir, name, VARVE_IO_READ, &from);
    if (rc != 0)
        return kept_error(r, name, rc);
    rc = r->io->open(r->io, r->dir, kept, VARVE_IO_WRITE | VARVE_IO_CREATE, &to);
    if (rc == 0) {
        rc = r->io->stat(r->io, from, &stat);
        if (rc == 0)
            rc = vv_lost_copy(r->io, from, 0, stat.size_bytes, to, 0);
        if (rc == 0)
            rc = r->io->sync(r->io, to);
        r->io->close(r->io, to);
    }
    r->io->close(r->io, from);
    if (rc == 0)
        rc = r->io->dir_sync(r->io, r->dir);
    return rc == 0 ? 0 : kept_error(r, name, rc);
}

/* Pins that cannot be read hold nothing, and somebody may still need what they held: so one pin holds all,
 * until a person has looked. */
static int replace_pins(struct repair *r, const struct vv_chain *chain)
{
    struct vv_pin *pin = &r->pins->pin[0];
    char *text;
    int rc = keep_copy(r, VV_PIN_FILE);

    if (rc != 0)
        return rc;
    r->result->pins_made = 1;
    tell(r, VV_PIN_FILE ": does not check; one pin, 'repair', %s every record until it is dropped",
         r->dry ? "would hold" : "holds");
    if (r->dry)
        return 0;
    text = vv_alloc(VV_PINS_BYTES_MAX);
    if (!text)
        return vv_error_set(r->ret_error, VARVE_E_NOMEM, 0, "%s", r->path);
    memset(r->pins, 0, sizeof *r->pins);
    r->pins->count = 1;
    snprintf(pin->name, sizeof pin->name, "repair");
    snprintf(pin->owner, sizeof pin->owner, "varve repair: the pins could not be read");
    pin->lsn = chain->manifest.first_lsn;
    pin->since_us = pin->moved_us = r->io->realtime_us(r->io);
    rc = vv_replace_file(r->io, r->dir, VV_PIN_TEMP, VV_PIN_FILE, text, vv_pins_encode(r->pins, text));
    vv_free(text);
    if (rc != 0)
        return vv_error_set(r->ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            "%s: " VV_PIN_FILE " cannot be written", r->path);
    return 0;
}

static int make_room(struct repair *r, const struct vv_chain *chain)
{
    char name[VV_SEGMENT_NAME_BYTES];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < chain->count; i++) {
        vv_segment_name(chain->links[i].number, name);
        if (chain->links[i].state == VV_LINK_FOREIGN)
            rc = move_away(r, name);
    }
    if (rc == 0 && chain->manifest_rc != 0) {
        r->result->manifest_made = 1;
        tell(r, "MANIFEST: %s made from the segments; what only it knew is gone", r->dry ? "would be" : "is");
        if (chain->manifest_rc != VARVE_E_NOT_FOUND)
            rc = keep_copy(r, VV_MANIFEST_NAME);
    }
    if (rc == 0 && r->pins_rc == VARVE_E_CORRUPT)
        rc = replace_pins(r, chain);
    return rc;
}

/* -- accepting what is lost -- */

static bool mark_repaired(void *arg, struct vv_lost_line *line)
{
    (void)arg;
    line->repaired = line->repaired || line->what != VV_LOST_SET_ASIDE;
    return true;
}

static int accept(struct repair *r)
{
    struct varve_options options = r->options;
    struct varve_error error;
    struct varve_dir *sub;
    struct varve_log *log;
    int rc;

    options.flags = VARVE_OPEN_MUST_EXIST;
    options.policy = VARVE_POLICY_SKIP;
    rc = varve_open(r->path, &options, &log, r->ret_error);
    if (rc == 0)
        rc = varve_close(log, r->ret_error);
    if (rc != 0)
        return rc;
    rc = vv_lost_open(r->io, r->dir, false, &sub, &error);
    if (rc == 0) {
        rc = vv_lost_edit(r->io, sub, mark_repaired, NULL, &error);
        r->io->dir_close(r->io, sub);
    }
    if (rc == 0 || rc == VARVE_E_NOT_FOUND)
        return 0;
    vv_error_wrap(&error, "%s", r->path);
    vv_error_copy(r->ret_error, &error);
    return rc;
}

static int mend(struct repair *r, const struct vv_chain *chain)
{
    struct varve_verify_result after;
    struct varve_file *lock = NULL;
    int rc = r->dry ? 0 : vv_lock_take(r->io, r->dir, &lock, r->ret_error);

    if (rc != 0) {
        vv_error_wrap(r->ret_error, "%s", r->path);
        return rc;
    }
    rc = make_room(r, chain);
    /* Opening takes it itself. Who comes in between finds a log, damaged or not. */
    if (lock)
        r->io->close(r->io, lock);
    for (unsigned round = 0; rc == 0 && !r->dry && round < ROUNDS_MAX; round++) {
        rc = accept(r);
        if (rc == 0)
            rc = read_log(r, NULL, &after);
        if (rc == 0)
            r->result->left = after.damages;
        if (rc == 0 && after.damages == 0)
            break;
    }
    return rc;
}

/* What of the bytes at damages is set aside: each copy in lost/ is as long as what it was. */
static int add_bytes(void *arg, const struct vv_lost_line *line, const char *text, size_t len)
{
    struct repair *r = arg;
    struct varve_io_stat stat;
    struct varve_dir *sub;
    (void)text, (void)len;

    if (!line || !line->file[0] || line->what == VV_LOST_SET_ASIDE ||
        vv_lost_open(r->io, r->dir, false, &sub, NULL) != 0)
        return 0;
    if (r->io->stat_name(r->io, sub, line->file, &stat) == 0)
        r->result->lost_bytes += stat.size_bytes;
    r->io->dir_close(r->io, sub);
    return 0;
}

static void count_bytes(struct repair *r)
{
    struct varve_dir *sub;

    if (vv_lost_open(r->io, r->dir, false, &sub, NULL) != 0)
        return;
    (void)vv_lost_each(r->io, sub, add_bytes, r, NULL);
    r->io->dir_close(r->io, sub);
}

/* Reads, and repairs what is at r->path. */
static int repair_here(struct repair *r)
{
    struct varve_verify_result found;
    struct vv_chain chain;
    struct varve_io *io = r->io;
    int rc = vv_inspect_open_dir(r->path, &r->io, &r->dir, r->ret_error);

    if (rc != 0)
        return rc;
    rc = read_log(r, r->damage, &found);
    if (rc == 0)
        rc = look(r, &chain);
    if (rc == 0) {
        r->result->found = found.found;
        r->result->damages = found.damages + (r->pins_rc != 0);
        r->result->left = r->result->damages;
        if (r->result->damages != 0)
            rc = mend(r, &chain);
        if (rc == 0)
            count_bytes(r);
        vv_chain_free(&chain);
    }
    r->io->dir_close(r->io, r->dir);
    r->io = io;
    return rc;
}

/* Beside a writer what is read is of no one moment. */
static int check_alone(struct repair *r, const char *path)
{
    struct varve_dir *dir;
    bool held = false;
    int64_t pid;
    int rc = vv_inspect_open_own(path, r->io, &dir, r->ret_error);

    if (rc != 0)
        return rc;
    rc = vv_lock_held(r->io, dir, &held, &pid, r->ret_error);
    if (rc == 0 && held)
        rc = vv_error_set(r->ret_error, VARVE_E_LOCKED, 0, "%s: process %" PRId64 " has the log open", path,
                          pid);
    r->io->dir_close(r->io, dir);
    return rc;
}

static int repair_copy(struct repair *r, const char *path, const char *to)
{
    struct varve_io *from = r->io;
    struct varve_dir *dir;
    char *copy = vv_duplicate_path(to);
    int created, rc;

    if (!copy)
        return vv_error_set(r->ret_error, VARVE_E_NOMEM, 0, "%s", to);
    rc = r->io->dir_open(r->io, NULL, to, 0, &dir, &created);
    if (rc == 0)
        r->io->dir_close(r->io, dir);
    if (rc != -ENOENT) {
        vv_free(copy);
        return vv_error_set(r->ret_error, VARVE_E_EXISTS, 0, "%s: is there already", to);
    }
    rc = vv_inspect_open_dir(path, &from, &dir, r->ret_error);
    if (rc == 0) {
        tell(r, "copying to %s", copy);
        rc = vv_duplicate_make(from, dir, copy, r->ret_error);
        from->dir_close(from, dir);
    }
    if (rc == 0)
        rc = check_alone(r, path); /* or what was copied is of two moments */
    r->path = copy;
    if (rc == 0)
        rc = repair_here(r);
    if (rc == 0)
        rc = vv_duplicate_finish(r->io, copy, to, r->ret_error);
    r->path = path;
    vv_free(copy);
    return rc;
}

int varve_repair(const char *path, const char *to, const struct varve_options *options, unsigned flags,
                 varve_damage_fn damage, varve_repair_fn step, void *arg,
                 struct varve_repair_result *ret_result, struct varve_error *ret_error)
{
    struct varve_repair_result result = {.size = sizeof result};
    struct varve_error error;
    struct varve_options known;
    struct repair r = {.path = path,
                       .dry = flags & VARVE_REPAIR_DRY_RUN,
                       .damage = damage,
                       .step = step,
                       .arg = arg,
                       .result = &result,
                       .ret_error = &error};
    int rc;

    if (!path || !*path || (to && !*to) || (flags & ~(unsigned)VARVE_REPAIR_DRY_RUN) || !ret_result ||
        ret_result->size < sizeof ret_result->size)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "a path, known flags and a place for the result are needed");
    vv_options_copy(options, &known);
    r.options = (struct varve_options){.size = sizeof r.options,
                                       .io = known.io,
                                       .keys = known.keys,
                                       .message = known.message,
                                       .message_arg = known.message_arg,
                                       .message_level = known.message_level,
                                       .progress = known.progress,
                                       .progress_arg = known.progress_arg};
    r.io = known.io ? known.io : varve_io_system();
    r.pins = vv_alloc_zero(sizeof *r.pins);
    if (!r.pins)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", path);
    vv_error_clear(&error);
    rc = check_alone(&r, path);
    if (rc == 0)
        rc = to && !r.dry ? repair_copy(&r, path, to) : repair_here(&r);
    vv_free(r.pins);
    if (rc != 0) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    result.size = ret_result->size;
    memcpy(ret_result, &result, vv_min_u64(ret_result->size, sizeof result));
    return 0;
}
