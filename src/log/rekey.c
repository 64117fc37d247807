/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rekey: a log -> the same log in another directory, under another codec or key.
 *
 * In: a log that nobody writes. Out: its UUID, its records with their LSNs, their times and their frames, and
 * its pins, everything packed and sealed anew.
 *
 * A crash must not leave something that looks like a log and is a part of one. So the first thing in the new
 * directory is a MANIFEST that says that the copy is not finished, which every way of opening refuses, and
 * the last thing is the one that says that the log was closed in order and where it ends. Between them all
 * files are made durable, read again, and held against what was read from the source.
 *
 * Ways to fail: the source is damaged, or cannot be read for want of a key; the target is there already. What
 * was begun and failed is left, and refused as said.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "format/record.h"
#include "log/decode.h"
#include "log/dictionary.h"
#include "log/inspect.h"
#include "log/lock.h"
#include "log/manifest.h"
#include "log/options.h"
#include "log/pin.h"
#include "log/plain.h"
#include "log/replace.h"
#include "log/rewrite.h"
#include "log/walk.h"
#include "varve/varve.h"

/* What one pass over a log read. */
struct sum {
    uint64_t records;
    uint64_t end_lsn; /* behind the last record */
    uint32_t crc;     /* of LSNs, times and raw bodies */
};

struct rekey {
    struct varve_options options;
    struct varve_dir *source_dir, *target_dir;
    struct varve_io *source_io; /* of the source, which may have a second directory */
    struct varve_file *source_lock, *target_lock;
    struct vv_chain source;
    struct vv_rewrite to;
    void *dictionary;
    uint64_t total; /* bytes of the source's segments */
    uint32_t log_seed;
};

/* -- reading, the source and what was made of it alike -- */

static int check_records(const struct rekey *k, const struct vv_scan_frame *frame, const uint8_t *body,
                         struct varve_error *ret_error)
{
    const struct vv_frame_header *h = &frame->header;
    uint64_t offset = 0;
    struct vv_record record;

    for (uint32_t i = 0; i < h->count; i++) {
        uint32_t seed = vv_record_seed(k->log_seed, h->first_lsn + i);

        if (vv_record_decode(body, h->raw_bytes, offset, seed, &record, &offset) != VV_RECORD_OK)
            return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                                "segment %" PRIu64 ", byte %" PRIu64 ": record %" PRIu64
                                " does not check in a frame that does",
                                h->segment, frame->offset, h->first_lsn + i);
    }
    return 0;
}

static void add_up(struct sum *sum, const struct vv_frame_header *h, const uint8_t *body)
{
    uint8_t facts[24];

    vv_put_u64(facts, h->first_lsn);
    vv_put_u64(facts + 8, h->time_us);
    vv_put_u32(facts + 16, h->count);
    vv_put_u32(facts + 20, h->raw_bytes);
    sum->crc = vv_crc32c(sum->crc, facts, sizeof facts);
    sum->crc = vv_crc32c(sum->crc, body, h->raw_bytes);
    sum->records += h->count;
}

/* Where a pass stands, which began with `from` bytes. */
static int tell(const struct rekey *k, uint64_t from, uint64_t read, struct varve_error *ret_error)
{
    const struct varve_options *o = &k->options;
    uint64_t done = from + vv_min_u64(read, k->total);

    if (o->progress && o->progress(o->progress_arg, done, 2 * k->total) != 0)
        return vv_error_set(ret_error, VARVE_E_CLOSED, 0, "stopped by the caller");
    return 0;
}

typedef int (*frame_fn)(struct rekey *k, const struct vv_frame_header *header, const uint8_t *body,
                        struct varve_error *ret_error);

/* Reads all of a chain, hands each frame on, and adds up. */
static int read_all(struct rekey *k, struct vv_chain *chain, uint64_t from, frame_fn fn, struct sum *sum,
                    struct varve_error *ret_error)
{
    struct vv_scan_frame frame;
    const uint8_t *body;
    struct vv_walk walk;
    uint64_t told = 0;
    int rc = vv_walk_init(&walk, chain, 0, k->options.policy);

    if (rc != 0)
        return vv_error_set(ret_error, rc, 0, "reading the log");
    while (rc == 0 && (rc = vv_walk_next(&walk, &frame, ret_error)) == 0) {
        rc = vv_decode_body(&walk.scan, &frame, &body, ret_error);
        if (rc == 0)
            rc = check_records(k, &frame, body, ret_error);
        if (rc == 0)
            add_up(sum, &frame.header, body);
        if (rc == 0 && fn)
            rc = fn(k, &frame.header, body, ret_error);
        if (rc == 0 && walk.scan.bytes_read - told >= (UINT64_C(4) << 20)) {
            told = walk.scan.bytes_read;
            rc = tell(k, from, told, ret_error);
        }
    }
    sum->end_lsn = walk.expected;
    vv_walk_free(&walk);
    return rc == VARVE_END ? 0 : rc;
}

