/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert: a log in one format -> its records in a new log, in another.
 *
 * In: a log that nobody writes, read through a cursor as anybody would. Out: a new log, written through the
 * engine. Three passes: the first says what the target cannot hold, before anything is made; the second
 * appends; the third reads what was written and holds it against what was read.
 *
 * A crash must not leave something that looks like the target and is a part of it. So the log is made under
 * another name beside it, and gets its own by a rename, when all of it is durable and compared.
 *
 * Ways to fail: the source is damaged; a payload is none of the target's; what was begun and failed is left
 * under its own name, and refuses the next call until it is removed.
 */
#include "varve/convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "log/convert_place.h"
#include "log/convert_record.h"
#include "log/lock.h"
#include "log/manifest.h"
#include "log/options.h"
#include "log/pin.h"
#include "log/plain.h"
#include "log/plain_side.h"
#include "log/replace.h"
#include "log/rewrite.h"
#include "varve/varve.h"

#define SUFFIX   ".converting"
#define STEP_LSN 1024u /* records between two looks at the progress */

struct convert {
    struct varve_io *io;
    struct varve_options from, to; /* as they were given, at their full size */
    bool lossy;
    varve_convert_fn lost;
    void *arg;

    struct varve_log *source;
    struct varve_dir *dir; /* where the target is made */
    char *path, *temp;     /* of the target, without slashes at its end; where it is made */
    char *pins;            /* PINS of the source; NULL: there is none */
    size_t pins_bytes;
    uint8_t uuid[16];
    bool has_uuid;

    struct vv_converter converter;
    uint64_t start_lsn;           /* of the target */
    uint64_t first_lsn, last_lsn; /* of the source */
    uint64_t total;               /* bytes of it, for the progress */
    uint64_t payload_max;
    struct varve_convert_result result;
};

/* What a pass read. */
struct sum {
    uint64_t records;
    uint32_t crc;
};

static void add_up(struct sum *sum, const struct vv_converted *r, const void *data, size_t bytes)
{
    const struct varve_format_entry *is = &r->is;
    uint8_t facts[32];

    vv_put_u64(facts, r->lsn);
    vv_put_u64(facts + 8, is->flags & VARVE_RECORD_TXN ? is->txn_id : 0);
    vv_put_u64(facts + 16, r->timed ? is->time : 0);
    vv_put_u32(facts + 24, is->type);
    vv_put_u32(facts + 28, is->flags & VARVE_RECORD_TXN);
    sum->crc = vv_crc32c(sum->crc, facts, sizeof facts);
    sum->crc = vv_crc32c(sum->crc, is->origin, sizeof is->origin);
    sum->crc = vv_crc32c(sum->crc, data, bytes);
    sum->records++;
}

/* -- reading -- */

static int tell_progress(const struct convert *c, unsigned pass, uint64_t done, uint64_t all,
                         struct varve_error *ret_error)
{
    const struct varve_options *o = &c->from;
    double part = all ? (double)done / (double)all : 1;

    if (!o->progress || (done % STEP_LSN != 0 && done != all))
        return 0;
    if (o->progress(o->progress_arg, c->total * pass + (uint64_t)((double)c->total * part), 3 * c->total) ==
        0)
        return 0;
    return vv_error_set(ret_error, VARVE_E_CLOSED, 0, "stopped by the caller");
}

typedef int (*entry_fn)(struct convert *c, const struct varve_entry *entry,
                        const struct vv_converted *converted, void *arg, struct varve_error *ret_error);

/* The next record of the source, and what becomes of it. */
static int next_entry(struct convert *c, struct varve_cursor *cursor, struct varve_entry *entry,
                      struct vv_converted *converted, struct varve_error *ret_error)
{
    int rc = varve_cursor_next(cursor, entry);

    if (rc != 0) {
        varve_cursor_error(cursor, ret_error);
        return rc;
    }
    rc = vv_convert_record(&c->converter, entry, converted, ret_error);
    if (rc != 0) {
        ret_error->code = rc = VARVE_E_UNSUPPORTED;
        vv_error_wrap(ret_error, "%s: LSN %" PRIu64, c->source->path, entry->lsn);
    }
    return rc;
}

