/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover: which second directory a log has, and that it is the right one.
 *
 * In: a log's directory and options. Out: a pair of both in the place of the log's directory. MANIFEST says
 * where the second one is, written while the first one's device is well; the second one has the file
 * FAILOVER, which says whose it is. So neither is taken for the other's by mistake, a log never goes on
 * without what may lie in its second directory, and nothing that has to be known is written when a device has
 * failed.
 *
 * Ways to fail: the second directory is not there, is another log's, or would be left with records in it:
 * opening is refused, and nothing is changed.
 */
#include "log/failover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "format/frame.h"
#include "log/manifest.h"
#include "log/pin.h"
#include "log/prepare.h"
#include "log/replace.h"
#include "log/tell.h"

#define MARK_TEMP   VV_FAILOVER_MARK ".tmp"
#define MARK_BYTES  128u
#define PROBE_NAME  "new-probe.tmp"
#define UUID_DIGITS 32u

/* Of the second directory's own. */
static bool hides(const char *name)
{
    return strcmp(name, VV_FAILOVER_MARK) == 0 || strcmp(name, MARK_TEMP) == 0 ||
           strcmp(name, VV_FAILOVER_READY) == 0 || strcmp(name, VV_FAILOVER_READY_TEMP) == 0;
}

/* -- FAILOVER -- */

static size_t encode_mark(const uint8_t *uuid, char *out)
{
    char digits[UUID_DIGITS + 1];
    int len;

    for (unsigned i = 0; i < VV_UUID_BYTES; i++)
        snprintf(digits + 2 * i, 3, "%02x", uuid[i]);
    len = snprintf(out, MARK_BYTES, "varve failover 1\nuuid %s\n", digits);
    len += snprintf(out + len, MARK_BYTES - (size_t)len, "crc32c %08" PRIx32 "\n",
                    vv_crc32c(0, out, (size_t)len));
    return (size_t)len;
}

/* Whose the directory is: 1 = this log's, 0 = nobody's. Errors: FOREIGN IO. */
static int read_mark(struct varve_io *io, struct varve_dir *dir, const uint8_t *uuid, const char *path,
                     struct varve_error *ret_error)
{
    char text[MARK_BYTES], ours[MARK_BYTES];
    size_t len;
    int rc = vv_replace_read(io, dir, VV_FAILOVER_MARK, text, sizeof text, &len);

    if (rc == -ENOENT)
        return 0;
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "failover_dir %s: %s cannot be read", path,
                            VV_FAILOVER_MARK);
    /* Where MANIFEST is gone too nothing can be compared; the segments' own headers are. */
    if (uuid && (len != encode_mark(uuid, ours) || memcmp(text, ours, len) != 0))
        return vv_error_set(ret_error, VARVE_E_FOREIGN, 0, "failover_dir %s: belongs to another log", path);
    return 1;
}

static int write_mark(struct vv_failover *fo, const uint8_t *uuid, struct varve_error *ret_error)
{
    struct varve_io *io = vv_pair_below(fo->pair);
    struct varve_dir *dir = vv_pair_side_dir(fo->pair, VV_AWAY);
    char text[MARK_BYTES];
    int rc = vv_replace_file(io, dir, MARK_TEMP, VV_FAILOVER_MARK, text, encode_mark(uuid, text));

    if (rc == 0)
        rc = io->dir_sync_parent(io, dir);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "failover_dir %s: %s cannot be written", fo->path,
                            VV_FAILOVER_MARK);
    fo->marked = true;
    return 0;
}

/* -- which directory -- */

static int see_records(void *arg, const char *name)
{
    uint64_t number;
    (void)arg;

    return vv_segment_name_parse(name, &number) || strcmp(name, VV_MANIFEST_NAME) == 0 ||
           strcmp(name, VV_PIN_FILE) == 0;
}

/* Whether anything in it may be part of a log. Errors: IO. */
static int holds_records(struct varve_io *io, struct varve_dir *dir, const char *path,
                         struct varve_error *ret_error)
{
    int rc = io->dir_list(io, dir, see_records, NULL);

    return rc >= 0 ? rc : vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be listed", path);
}