/* -- the source -- */

static int open_source(struct rekey *k, const char *path, struct varve_error *ret_error)
{
    struct varve_io *io = k->to.io;
    int rc = vv_inspect_open_dir(path, &io, &k->source_dir, ret_error);

    k->source_io = io;

    if (rc == 0)
        rc = vv_plain_refuse(io, k->source_dir, "has no codecs of ours", "there is nothing to encode anew",
                             ret_error);
    if (rc != 0)
        return rc;
    rc = vv_chain_load(&k->source, io, k->source_dir, ret_error);
    if (rc == 0 && k->source.manifest_rc == VARVE_E_NOT_FOUND && k->source.count == 0)
        rc = vv_error_set(ret_error, VARVE_E_FORMAT, 0, "there is no log in the directory");
    if (rc == 0)
        rc = vv_chain_refuse(&k->source, ret_error);
    if (rc == 0)
        rc = vv_chain_codecs(&k->source, ret_error);
    if (rc == 0 && k->source.manifest_rc != 0) {
        vv_error_copy(ret_error, &k->source.manifest_error);
        rc = k->source.manifest_rc;
    }
    if (rc != 0)
        return rc;
    /* Where nobody may write, nobody does: a copy on a medium that is read-only is as good. */
    rc = vv_lock_take(io, k->source_dir, &k->source_lock, ret_error);
    if (rc == VARVE_E_IO && (ret_error->sys_errno == EROFS || ret_error->sys_errno == EACCES))
        rc = 0;
    /* Looked at again, now that it stays as it is. */
    if (rc == 0)
        rc = vv_chain_reload(&k->source, ret_error);
    k->source.keys = k->options.keys;
    for (size_t i = 0; i < k->source.count; i++) {
        const struct vv_link *link = &k->source.links[i];

        if (link->state != VV_LINK_SOUND)
            continue;
        k->total += link->file_bytes;
        k->to.sector_bytes = link->header.sector_bytes;
        if (k->options.segment_bytes == 0)
            k->to.segment_bytes = link->header.capacity;
    }
    k->log_seed = vv_record_log_seed(k->source.manifest.uuid);
    return rc;
}

/* Whether the codecs, keys and dictionaries are there that its segments need, as far as their first frames
 * tell: before anything is made. */
static int try_segments(struct rekey *k, struct varve_error *ret_error)
{
    struct vv_scan_frame frame;
    enum vv_scan_status status;
    const uint8_t *body;
    struct vv_scan scan;
    int rc = vv_scan_init(&scan, k->source_io);

    if (rc != 0)
        return vv_error_set(ret_error, rc, 0, "reading the log");
    for (size_t i = 0; rc == 0 && i < k->source.count; i++) {
        const struct vv_link *link = &k->source.links[i];

        if (link->state != VV_LINK_SOUND || link->header.base_lsn >= link->end_lsn)
            continue;
        rc = vv_scan_open(&scan, &k->source, link, ret_error);
        if (rc == 0)
            rc = vv_scan_look(&scan, &frame, &status, ret_error);
        if (rc == 0 && status == VV_SCAN_FRAME && frame.header.count > 0)
            rc = vv_decode_body(&scan, &frame, &body, ret_error);
        vv_scan_close(&scan);
    }
    vv_scan_free(&scan);
    return rc;
}

/* -- the target -- */

static int choose_codec(struct rekey *k, const struct varve_codec **ret_codec, struct varve_error *ret_error)
{
    struct vv_manifest *m = &k->to.manifest;
    const char *name = k->options.codec ? k->options.codec : m->codec ? m->codec_name : "identity";
    const struct varve_codec *codec = varve_codec_get(name);

    if (!codec)
        return vv_error_set(ret_error, VARVE_E_CODEC, 0, "option codec: this build has no codec '%s'", name);
    if (k->options.dictionary && k->options.dictionary_bytes > 0 && !vv_codec_packer(codec))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option dictionary: the codec %s takes none",
                            name);
    *ret_codec = codec;
    return 0;
}

/* The dictionary that was given, or that the source has, into `setup`. */
static int choose_dictionary(struct rekey *k, const struct varve_codec *codec,
                             struct varve_codec_setup *setup, struct varve_error *ret_error)
{
    const struct vv_dictionary_place place = {k->source_io, k->source_dir, k->source.manifest.uuid,
                                              k->options.keys};
    const struct varve_codec *before = varve_codec_by_id(k->source.manifest.codec);
    uint32_t had = k->source.manifest.dictionary;
    int rc;