/* Goes through the source: in the first pass to its end, then up to the last record that the first met. */
static int each_entry(struct convert *c, unsigned pass, entry_fn fn, void *arg, struct varve_error *ret_error)
{
    uint64_t all = c->last_lsn + 1 - c->first_lsn, done = 0;
    struct vv_converted converted;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    int rc = varve_cursor_open(c->source, c->from.policy, &cursor, ret_error);

    if (rc != 0)
        return rc;
    memset(c->converter.losses, 0, sizeof c->converter.losses);
    c->converter.next_lsn = c->start_lsn;
    c->converter.newest_us = 0;
    while (rc == 0 && (pass == 0 || done < c->result.records)) {
        rc = next_entry(c, cursor, &entry, &converted, ret_error);
        if (rc == 0)
            rc = fn(c, &entry, &converted, arg, ret_error);
        if (rc == 0)
            rc = tell_progress(c, pass, vv_min_u64(++done, all), all, ret_error);
    }
    if (pass == 0) {
        c->result.verdict = varve_cursor_verdict(cursor);
        c->result.lost_records = varve_cursor_lost(cursor);
    }
    varve_cursor_close(cursor);
    return rc == VARVE_END ? 0 : rc;
}

/* -- the source -- */

static int free_source(struct convert *c, struct varve_error *ret_error)
{
    int64_t pid;
    bool held;
    int rc = vv_lock_held(c->io, c->source->dir, &held, &pid, ret_error);

    if (rc == 0 && held)
        rc = vv_error_set(ret_error, VARVE_E_LOCKED, 0, "%s: process %" PRId64 " has it open for writing",
                          c->source->path, pid);
    return rc;
}

static int read_pins(struct convert *c, struct varve_error *ret_error)
{
    int rc;

    c->pins = vv_alloc(VV_PINS_BYTES_MAX + 1);
    if (!c->pins)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    rc = vv_replace_read(c->io, c->source->dir, VV_PIN_FILE, c->pins, VV_PINS_BYTES_MAX + 1, &c->pins_bytes);
    if (rc == 0)
        return 0;
    vv_free(c->pins);
    c->pins = NULL;
    return rc == -ENOENT ? 0 : vv_error_set(ret_error, VARVE_E_IO, -rc, VV_PIN_FILE ": cannot be read");
}

static void read_uuid(struct convert *c)
{
    const struct vv_plain_files *files;

    c->has_uuid = c->converter.from->carries & VARVE_FIELD_UUID;
    if (!c->source->plain) {
        memcpy(c->uuid, c->source->manifest.uuid, sizeof c->uuid);
        return;
    }
    files = &c->source->plain->files;
    if (files->meta_rc == 0)
        memcpy(c->uuid, files->meta.uuid, sizeof c->uuid);
    else if (files->count > 0)
        memcpy(c->uuid, files->items[0].header.uuid, sizeof c->uuid);
    else
        c->has_uuid = false;
}

static int open_source(struct convert *c, const char *path, struct varve_error *ret_error)
{
    struct varve_options o = {.size = sizeof o,
                              .flags = VARVE_OPEN_READ_ONLY,
                              .format = c->from.format,
                              .policy = c->from.policy,
                              .keys = c->from.keys,
                              .io = c->io};
    int rc = varve_open(path, &o, &c->source, ret_error);

    if (rc != 0)
        return rc;
    c->converter.from = varve_log_format(c->source);
    c->first_lsn = varve_first_lsn(c->source);
    c->last_lsn = vv_max_u64(varve_last_lsn(c->source), c->first_lsn - 1);
    /* Records with numbers of their own begin with 1; else the log's beginning can be told beside them. */
    c->start_lsn =
        c->converter.to->carries & VARVE_FIELD_LSN && !(c->converter.to->traits & VARVE_FORMAT_NATIVE)
            ? 1
            : c->first_lsn;
    c->total = vv_max_u64(c->source->recovery.bytes, 1);
    read_uuid(c);
    rc = free_source(c, ret_error);
    return rc == 0 ? read_pins(c, ret_error) : rc;
}

/* -- the first pass -- */

static int look(struct convert *c, const struct varve_entry *entry, const struct vv_converted *converted,
                void *arg, struct varve_error *ret_error)
{
    (void)converted;
    (void)arg;
    (void)ret_error;
    c->result.records++;
    c->result.payload_bytes += entry->data_bytes;
    c->payload_max = vv_max_u64(c->payload_max, entry->data_bytes);
    return 0;
}

static void tell_loss(struct convert *c, const char *text)
{
    c->result.losses++;
    if (c->lost)
        c->lost(c->arg, text);
}