static int open_away(struct varve_io *io, const char *path, bool create, struct varve_dir **ret_dir,
                     struct varve_error *ret_error)
{
    int created = 0, rc = io->dir_open(io, NULL, path, create, ret_dir, &created);

    if (rc == 0)
        return 0;
    if (create)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "failover_dir %s: cannot be opened", path);
    return vv_error_set(ret_error, VARVE_E_IO, -rc,
                        "failover_dir %s: cannot be opened, and may hold records of the log; bring it back, "
                        "or name its new place",
                        path);
}

/* Opens the second directory of a log that has one. `uuid` may be NULL: not known. */
static int open_known(struct varve_io *io, const char *path, const uint8_t *uuid, struct varve_dir **ret_dir,
                      struct varve_error *ret_error)
{
    struct varve_dir *dir;
    int rc = open_away(io, path, false, &dir, ret_error);

    if (rc != 0)
        return rc;
    rc = read_mark(io, dir, uuid, path, ret_error);
    if (rc == 0)
        rc = vv_error_set(ret_error, VARVE_E_IO, ENOENT,
                          "failover_dir %s: has no file %s, so it is not the directory that may hold records "
                          "of the log; is its device mounted?",
                          path, VV_FAILOVER_MARK);
    if (rc < 0) {
        io->dir_close(io, dir);
        return rc;
    }
    *ret_dir = dir;
    return 0;
}

/* A log may leave its second directory only when nothing lies there. */
static int leave_known(struct varve_log *log, const struct vv_manifest *m, struct varve_error *ret_error)
{
    struct varve_dir *dir;
    int rc = open_known(log->io, m->failover, m->uuid, &dir, ret_error);

    if (rc != 0)
        return log->options.policy == VARVE_POLICY_SKIP ? 0 : rc;
    rc = holds_records(log->io, dir, m->failover, ret_error);
    log->io->dir_close(log->io, dir);
    if (rc > 0)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option failover_dir: %s still holds segments of the log; open it with that "
                            "directory, and trim past them first",
                            m->failover);
    return rc;
}

/* The directory that the options name, where that is not the one that MANIFEST names. *ret_marked: it is this
 * log's already, and was moved. `m` NULL: there is no MANIFEST that could be read. */
static int open_named(struct varve_log *log, const char *path, const struct vv_manifest *m,
                      struct varve_dir **ret_dir, bool *ret_marked, struct varve_error *ret_error)
{
    struct varve_io *io = log->io;
    struct varve_dir *dir;
    int rc = open_away(io, path, true, &dir, ret_error), marked, holds = 0;

    if (rc != 0)
        return rc;
    rc = marked = read_mark(io, dir, m ? m->uuid : NULL, path, ret_error);
    if (rc == VARVE_E_FOREIGN)
        rc = vv_error_set(ret_error, VARVE_E_INVALID, 0, "option failover_dir: %s belongs to another log",
                          path);
    if (rc >= 0)
        rc = holds = holds_records(io, dir, path, ret_error);
    if (rc >= 0 && !marked && holds)
        rc =
            vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                         "failover_dir %s: holds a log, or segments, and no file %s", path, VV_FAILOVER_MARK);
    if (rc >= 0 && marked && !m) {
        rc = holds_records(io, log->dir, log->path, ret_error);
        if (rc == 0)
            rc = vv_error_set(
                ret_error, VARVE_E_INVALID, 0,
                "option failover_dir: %s belongs to a log, and there is none here; is the log's own "
                "device mounted?",
                path);
    }
    if (rc >= 0 && !marked && m && m->failover[0])
        rc = leave_known(log, m, ret_error);
    if (rc < 0) {
        io->dir_close(io, dir);
        return rc;
    }
    *ret_dir = dir;
    *ret_marked = marked != 0;
    return 0;
}

/* -- opening -- */

static int refuse_second(struct varve_io *io, struct varve_dir *dir, struct varve_error *ret_error)
{
    struct varve_io_stat stat;
    int rc = io->stat_name(io, dir, VV_FAILOVER_MARK, &stat);

    if (rc == -ENOENT)
        return 0;
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc,
                            VV_FAILOVER_MARK ": whether it is there cannot be told");
    return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                        "this is the second directory of a log; open the log by its own");
}

