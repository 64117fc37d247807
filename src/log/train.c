/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train: a log -> a dictionary for zstd.
 *
 * In: records. Out: a dictionary of what they have in common. Samples come evenly from all of the log: every
 * record at first; whenever there are too many, every second one of them is dropped, and from then on only
 * half as many are taken. So memory is bounded, and the same log gives the same dictionary.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/options.h"
#include "varve/varve.h"

#ifdef VARVE_HAVE_ZSTD

#include "codec/zstd_train.h"

enum {
    SAMPLES_MAX = 100000,
    SAMPLE_BYTES_MAX = 16384, /* a longer record gives its beginning */
    ROOM_MIN = 1024,
    ROOM_MAX = 1 << 20,
};

struct samples {
    uint8_t *bytes;
    size_t room, used;
    size_t *lengths; /* SAMPLES_MAX */
    unsigned count;
    uint64_t every, seen; /* one of so many records; records that were seen */
};

/* Drops every second sample. */
static void thin_out(struct samples *s)
{
    size_t from = 0, to = 0;
    unsigned kept = 0;

    for (unsigned i = 0; i < s->count; i++) {
        size_t length = s->lengths[i];

        if (i % 2 == 0) {
            memmove(s->bytes + to, s->bytes + from, length);
            to += length;
            s->lengths[kept++] = length;
        }
        from += length;
    }
    s->count = kept;
    s->used = to;
    s->every *= 2;
}

static void take(struct samples *s, const struct varve_entry *entry)
{
    size_t length = vv_min_u64(entry->data_bytes, SAMPLE_BYTES_MAX);

    if (s->seen++ % s->every != 0 || length == 0)
        return;
    while (s->count == SAMPLES_MAX || s->room - s->used < length)
        thin_out(s);
    memcpy(s->bytes + s->used, entry->data, length);
    s->used += length;
    s->lengths[s->count++] = length;
}

static int read_samples(struct samples *s, const char *path, const struct varve_options *options,
                        struct varve_error *ret_error)
{
    struct varve_cursor *cursor = NULL;
    struct varve_log *log = NULL;
    struct varve_entry entry;
    uint64_t last, told = 0;
    int rc = varve_open(path, options, &log, ret_error);

    if (rc != 0)
        return rc;
    last = varve_last_lsn(log);
    rc = varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, ret_error);
    while (rc == 0 && (rc = varve_cursor_next(cursor, &entry)) == 0) {
        take(s, &entry);
        if (options->progress && entry.lsn - told >= 10000) {
            told = entry.lsn;
            if (options->progress(options->progress_arg, vv_min_u64(told, last), last) != 0)
                rc = vv_error_set(ret_error, VARVE_E_CLOSED, 0, "stopped by the caller");
        }
    }
    if (rc < 0 && rc != VARVE_E_CLOSED && cursor)
        varve_cursor_error(cursor, ret_error);
    varve_cursor_close(cursor);
    (void)varve_close(log, NULL); /* nothing was written */
    return rc == VARVE_END ? 0 : rc;
}

int varve_train(const char *path, const struct varve_options *options, void *ret_dictionary, size_t room,
                size_t *ret_bytes, struct varve_error *ret_error)
{
    struct samples s = {.every = 1, .room = room * 100};
    struct varve_options own = {.size = sizeof own}, known;
    int rc;

    if (!path || !*path || !ret_dictionary || !ret_bytes || room < ROOM_MIN || room > ROOM_MAX)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "a path and room for a dictionary of %d bytes to %d are needed", ROOM_MIN,
                            ROOM_MAX);
    vv_options_copy(options, &known);
    own.flags = VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST;
    own.io = known.io;
    own.keys = known.keys;
    own.message = known.message;
    own.message_arg = known.message_arg;
    own.message_level = known.message_level;
    own.progress = known.progress;
    own.progress_arg = known.progress_arg;
    s.bytes = vv_alloc(s.room);
    s.lengths = vv_alloc_array(SAMPLES_MAX, sizeof *s.lengths);
    rc = s.bytes && s.lengths ? read_samples(&s, path, &own, ret_error)
                              : vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s: samples", path);
    if (rc == 0) {
        rc = vv_zstd_train(ret_dictionary, room, ret_bytes, s.bytes, s.lengths, s.count, ret_error);
        if (rc != 0)
            vv_error_wrap(ret_error, "%s: %" PRIu64 " records", path, s.seen);
    }
    vv_free(s.bytes);
    vv_free(s.lengths);
    return rc;
}

#else

int varve_train(const char *path, const struct varve_options *options, void *ret_dictionary, size_t room,
                size_t *ret_bytes, struct varve_error *ret_error)
{
    (void)path, (void)options, (void)ret_dictionary, (void)room, (void)ret_bytes;
    return vv_error_set(ret_error, VARVE_E_CODEC, 0, "the codec zstd is not in this build");
}

#endif
