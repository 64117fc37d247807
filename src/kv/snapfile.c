/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/snapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/crc.h"
#include "base/error.h"
#include "kv/stream.h"

enum {
    VERSION = 1,
    HEADER_BYTES = 64,
    HEADER_SUM_AT = 60,
    END_BYTES = 64,
    BLOCK_HEAD = 32,
    BLOCK_BYTES = 1 << 20, /* when a block is full */
    ENTRY_HEAD = 24,
    BLOCK_MAGIC = 0x4b4c4256, /* "VBLK" */
    END_MAGIC = 0x444e4556,   /* "VEND" */
};

static const uint8_t magic[8] = {'V', 'A', 'R', 'V', 'E', 'K', 'V', 'S'};

void vv_snap_name(uint64_t lsn, char name[VV_SNAP_NAME_BYTES])
{
    (void)snprintf(name, VV_SNAP_NAME_BYTES, "snap-%016" PRIx64 ".kvs", lsn);
}

bool vv_snap_parse(const char *name, uint64_t *ret_lsn)
{
    char again[VV_SNAP_NAME_BYTES];
    uint64_t lsn;

    if (sscanf(name, "snap-%16" SCNx64, &lsn) != 1)
        return false;
    vv_snap_name(lsn, again);
    if (strcmp(name, again) != 0)
        return false;
    *ret_lsn = lsn;
    return true;
}

/* -- writing -- */

static void write_all(struct vv_snap_writer *w, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    while (!w->failed && bytes > 0) {
        const struct iovec piece = {(void *)(uintptr_t)at, bytes};
        ssize_t n = w->io->pwritev(w->io, w->file, &piece, 1, w->snap.bytes, 0);

        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0) {
            w->sys_errno = n < 0 ? (int)-n : EIO;
            w->failed = w->sys_errno == ENOSPC || w->sys_errno == EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO;
            return;
        }
        at += n;
        bytes -= (size_t)n;
        w->snap.bytes += (uint64_t)n;
    }
}

void vv_snap_begin(struct vv_snap_writer *w, struct varve_io *io, struct varve_file *file, uint64_t lsn,
                   uint64_t from_lsn, uint64_t created_us)
{
    uint8_t header[HEADER_BYTES] = {0};

    *w = (struct vv_snap_writer){.io = io, .file = file};
    w->snap.lsn = lsn;
    w->snap.from_lsn = from_lsn;
    w->snap.created_us = created_us;
    w->used = BLOCK_HEAD;
    memcpy(header, magic, sizeof magic);
    vv_put_u32(header + 8, VERSION);
    vv_put_u64(header + 16, lsn);
    vv_put_u64(header + 24, created_us);
    vv_put_u64(header + 32, from_lsn);
    vv_put_u32(header + HEADER_SUM_AT, vv_crc32c(0, header, HEADER_SUM_AT));
    write_all(w, header, sizeof header);
}

void vv_snap_add(struct vv_snap_writer *w, const struct vv_entry *e)
{
    size_t bytes = ENTRY_HEAD + (size_t)e->key_bytes + e->value_bytes;
    uint8_t *at;

    if (w->failed)
        return;
    if (w->used + bytes > w->room) {
        size_t room = w->used + bytes + BLOCK_BYTES;
        uint8_t *block = vv_realloc(w->block, room);

        if (!block) {
            w->failed = VARVE_E_NOMEM;
            return;
        }
        w->block = block;
        w->room = room;
    }
    at = w->block + w->used;
    vv_put_u64(at, e->version);
    vv_put_u64(at + 8, vv_entry_expires(e));
    vv_put_u32(at + 16, e->value_bytes);
    vv_put_u16(at + 20, e->key_bytes);
    at[22] = e->type;
    at[23] = 0;
    memcpy(at + ENTRY_HEAD, vv_entry_key(e), (size_t)e->key_bytes + e->value_bytes);
    w->used += bytes;
    w->block_entries++;
    w->snap.entries++;
}

static void write_block(struct vv_snap_writer *w)
{
    uint32_t sum;

    if (w->block_entries == 0 || w->failed)
        return;
    vv_put_u32(w->block, BLOCK_MAGIC);
    vv_put_u32(w->block + 8, (uint32_t)(w->used - BLOCK_HEAD));
    vv_put_u32(w->block + 12, w->block_entries);
    vv_put_u64(w->block + 16, w->snap.blocks);
    vv_put_u64(w->block + 24, w->snap.lsn);
    sum = vv_crc32c(0, w->block + 8, w->used - 8);
    vv_put_u32(w->block + 4, sum);
    w->chain = vv_crc32c(w->chain, w->block + 4, 4);
    write_all(w, w->block, w->used);
    w->snap.blocks++;
    w->used = BLOCK_HEAD;
    w->block_entries = 0;
}