/* MANIFEST alone: 1 = *ret_manifest is it, 0 = there is none that can be read. Errors: IO NOT_REGULAR. */
static int peek(struct varve_io *io, struct varve_dir *dir, struct vv_manifest *ret_manifest,
                struct varve_error *ret_error)
{
    struct varve_error error;
    int rc = vv_manifest_read(io, dir, ret_manifest, &error);

    if (rc == VARVE_E_IO || rc == VARVE_E_NOT_REGULAR) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    return rc == 0;
}

/* The path that the options name, from the root; empty: none, or not to have one any more. */
static int named_path(const struct varve_log *log, char *out, struct varve_error *ret_error)
{
    const char *option = log->options.failover_dir;
    int rc;

    out[0] = 0;
    if (!option || !*option)
        return 0;
    rc = vv_pair_absolute(option, out, VV_MANIFEST_PATH_BYTES);
    if (rc != 0 || !vv_manifest_path_fits(out))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option failover_dir: %s is not a path of less than %u characters", option,
                            VV_MANIFEST_PATH_BYTES);
    return 0;
}

static int make_pair(struct varve_log *log, struct varve_dir *away, const char *path, bool marked,
                     struct varve_error *ret_error)
{
    struct vv_failover *fo = vv_alloc_zero(sizeof *fo);
    int rc = fo ? vv_pair_open(log->io, log->dir, away, hides, &fo->pair) : -ENOMEM;

    if (rc != 0) {
        vv_free(fo);
        log->io->dir_close(log->io, away);
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "failover_dir %s", path);
    }
    pthread_mutex_init(&fo->mutex, NULL);
    snprintf(fo->path, sizeof fo->path, "%s", path);
    fo->marked = marked;
    log->failover = fo;
    log->io = vv_pair_io(fo->pair);
    log->dir = vv_pair_dir(fo->pair);
    return 0;
}

static int attach(struct varve_log *log, struct vv_manifest *m, char *path, struct varve_error *ret_error)
{
    bool leaves = log->options.failover_dir && !*log->options.failover_dir, marked = true;
    bool looks = log->read_only || log->in_memory; /* nothing is written anywhere */
    struct varve_dir *away;
    int known = peek(log->io, log->dir, m, ret_error), rc;
    const char *before = known > 0 ? m->failover : "";

    if (known < 0)
        return known;
    rc = named_path(log, path, ret_error);
    if (rc != 0)
        return rc;
    if (!path[0] && before[0] && (!leaves || looks))
        snprintf(path, VV_MANIFEST_PATH_BYTES, "%s", before);
    if (!path[0])
        return before[0] ? leave_known(log, m, ret_error) : 0;
    if (looks && !before[0] && (known || log->in_memory))
        return 0;
    if (!known && (log->options.flags & VARVE_OPEN_MUST_EXIST)) {
        rc = holds_records(log->io, log->dir, log->path, ret_error);
        if (rc <= 0)
            return rc; /* there is no log, as will be told */
    }
    if (looks || strcmp(path, before) == 0)
        rc = open_known(log->io, path, known ? m->uuid : NULL, &away, ret_error);
    else
        rc = open_named(log, path, known ? m : NULL, &away, &marked, ret_error);
    return rc != 0 ? rc : make_pair(log, away, path, marked, ret_error);
}

int vv_failover_attach(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_manifest *m;
    int rc;

    if (!log->dir)
        return 0;
    rc = refuse_second(log->io, log->dir, ret_error);
    if (rc != 0)
        return rc;
    m = vv_alloc(sizeof *m + VV_MANIFEST_PATH_BYTES);
    if (!m)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "failover_dir");
    rc = attach(log, m, (char *)(m + 1), ret_error);
    vv_free(m);
    return rc;
}