/* What lies beside the records and has no place in the target. */
static void tell_beside(struct convert *c)
{
    const struct vv_plain_files *files = c->source->plain ? &c->source->plain->files : NULL;
    char text[160];

    if (c->pins && c->converter.losses[VV_LOSS_NUMBER].records != 0) {
        tell_loss(c, "pins are of records that have other numbers there");
        vv_free(c->pins);
        c->pins = NULL;
    }
    if (!files || files->meta_rc != 0 || (files->meta.snapshot == 0 && files->meta.covered_lsn == 0))
        return;
    snprintf(text, sizeof text, "%s names a snapshot, which is not part of the log and is not copied",
             files->format->meta_name);
    tell_loss(c, text);
}

static int survey(struct convert *c, struct varve_error *ret_error)
{
    char text[160];
    int rc = each_entry(c, 0, look, NULL, ret_error);

    if (rc != 0)
        return rc;
    for (enum vv_loss loss = 0; loss < VV_LOSS_COUNT; loss++) {
        if (c->converter.losses[loss].records == 0)
            continue;
        vv_convert_loss(&c->converter, loss, text, sizeof text);
        tell_loss(c, text);
    }
    tell_beside(c);
    c->result.first_lsn = c->start_lsn;
    c->result.last_lsn = c->start_lsn + c->result.records - 1;
    if (c->result.losses == 0 || c->lossy)
        return 0;
    return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0, "%s: the format %s cannot hold all that is in it",
                        c->source->path, c->converter.to->name);
}

/* -- the target -- */

/* A native log that does not begin with LSN 1 has that from its first segment. */
static int write_start(struct convert *c, const struct vv_manifest *m, struct varve_error *ret_error)
{
    struct vv_rewrite w = {.io = c->io,
                           .dir = c->dir,
                           .segment_bytes =
                               c->to.segment_bytes ? c->to.segment_bytes : c->converter.to->segment_default,
                           .sector_bytes = VV_SECTOR_BYTES_MIN,
                           .manifest = *m};
    int rc = vv_manifest_write(c->io, c->dir, m, ret_error);

    if (rc != 0 || m->first_lsn == 1)
        return rc;
    rc = vv_rewrite_segment(&w, m->first_lsn, 0, 0, ret_error);
    if (rc == 0)
        rc = vv_rewrite_end(&w, ret_error);
    vv_rewrite_free(&w);
    return rc;
}

/* The facts that a new log is to begin with, in the place where opening looks for them. */
static int write_facts(struct convert *c, struct varve_error *ret_error)
{
    const struct varve_format *to = c->converter.to;
    struct vv_side side = {.first = 1, .first_lsn = c->start_lsn};
    struct varve_format_meta meta = {.codec = "identity", .last_segment = 1};
    struct vv_manifest m = {
        .created_us = c->io->realtime_us(c->io), .first_segment = 1, .first_lsn = c->start_lsn};
    uint8_t bytes[VARVE_FORMAT_META_MAX];
    int rc = 0;

    if (to->traits & VARVE_FORMAT_NATIVE) {
        rc = c->has_uuid ? 0 : c->io->random(c->io, c->uuid, sizeof c->uuid);
        memcpy(m.uuid, c->uuid, sizeof m.uuid);
        return rc == 0 ? write_start(c, &m, ret_error)
                       : vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for a UUID");
    }
    if (c->start_lsn != 1) {
        snprintf(side.format, sizeof side.format, "%s", to->name);
        rc = vv_plain_side_write(c->io, c->dir, &side, ret_error);
    }
    if (rc != 0 || !c->has_uuid || !to->meta_put)
        return rc;
    memcpy(meta.uuid, c->uuid, sizeof meta.uuid);
    rc = vv_replace_file(c->io, c->dir, to->meta_temp, to->meta_name, (const char *)bytes,
                         to->meta_put(&meta, bytes));
    return rc == 0 ? 0 : vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be written", to->meta_name);
}

static int make_dir(struct convert *c, struct varve_error *ret_error)
{
    int created, rc = c->io->dir_open(c->io, NULL, c->temp, 1, &c->dir, &created);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, ENOENT, "%s: the directory above it does not exist",
                            c->path);
    if (rc == 0)
        rc = c->io->dir_sync_parent(c->io, c->dir);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be made", c->temp);
    return write_facts(c, ret_error);
}