void vv_snap_flush(struct vv_snap_writer *w)
{
    if (w->used >= BLOCK_BYTES)
        write_block(w);
}

int vv_snap_end(struct vv_snap_writer *w, uint64_t end_lsn)
{
    uint8_t end[END_BYTES] = {0};
    int rc;

    write_block(w);
    w->snap.end_lsn = end_lsn;
    vv_put_u32(end, END_MAGIC);
    vv_put_u64(end + 8, w->snap.lsn);
    vv_put_u64(end + 16, end_lsn);
    vv_put_u64(end + 24, w->snap.entries);
    vv_put_u64(end + 32, w->snap.blocks);
    vv_put_u64(end + 40, w->snap.bytes + sizeof end);
    vv_put_u32(end + 48, w->chain);
    vv_put_u32(end + 4, vv_crc32c(0, end + 8, sizeof end - 8));
    write_all(w, end, sizeof end);
    if (!w->failed) {
        rc = w->io->sync(w->io, w->file);
        if (rc) {
            w->sys_errno = -rc;
            w->failed = VARVE_E_IO;
        }
    }
    vv_free(w->block);
    w->block = NULL;
    return w->failed;
}

/* -- reading -- */

static int read_all(struct vv_snap_reader *r, void *to, size_t bytes, uint64_t offset,
                    struct varve_error *ret_error)
{
    uint8_t *at = to;

    while (bytes > 0) {
        ssize_t n = r->io->pread(r->io, r->file, at, bytes, offset);

        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n < 0)
            return vv_error_set(ret_error, VARVE_E_IO, (int)n, "reading at offset %llu",
                                (unsigned long long)offset);
        if (n == 0)
            return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "it ends at offset %llu",
                                (unsigned long long)offset);
        at += n;
        bytes -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int bad(struct varve_error *ret_error, const char *what)
{
    return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%s", what);
}

static int read_header(struct vv_snap_reader *r, uint64_t lsn, struct varve_error *ret_error)
{
    uint8_t header[HEADER_BYTES];
    int rc = read_all(r, header, sizeof header, 0, ret_error);

    if (rc)
        return rc;
    if (memcmp(header, magic, sizeof magic) != 0)
        return bad(ret_error, "its magic is not that of a snapshot");
    if (vv_get_u32(header + HEADER_SUM_AT) != vv_crc32c(0, header, HEADER_SUM_AT))
        return bad(ret_error, "the checksum of its header is wrong");
    if (vv_get_u32(header + 8) != VERSION || vv_get_u32(header + 12) != 0)
        return vv_error_set(ret_error, VARVE_E_VERSION, 0, "it has version %u, and this library knows 1",
                            vv_get_u32(header + 8));
    r->snap.lsn = vv_get_u64(header + 16);
    r->snap.created_us = vv_get_u64(header + 24);
    r->snap.from_lsn = vv_get_u64(header + 32);
    if (r->snap.from_lsn == 0)
        r->snap.from_lsn = r->snap.lsn + 1;
    if (r->snap.lsn != lsn)
        return bad(ret_error, "its name is that of another snapshot");
    if (r->snap.from_lsn > r->snap.lsn + 1)
        return bad(ret_error, "replay would begin behind what is in it");
    return 0;
}

static int read_end(struct vv_snap_reader *r, uint64_t size, struct varve_error *ret_error)
{
    uint8_t end[END_BYTES];
    int rc = read_all(r, end, sizeof end, size - sizeof end, ret_error);

    if (rc)
        return rc;
    if (vv_get_u32(end) != END_MAGIC || vv_get_u32(end + 4) != vv_crc32c(0, end + 8, sizeof end - 8))
        return bad(ret_error, "it has no end: it is cut off, or its last bytes are damaged");
    r->snap.end_lsn = vv_get_u64(end + 16);
    r->snap.entries = vv_get_u64(end + 24);
    r->snap.blocks = vv_get_u64(end + 32);
    r->snap.bytes = vv_get_u64(end + 40);
    r->chain_wanted = vv_get_u32(end + 48);
    if (vv_get_u64(end + 8) != r->snap.lsn || r->snap.bytes != size || r->snap.end_lsn < r->snap.lsn)
        return bad(ret_error, "its end is that of another snapshot");
    return 0;
}

int vv_snap_open(struct vv_snap_reader *r, struct varve_io *io, struct varve_file *file, uint64_t lsn,
                 struct varve_error *ret_error)
{
    struct varve_io_stat stat;
    int rc;