int vv_failover_follow(struct varve_io **io, struct varve_dir **dir, struct varve_error *ret_error)
{
    struct vv_manifest *m = vv_alloc_zero(sizeof *m);
    struct varve_dir *away;
    struct vv_pair *pair;
    int rc;

    if (!m)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_MANIFEST_NAME);
    rc = peek(*io, *dir, m, ret_error);
    if (rc > 0 && m->failover[0])
        rc = open_known(*io, m->failover, m->uuid, &away, ret_error);
    else if (rc > 0)
        rc = 0;
    if (rc == 0 && m->failover[0] != 0)
        rc = vv_pair_open(*io, *dir, away, hides, &pair) == 0 ? 1 : VARVE_E_NOMEM;
    vv_free(m);
    if (rc != 1)
        return rc;
    *io = vv_pair_io(pair);
    *dir = vv_pair_dir(pair);
    return 0;
}

int vv_failover_settle(struct varve_log *log, int manifest_rc, struct varve_error *ret_error)
{
    struct vv_failover *fo = log->failover;
    int rc;

    if (!fo || log->in_memory)
        return 0;
    rc = vv_pair_learn(fo->pair);
    if (rc == 0 && manifest_rc == 0)
        rc = vv_pair_bring_home(fo->pair, VV_MANIFEST_TEMP, VV_MANIFEST_NAME, VV_MANIFEST_BYTES_MAX);
    else if (rc == 0 && log->options.policy == VARVE_POLICY_SKIP &&
             vv_pair_is_away(fo->pair, VV_MANIFEST_NAME))
        rc = vv_pair_unlink_on(fo->pair, VV_AWAY,
                               VV_MANIFEST_NAME); /* it would cover the one that is made anew */
    if (rc == 0)
        rc = vv_pair_sync_on(fo->pair, VV_AWAY); /* a name that the last process gave may not be durable */
    if (rc == 0)
        rc = vv_pair_bring_home(fo->pair, VV_PIN_TEMP, VV_PIN_FILE, VV_PINS_BYTES_MAX);
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, -rc,
                            "failover_dir %s: what was written there cannot be taken over", fo->path);
    return 0;
}

int vv_failover_note(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_failover *fo = log->failover;
    int rc;

    if (!fo) {
        log->manifest.failover[0] = 0;
        return 0;
    }
    rc = read_mark(vv_pair_below(fo->pair), vv_pair_side_dir(fo->pair, VV_AWAY), log->manifest.uuid, fo->path,
                   ret_error);
    if (rc == 0)
        rc = write_mark(fo, log->manifest.uuid, ret_error);
    if (rc < 0)
        return rc;
    snprintf(log->manifest.failover, sizeof log->manifest.failover, "%s", fo->path);
    return 0;
}

/* What its device needs for direct I/O; 0: it cannot. */
static uint32_t away_align(struct vv_pair *pair)
{
    struct varve_io *io = vv_pair_io(pair);
    struct varve_io_stat stat = {.direct_align = 0};
    struct varve_file *file;
    int rc = vv_pair_unlink_on(pair, VV_AWAY, PROBE_NAME);

    if (rc == 0 || rc == -ENOENT)
        rc = vv_pair_open_on(pair, VV_AWAY, PROBE_NAME, VARVE_IO_WRITE | VARVE_IO_CREATE | VARVE_IO_DIRECT,
                             &file);
    if (rc != 0)
        return 0;
    rc = io->stat(io, file, &stat);
    io->close(io, file);
    (void)vv_pair_unlink_on(pair, VV_AWAY, PROBE_NAME);
    if (rc != 0)
        return 0;
    return stat.direct_align != 0 ? stat.direct_align : VV_SECTOR_BYTES_MAX;
}

void vv_failover_device(struct varve_log *log, uint32_t *align)
{
    struct varve_options *o = &log->options;
    uint32_t away;

    if (!log->failover || log->in_memory || !log->direct)
        return;
    away = away_align(log->failover->pair);
    if (away != 0 && away <= VV_SECTOR_BYTES_MAX && (o->sector_bytes == 0 || away <= o->sector_bytes)) {
        *align = (uint32_t)vv_max_u64(*align, away);
        return;
    }
    vv_pair_away_buffered(log->failover->pair);
    /* As in vv_device_choose: of two syncs under way the wrong one may be told of an error. */
    o->writes_in_flight = 1;
}