/* As they are asked for, and as a copy wants them: nobody waits for a single record. */
static void fill_options(struct convert *c, struct varve_options *o)
{
    const struct varve_format *to = c->converter.to;

    *o = (struct varve_options){.size = sizeof *o,
                                .flags = VARVE_OPEN_TIMES,
                                .durability = to->durability ? to->durability : VARVE_BUFFERED,
                                .policy = VARVE_POLICY_HALT,
                                .io = c->io,
                                .format = to->name,
                                .backend = c->to.backend,
                                .segment_bytes = c->to.segment_bytes,
                                .slot_bytes = c->to.slot_bytes,
                                .slot_count = c->to.slot_count,
                                .codec = c->to.codec,
                                .codec_level = c->to.codec_level,
                                .keys = c->to.keys,
                                .dictionary = c->to.dictionary,
                                .dictionary_bytes = c->to.dictionary_bytes,
                                .message = c->to.message,
                                .message_arg = c->to.message_arg,
                                .message_level = c->to.message_level};
    if (c->payload_max > (UINT64_C(64) << 20))
        o->record_max = c->payload_max;
}

/* What the engine would find wrong with the target later on, before anything is made. */
static int check_target(struct convert *c, struct varve_error *ret_error)
{
    struct varve_options o, filled;
    int rc;

    fill_options(c, &o);
    rc = vv_options_fill(&o, &filled, ret_error);
    if (rc == 0 && c->payload_max > filled.record_max)
        rc = vv_error_set(ret_error, VARVE_E_TOO_LARGE, 0,
                          "option segment_bytes: a file of %" PRIu64 " bytes holds no record of %" PRIu64,
                          filled.segment_bytes, c->payload_max);
    if (rc == 0 && filled.codec && !varve_codec_get(filled.codec))
        rc = vv_error_set(ret_error, VARVE_E_CODEC, 0, "option codec: this build has no codec '%s'",
                          filled.codec);
    if (rc == 0)
        rc = vv_convert_place(c->io, c->path, false, ret_error);
    return rc == 0 ? vv_convert_place(c->io, c->temp, true, ret_error) : rc;
}

/* -- the second pass -- */

struct copying {
    struct varve_log *log;
    struct sum sum;
};

static int copy(struct convert *c, const struct varve_entry *entry, const struct vv_converted *converted,
                void *arg, struct varve_error *ret_error)
{
    struct copying *to = arg;
    uint64_t lsn;
    int rc = varve_append_async(to->log, &converted->record, &lsn);

    (void)c;
    if (rc != 0) {
        if (varve_error_first(to->log, ret_error) == 0 && varve_error_space(to->log, ret_error) == 0)
            vv_error_set(ret_error, rc, 0, "LSN %" PRIu64 " cannot be appended", entry->lsn);
        return rc;
    }
    if (lsn != converted->lsn)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "LSN %" PRIu64 " was appended as %" PRIu64,
                            converted->lsn, lsn);
    add_up(&to->sum, converted, entry->data, entry->data_bytes);
    return 0;
}

static int write_target(struct convert *c, struct sum *sum, struct varve_error *ret_error)
{
    struct copying to = {0};
    struct varve_error error;
    struct varve_options o;
    int rc = make_dir(c, ret_error), closed;

    if (rc != 0)
        return rc;
    fill_options(c, &o);
    rc = varve_open(c->temp, &o, &to.log, ret_error);
    if (rc != 0)
        return rc;
    rc = each_entry(c, 1, copy, &to, ret_error);
    closed = varve_close(to.log, &error); /* makes all of it durable */
    if (rc == 0 && closed != 0) {
        vv_error_copy(ret_error, &error);
        rc = closed;
    }
    if (rc == 0 && c->pins) {
        rc = vv_replace_file(c->io, c->dir, VV_PIN_TEMP, VV_PIN_FILE, c->pins, c->pins_bytes);
        if (rc != 0)
            rc = vv_error_set(ret_error, VARVE_E_IO, -rc, VV_PIN_FILE ": cannot be written");
    }
    *sum = to.sum;
    return rc;
}

/* -- the third -- */

static void as_read(const struct varve_entry *entry, bool timed, struct vv_converted *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->lsn = entry->lsn;
    ret->timed = timed;
    ret->is.type = entry->type;
    ret->is.flags = entry->flags;
    ret->is.txn_id = entry->txn_id;
    ret->is.time = entry->time;
    memcpy(ret->is.origin, entry->origin, sizeof entry->origin);
}