    *r = (struct vv_snap_reader){.io = io, .file = file, .offset = HEADER_BYTES};
    rc = io->stat(io, file, &stat);
    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "its size");
    if (stat.size_bytes < HEADER_BYTES + END_BYTES)
        return bad(ret_error, "it is too short");
    rc = read_header(r, lsn, ret_error);
    if (rc == 0)
        rc = read_end(r, stat.size_bytes, ret_error);
    if (rc == 0)
        pthread_mutex_init(&r->lock, NULL);
    return rc;
}

void vv_snap_close(struct vv_snap_reader *r)
{
    pthread_mutex_destroy(&r->lock);
}

/* The head of the next block, which must fit before the end. [lock] */
static int take_head(struct vv_snap_reader *r, uint8_t head[BLOCK_HEAD], struct vv_snap_block *block,
                     struct varve_error *ret_error)
{
    uint64_t left = r->snap.bytes - END_BYTES - r->offset;
    int rc;

    if (left < BLOCK_HEAD)
        return bad(ret_error, "a block is cut off");
    rc = read_all(r, head, BLOCK_HEAD, r->offset, ret_error);
    if (rc)
        return rc;
    block->bytes = vv_get_u32(head + 8);
    block->left = vv_get_u32(head + 12);
    if (vv_get_u32(head) != BLOCK_MAGIC || vv_get_u64(head + 16) != r->block ||
        vv_get_u64(head + 24) != r->snap.lsn || block->bytes > left - BLOCK_HEAD ||
        block->left > block->bytes / ENTRY_HEAD)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "at offset %llu there is no block %llu",
                            (unsigned long long)r->offset, (unsigned long long)r->block);
    if (block->bytes > block->room) {
        uint8_t *memory = vv_realloc(block->memory, block->bytes);

        if (!memory)
            return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a block of %zu bytes", block->bytes);
        block->memory = memory;
        block->room = block->bytes;
    }
    return 0;
}

/* Whether all is there once the blocks are through. [lock] */
static int take_end(struct vv_snap_reader *r, struct varve_error *ret_error)
{
    if (r->offset != r->snap.bytes - END_BYTES || r->entries != r->snap.entries ||
        r->chain != r->chain_wanted)
        return bad(ret_error, "its end tells of other blocks");
    return VARVE_END;
}

int vv_snap_take(struct vv_snap_reader *r, struct vv_snap_block *block, struct varve_error *ret_error)
{
    uint8_t head[BLOCK_HEAD];
    uint64_t number;
    uint32_t sum;
    int rc;

    pthread_mutex_lock(&r->lock);
    number = r->block;
    rc = r->block == r->snap.blocks ? take_end(r, ret_error) : take_head(r, head, block, ret_error);
    if (rc == 0)
        rc = read_all(r, block->memory, block->bytes, r->offset + BLOCK_HEAD, ret_error);
    if (rc == 0) {
        r->offset += BLOCK_HEAD + block->bytes;
        r->block++;
        r->entries += block->left;
        r->chain = vv_crc32c(r->chain, head + 4, 4);
    }
    pthread_mutex_unlock(&r->lock);
    if (rc)
        return rc;
    sum = vv_crc32c(0, head + 8, BLOCK_HEAD - 8);
    sum = vv_crc32c(sum, block->memory, block->bytes);
    if (sum != vv_get_u32(head + 4))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "the checksum of block %llu is wrong",
                            (unsigned long long)number);
    block->at = 0;
    return 0;
}

int vv_snap_entry(struct vv_snap_block *block, struct vv_entry **ret_entry)
{
    const uint8_t *at = block->memory + block->at;
    size_t left = block->bytes - block->at, key_bytes, value_bytes;
    struct vv_entry *e;

    if (block->left == 0)
        return left > 0 ? VARVE_E_CORRUPT : VARVE_END;
    if (left < ENTRY_HEAD)
        return VARVE_E_CORRUPT;
    value_bytes = vv_get_u32(at + 16);
    key_bytes = vv_get_u16(at + 20);
    if (key_bytes == 0 || at[22] > VV_ENTRY_EVENT || left - ENTRY_HEAD < key_bytes ||
        left - ENTRY_HEAD - key_bytes < value_bytes)
        return VARVE_E_CORRUPT;
    e = vv_entry_new(at + ENTRY_HEAD, key_bytes, (enum vv_entry_type)at[22], vv_get_u64(at + 8),
                     at + ENTRY_HEAD + key_bytes, value_bytes, NULL, 0);
    if (!e)
        return VARVE_E_NOMEM;
    e->version = vv_get_u64(at);
    if (!vv_stream_is_sound(e)) {
        vv_free(e);
        return VARVE_E_CORRUPT;
    }
    block->at += ENTRY_HEAD + key_bytes + value_bytes;
    block->left--;
    *ret_entry = e;
    return 0;
}
