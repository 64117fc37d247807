/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_read: a file -> bytes, for the walk over its records and for the search behind a damage.
 *
 * Nothing is mapped: a file that another process cuts must not end in SIGBUS. A file that turns out shorter
 * than it was is believed, and its size corrected.
 */
#include "log/plain_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

enum {
    WINDOW_BYTES = 256 * 1024,
};

void vv_plain_reader_init(struct vv_plain_reader *r, struct varve_io *io)
{
    memset(r, 0, sizeof *r);
    r->io = io;
}

static void drop_search(struct vv_plain_reader *r)
{
    vv_free(r->search);
    vv_free(r->piece);
    r->search = NULL;
    r->piece = NULL;
    r->piece_room = 0;
}

void vv_plain_reader_close(struct vv_plain_reader *r)
{
    if (r->file)
        r->io->close(r->io, r->file);
    r->file = NULL;
    r->have = 0;
    drop_search(r);
}

void vv_plain_reader_free(struct vv_plain_reader *r)
{
    vv_plain_reader_close(r);
    vv_free(r->window);
    r->window = NULL;
    r->room = 0;
}

static int unreadable(struct vv_plain_reader *r, int rc, uint64_t offset, struct varve_error *ret_error)
{
    return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s, byte %" PRIu64 ": cannot be read", r->name, offset);
}

int vv_plain_reader_refresh(struct vv_plain_reader *r, struct varve_error *ret_error)
{
    struct varve_io_stat stat;
    int rc = r->io->stat(r->io, r->file, &stat);

    if (rc != 0)
        return unreadable(r, rc, 0, ret_error);
    r->bytes = stat.size_bytes;
    r->have = 0;
    drop_search(r);
    return 0;
}

int vv_plain_reader_open(struct vv_plain_reader *r, struct varve_dir *dir, const char *name,
                         struct varve_error *ret_error)
{
    int rc;

    vv_plain_reader_close(r);
    rc = r->io->open(r->io, dir, name, VARVE_IO_READ, &r->file);
    if (rc != 0) {
        r->file = NULL;
        if (rc == -ELOOP || rc == -EMEDIUMTYPE)
            return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a regular file", name);
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", name);
    }
    snprintf(r->name, sizeof r->name, "%s", name);
    rc = vv_plain_reader_refresh(r, ret_error);
    if (rc != 0)
        vv_plain_reader_close(r);
    return rc;
}

/* Reads `len` bytes, fewer where the file ends. Bytes, or a negative errno. */
static ssize_t read_some(struct vv_plain_reader *r, uint8_t *to, size_t len, uint64_t offset)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = r->io->pread(r->io, r->file, to + got, len - got, offset + got);

        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    r->bytes_read += got;
    return (ssize_t)got;
}

static int make_room(struct vv_plain_reader *r, size_t want, struct varve_error *ret_error)
{
    size_t room = vv_max_u64(want, WINDOW_BYTES);
    uint8_t *window;

    if (r->room >= room)
        return 0;
    window = vv_alloc(room);
    if (!window)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s: %zu bytes for a record", r->name, room);
    if (r->window)
        memcpy(window, r->window, r->have);
    vv_free(r->window);
    r->window = window;
    r->room = room;
    return 0;
}

int vv_plain_reader_at(struct vv_plain_reader *r, uint64_t offset, size_t want, const uint8_t **ret_bytes,
                       size_t *ret_have, struct varve_error *ret_error)
{
    uint64_t left = r->bytes > offset ? r->bytes - offset : 0;
    size_t skip;
    int rc;

    want = vv_min_u64(want, left);
    if (offset < r->window_at || offset > r->window_at + r->have) {
        r->window_at = offset;
        r->have = 0;
    }
    skip = (size_t)(offset - r->window_at);
    if (r->have - skip < want || r->room == 0) {
        ssize_t n;

        rc = make_room(r, want, ret_error);
        if (rc != 0)
            return rc;
        memmove(r->window, r->window + skip, r->have - skip);
        r->have -= skip;
        r->window_at = offset;
        skip = 0;
        n = read_some(r, r->window + r->have, vv_min_u64(left, r->room) - r->have, offset + r->have);
        if (n < 0)
            return unreadable(r, (int)n, offset + r->have, ret_error);
        r->have += (size_t)n;
        if (r->have < want)
            r->bytes = offset + r->have;
    }
    *ret_bytes = r->window + skip;
    *ret_have = r->have - skip;
    return 0;
}

int vv_plain_reader_zeros(struct vv_plain_reader *r, uint64_t offset, bool *ret_zeros,
                          struct varve_error *ret_error)
{
    *ret_zeros = true;
    while (offset < r->bytes) {
        const uint8_t *bytes;
        size_t have;
        int rc = vv_plain_reader_at(r, offset, 1, &bytes, &have, ret_error);

        if (rc != 0)
            return rc;
        if (!vv_is_zero(bytes, have)) {
            *ret_zeros = false;
            return 0;
        }
        offset += have;
    }
    return 0;
}

/* -- the search -- */

static int source_read(void *arg, uint64_t offset, size_t len, const uint8_t **ret_bytes)
{
    struct vv_plain_reader *r = arg;
    ssize_t n;

    if (r->piece_room < len) {
        uint8_t *piece = vv_realloc(r->piece, vv_max_u64(len, VV_SPANS_READ));

        if (!piece) {
            r->failed = -ENOMEM;
            return VARVE_E_NOMEM;
        }
        r->piece = piece;
        r->piece_room = vv_max_u64(len, VV_SPANS_READ);
    }
    n = read_some(r, r->piece, len, offset);
    if (n < 0) {
        r->failed = (int)n;
        return VARVE_E_IO;
    }
    /* Cut by somebody while it is searched: what is missing reads as zeros, and is asked for again. */
    memset(r->piece + n, 0, len - (size_t)n);
    *ret_bytes = r->piece;
    return 0;
}

static int make_search(struct vv_plain_reader *r, const struct varve_format *format,
                       struct varve_error *ret_error)
{
    void *memory;

    if (r->search)
        return 0;
    memory = vv_alloc(vv_format_search_bytes(r->bytes));
    if (!memory)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s: searching behind a damage", r->name);
    r->source = (struct vv_format_source){source_read, r, r->bytes};
    r->search = vv_format_search_init(memory, format, &r->source);
    return 0;
}

static int search_failed(struct vv_plain_reader *r, int rc, uint64_t offset, struct varve_error *ret_error)
{
    int failed = r->failed;

    drop_search(r);
    if (rc == VARVE_E_NOMEM)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s: searching behind a damage", r->name);
    return unreadable(r, failed, offset, ret_error);
}

int vv_plain_reader_judge(struct vv_plain_reader *r, const struct varve_format *format, uint64_t offset,
                          bool last, struct vv_format_judgement *ret_judgement, struct varve_error *ret_error)
{
    int rc = make_search(r, format, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_format_judge(r->search, offset, last, ret_judgement);
    /* It has gone to the end: whoever searches on begins anew. */
    if (rc == 0)
        drop_search(r);
    return rc == 0 ? 0 : search_failed(r, rc, offset, ret_error);
}

int vv_plain_reader_next(struct vv_plain_reader *r, const struct varve_format *format, uint64_t offset,
                         uint64_t *ret_offset, struct varve_error *ret_error)
{
    int rc = make_search(r, format, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_format_search_next(r->search, offset, ret_offset);
    return rc >= 0 ? rc : search_failed(r, rc, offset, ret_error);
}