    if (k->options.dictionary) {
        setup->dictionary = k->options.dictionary_bytes ? k->options.dictionary : NULL;
        setup->dictionary_bytes = k->options.dictionary_bytes;
        return 0;
    }
    if (had == 0 || !before || vv_codec_packer(before) != vv_codec_packer(codec))
        return 0;
    rc = vv_dictionary_read(&place, had, &k->dictionary, &setup->dictionary_bytes, ret_error);
    setup->dictionary = k->dictionary;
    return rc;
}

/* Everything that can be wrong with what was asked for, before anything is made. */
static int prepare(struct rekey *k, struct varve_codec_setup *setup, struct varve_error *ret_error)
{
    struct vv_manifest *m = &k->to.manifest;
    const struct varve_codec *codec = NULL;
    int rc;

    *m = k->source.manifest;
    m->failover[0] = 0; /* the new log's directory holds all of it */
    rc = choose_codec(k, &codec, ret_error);
    if (rc != 0)
        return rc;
    *setup = (struct varve_codec_setup){.size = sizeof *setup,
                                        .level = k->options.codec_level,
                                        .bytes_max = VV_CODEC_PACKED_MAX,
                                        .keys = k->options.keys};
    memcpy(setup->uuid, m->uuid, sizeof setup->uuid);
    rc = choose_dictionary(k, codec, setup, ret_error);
    if (rc == 0)
        rc = vv_encoder_open(&k->to.encoder, codec, setup, ret_error);
    if (rc != 0)
        return rc;
    m->codec = codec->id;
    memset(m->codec_name, 0, sizeof m->codec_name);
    if (codec->id != VARVE_CODEC_IDENTITY)
        memcpy(m->codec_name, codec->name, strlen(codec->name));
    m->dictionary = 0;
    m->first_segment = 1;
    m->clean = 0;
    m->incomplete = 1;
    rc = k->to.io->random(k->to.io, &k->to.session, sizeof k->to.session);
    return rc == 0 ? 0 : vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for a session");
}

static int exists(struct rekey *k, struct varve_error *ret_error)
{
    struct vv_manifest m;

    if (vv_manifest_read(k->to.io, k->target_dir, &m, NULL) == 0 && m.incomplete)
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0,
                            "holds a copy that was not finished; remove it, and start again");
    return vv_error_set(ret_error, VARVE_E_EXISTS, 0, "is there already, and nothing in it is touched");
}

static int make_target(struct rekey *k, const char *path, const struct varve_codec_setup *setup,
                       struct varve_error *ret_error)
{
    struct vv_dictionary_place place = {k->to.io, NULL, k->to.manifest.uuid, k->options.keys};
    struct varve_io *io = k->to.io;
    int created = 0, rc = io->dir_open(io, NULL, path, 1, &k->target_dir, &created);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, ENOENT, "the directory above it does not exist");
    if (rc == -ENOTDIR || rc == -ELOOP)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "not a directory, or a link");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory cannot be made");
    if (!created)
        return exists(k, ret_error);
    k->to.dir = place.dir = k->target_dir;
    rc = io->dir_sync_parent(io, k->target_dir);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory's name cannot be made durable");
    rc = vv_lock_take(io, k->target_dir, &k->target_lock, ret_error);
    if (rc == 0)
        rc = vv_manifest_write(io, k->target_dir, &k->to.manifest, ret_error);
    if (rc == 0 && setup->dictionary)
        rc = vv_dictionary_install(&place, &k->to.encoder, k->to.session, setup->dictionary,
                                   setup->dictionary_bytes, &k->to.manifest.dictionary, ret_error);
    return rc;
}

static int copy_pins(struct rekey *k, struct varve_error *ret_error)
{
    struct varve_io *io = k->to.io;
    char *text = vv_alloc(VV_PINS_BYTES_MAX + 1);
    size_t length;
    int rc;

    if (!text)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, VV_PIN_FILE);
    rc = vv_replace_read(k->source_io, k->source_dir, VV_PIN_FILE, text, VV_PINS_BYTES_MAX + 1, &length);
    if (rc == 0)
        rc = vv_replace_file(io, k->target_dir, VV_PIN_TEMP, VV_PIN_FILE, text, length);
    vv_free(text);
    if (rc == 0 || rc == -ENOENT)
        return 0;
    return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                        VV_PIN_FILE ": cannot be copied");
}

static int write_frame(struct rekey *k, const struct vv_frame_header *header, const uint8_t *body,
                       struct varve_error *ret_error)
{
    return vv_rewrite_frame(&k->to, header, body, ret_error);
}