static int read_again(struct convert *c, struct varve_log *log, struct sum *sum,
                      struct varve_error *ret_error)
{
    const uint32_t both = c->converter.from->carries & c->converter.to->carries;
    struct vv_converted converted;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    int rc = varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, ret_error);

    if (rc != 0)
        return rc;
    while (rc == 0 && (rc = varve_cursor_next(cursor, &entry)) == 0) {
        as_read(&entry, both & VARVE_FIELD_TIME, &converted);
        add_up(sum, &converted, entry.data, entry.data_bytes);
        rc = tell_progress(c, 2, vv_min_u64(sum->records, c->result.records), c->result.records, ret_error);
    }
    varve_cursor_error(cursor, ret_error);
    varve_cursor_close(cursor);
    return rc == VARVE_END ? 0 : rc;
}

static int compare(struct convert *c, const struct sum *was, struct varve_error *ret_error)
{
    struct varve_options o = {.size = sizeof o,
                              .flags = VARVE_OPEN_READ_ONLY,
                              .format = c->converter.to->name,
                              .policy = VARVE_POLICY_HALT,
                              .keys = c->to.keys,
                              .io = c->io};
    struct varve_log *log;
    struct sum is = {0};
    int rc = varve_open(c->temp, &o, &log, ret_error);

    if (rc != 0)
        return rc;
    rc = read_again(c, log, &is, ret_error);
    (void)varve_close(log, NULL);
    if (rc == 0 && (is.crc != was->crc || is.records != was->records || is.records != c->result.records))
        rc = vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                          "what was written is not what was read: %" PRIu64 " records of %" PRIu64,
                          is.records, c->result.records);
    return rc;
}

/* -- all of it -- */

static int name_paths(struct convert *c, const char *target, struct varve_error *ret_error)
{
    size_t length = strlen(target);

    while (length > 1 && target[length - 1] == '/')
        length--;
    c->path = vv_alloc(length + 1);
    c->temp = vv_alloc(length + sizeof SUFFIX);
    if (!c->path || !c->temp)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", target);
    snprintf(c->path, length + 1, "%s", target);
    snprintf(c->temp, length + sizeof SUFFIX, "%.*s" SUFFIX, (int)length, target);
    return 0;
}

static int convert(struct convert *c, const char *source, const char *target, struct varve_error *ret_error)
{
    struct sum sum = {0};
    int rc = vv_plain_named(c->to.format ? c->to.format : "varve", &c->converter.to, ret_error);

    if (rc == 0)
        rc = name_paths(c, target, ret_error);
    if (rc == 0)
        rc = open_source(c, source, ret_error);
    if (rc != 0)
        return rc;
    rc = survey(c, ret_error);
    if (rc == 0)
        rc = check_target(c, ret_error);
    if (rc != 0)
        return rc;
    rc = write_target(c, &sum, ret_error);
    if (rc == 0)
        rc = compare(c, &sum, ret_error);
    if (rc != 0) {
        vv_error_wrap(ret_error, "%s, not finished", c->temp);
        return rc;
    }
    return vv_convert_name(c->io, c->temp, c->path, ret_error);
}

static void close_all(struct convert *c)
{
    if (c->dir)
        c->io->dir_close(c->io, c->dir);
    if (c->source)
        (void)varve_close(c->source, NULL);
    vv_free(c->pins);
    vv_free(c->path);
    vv_free(c->temp);
}

int varve_convert(const char *source, const struct varve_options *from, const char *target,
                  const struct varve_options *to, unsigned flags, varve_convert_fn lost, void *arg,
                  struct varve_convert_result *ret_result, struct varve_error *ret_error)
{
    struct convert c = {.lossy = flags & VARVE_CONVERT_LOSSY, .lost = lost, .arg = arg};
    struct varve_error error;
    int rc;

    if (!source || !*source || !target || !*target || (flags & ~(unsigned)VARVE_CONVERT_LOSSY) ||
        (ret_result && ret_result->size < sizeof ret_result->size))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "two paths are needed, and flags that are known");
    vv_options_copy(from, &c.from);
    vv_options_copy(to, &c.to);
    c.io = c.from.io ? c.from.io : varve_io_system();
    vv_error_clear(&error);
    rc = convert(&c, source, target, &error);
    close_all(&c);
    if (rc != 0) {
        vv_error_copy(ret_error, &error);
    } else if (ret_result) {
        c.result.size = ret_result->size;
        memcpy(ret_result, &c.result, vv_min_u64(ret_result->size, sizeof c.result));
    }
    return rc;
}