static int copy(struct rekey *k, struct sum *sum, struct varve_error *ret_error)
{
    const struct vv_manifest *m = &k->to.manifest;
    struct varve_io *io = k->to.io;
    int rc = read_all(k, &k->source, 0, write_frame, sum, ret_error);

    /* A log without a record has its first LSN from somewhere too. */
    if (rc == 0 && k->to.segments == 0)
        rc = vv_rewrite_segment(&k->to, m->first_lsn, m->created_us, 0, ret_error);
    if (rc == 0)
        rc = vv_rewrite_end(&k->to, ret_error);
    if (rc == 0)
        rc = copy_pins(k, ret_error);
    if (rc == 0) {
        rc = io->dir_sync(io, k->target_dir);
        if (rc != 0)
            rc = vv_error_set(ret_error, VARVE_E_IO, -rc, "the new names cannot be made durable");
    }
    return rc;
}

/* Reads what was made as a reader would, and holds it against what was read before. */
static int compare(struct rekey *k, const struct sum *was, struct varve_error *ret_error)
{
    struct vv_chain made;
    struct sum is = {0};
    int rc = vv_chain_load(&made, k->to.io, k->target_dir, ret_error);

    if (rc != 0)
        return rc;
    made.keys = k->options.keys;
    rc = read_all(k, &made, k->total, NULL, &is, ret_error);
    vv_chain_free(&made);
    if (rc == 0 && (is.crc != was->crc || is.records != was->records || is.end_lsn != was->end_lsn))
        rc = vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                          "what was written is not what was read: %" PRIu64 " records to LSN %" PRIu64
                          " of %" PRIu64 " to %" PRIu64,
                          is.records, is.end_lsn - 1, was->records, was->end_lsn - 1);
    return rc;
}

static int finish(struct rekey *k, const struct sum *sum, struct varve_error *ret_error)
{
    struct vv_manifest *m = &k->to.manifest;

    m->incomplete = 0;
    m->clean = 1;
    m->last_lsn = sum->end_lsn - 1;
    return vv_manifest_write(k->to.io, k->target_dir, m, ret_error);
}

static void close_all(struct rekey *k)
{
    struct varve_io *io = k->to.io;

    vv_rewrite_free(&k->to);
    vv_chain_free(&k->source);
    vv_free(k->dictionary);
    if (k->target_lock)
        io->close(io, k->target_lock);
    if (k->source_lock)
        k->source_io->close(k->source_io, k->source_lock);
    if (k->target_dir)
        io->dir_close(io, k->target_dir);
    if (k->source_dir)
        k->source_io->dir_close(k->source_io, k->source_dir);
}

static int rekey(struct rekey *k, const char *source, const char *target, struct sum *sum,
                 struct varve_error *error)
{
    struct varve_codec_setup setup;
    int rc = open_source(k, source, error);

    if (rc == 0)
        rc = prepare(k, &setup, error);
    if (rc == 0)
        rc = try_segments(k, error);
    if (rc != 0) {
        vv_error_wrap(error, "%s", source);
        return rc;
    }
    rc = make_target(k, target, &setup, error);
    if (rc != 0) {
        vv_error_wrap(error, "%s", target);
        return rc;
    }
    rc = copy(k, sum, error);
    if (rc == 0)
        rc = compare(k, sum, error);
    if (rc == 0)
        rc = finish(k, sum, error);
    if (rc != 0)
        vv_error_wrap(error, "%s, not finished", target);
    return rc;
}

int varve_rekey(const char *source, const char *target, const struct varve_options *options,
                struct varve_rekey_result *ret_result, struct varve_error *ret_error)
{
    struct varve_options filled;
    struct rekey k = {.to.sector_bytes = VV_SECTOR_BYTES_MIN};
    struct varve_rekey_result result;
    struct varve_error error;
    struct sum sum = {0};
    int rc;

    if (!source || !*source || !target || !*target ||
        (ret_result && ret_result->size < sizeof ret_result->size))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "two paths are needed");
    rc = vv_options_fill(options, &filled, ret_error);
    if (rc != 0)
        return rc;
    vv_options_copy(options, &k.options);
    if (k.options.policy == VARVE_POLICY_SKIP)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option policy: a log with damage is not copied; skip cannot be asked for");
    k.to.io = filled.io;
    k.to.segment_bytes = filled.segment_bytes;
    vv_error_clear(&error);
    rc = rekey(&k, source, target, &sum, &error);
    result = (struct varve_rekey_result){.first_lsn = k.to.manifest.first_lsn,
                                         .last_lsn = sum.end_lsn - 1,
                                         .records = k.to.records,
                                         .frames = k.to.frames,
                                         .segments = k.to.segments,
                                         .raw_bytes = k.to.raw_bytes,
                                         .stored_bytes = k.to.stored_bytes};
    close_all(&k);
    if (rc != 0) {
        vv_error_copy(ret_error, &error);
    } else if (ret_result) {
        result.size = ret_result->size;
        memcpy(ret_result, &result, vv_min_u64(ret_result->size, sizeof result));
    }
    return rc;
}
