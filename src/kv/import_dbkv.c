/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_dbkv: a snapshot that another program left in a directory of the format dbkv, into an engine that is
 * open read-only.
 *
 * In: the files *.snap. Out: the entries of the newest one that is sound, and from which record on the log
 * counts. A snapshot says at which offset its log stood, not in which file: that is the one that was active
 * when it was made, which bears the first second after that as its name, or none yet.
 *
 * Header, 72 bytes, big-endian: magic, u32 version, i64 created, u32 shards, u64 entries, u64 offset in the
 * log, SHA-256 of all behind the header. The rest is little-endian: for each shard u32 number, u32 or u64 how
 * many entries, and for each text key, value, i64 created, optional i64 expires, u64 version.
 */
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"
#include "kv/dialect.h"
#include "varve/format.h"

enum {
    HEADER_BYTES = 72,
    VERSION = 1,
    SUM_AT = 40,
};

struct import {
    struct varve_kv *kv;
    struct varve_dir *dir;
    uint64_t below, newest; /* of snapshots that are still to be tried; 0: there is none */
    uint64_t from, file;    /* the first file of the log that was renamed in this second or later */
    const uint8_t *at, *end;
    uint64_t created_ns;
    bool is_original; /* its counts are u64, and what it says of expiry is turned round */
};

static int look_at(void *arg, const char *name)
{
    struct import *i = arg;
    uint64_t number;
    int length = 0;

    if (sscanf(name, "snapshot-%" SCNu64 ".snap%n", &number, &length) == 1 && length > 0 && !name[length] &&
        number < i->below && number >= i->newest)
        i->newest = number;
    length = 0;
    if (sscanf(name, "wal-%" SCNu64 ".log%n", &number, &length) == 1 && length > 0 && !name[length] &&
        number >= i->from && number < i->file)
        i->file = number;
    return 0;
}

/* -- its bytes: NULL or false when they are cut off -- */

static const uint8_t *take(struct import *i, uint64_t bytes)
{
    const uint8_t *at = i->at;

    if (bytes > (uint64_t)(i->end - at))
        return NULL;
    i->at += bytes;
    return at;
}

static bool take_u64(struct import *i, uint64_t *ret)
{
    const uint8_t *at = take(i, 8);

    if (at)
        *ret = vv_get_u64(at);
    return at != NULL;
}

static bool take_text(struct import *i, struct varve_bytes *ret)
{
    uint64_t bytes;

    if (!take_u64(i, &bytes))
        return false;
    ret->data = take(i, bytes);
    ret->bytes = (size_t)bytes;
    return ret->data != NULL;
}

/* Over a value, whose end only it itself tells. */
static bool pass_value(struct import *i, unsigned depth)
{
    const uint8_t *kind = take(i, 4);
    struct varve_bytes bytes;
    uint64_t count;

    if (!kind || depth > VARVE_DBKV_DEPTH_MAX)
        return false;
    switch (vv_get_u32(kind)) {
    case VARVE_DBKV_INT:
    case VARVE_DBKV_FLOAT:
        return take(i, 8) != NULL;
    case VARVE_DBKV_DECIMAL:
    case VARVE_DBKV_TEXT:
    case VARVE_DBKV_BYTES:
        return take_text(i, &bytes);
    case VARVE_DBKV_LIST:
    case VARVE_DBKV_MAP:
        if (!take_u64(i, &count))
            return false;
        for (; count > 0; count--)
            if ((vv_get_u32(kind) == VARVE_DBKV_MAP && !take_text(i, &bytes)) || !pass_value(i, depth + 1))
                return false;
        return true;
    case VARVE_DBKV_NULL:
        return true;
    default:
        return false;
    }
}

/* What the format's own program wrote is the moment of its making less what was left. */
static uint64_t expires_us(const struct import *i, uint64_t expires_ns)
{
    if (i->is_original && expires_ns < i->created_ns)
        expires_ns = 2 * i->created_ns - expires_ns;
    return vv_max_u64(expires_ns / 1000, 1);
}

static int take_entry(struct import *i)
{
    struct vv_op op = {.kind = VV_OP_SET};
    struct varve_bytes key, value;
    struct varve_dbkv_value v;
    uint64_t ns;
    const uint8_t *tag;
    char text[VV_DIALECT_NUMBER];

    if (!take_text(i, &key) || key.bytes == 0 || key.bytes > VARVE_DBKV_KEY_MAX)
        return VARVE_E_CORRUPT;
    value.data = i->at;
    if (!pass_value(i, 0))
        return VARVE_E_CORRUPT;
    value.bytes = (size_t)(i->at - (const uint8_t *)value.data);
    tag = take(i, 9);
    if (varve_dbkv_value_get(value.data, value.bytes, &v) != 0 || !tag || tag[8] > 1)
        return VARVE_E_CORRUPT;
    if (tag[8] == 1) {
        if (!take_u64(i, &ns))
            return VARVE_E_CORRUPT;
        op.expires_us = expires_us(i, ns);
    }
    if (!take_u64(i, &ns))
        return VARVE_E_CORRUPT;
    value = vv_dbkv_decode(value, text);
    op.key = key.data;
    op.key_bytes = key.bytes;
    op.value = value.data;
    op.value_bytes = value.bytes;
    i->kv->recovery.snapshot_entries++;
    return vv_kv_apply(i->kv, &op, VV_IMPORT_VERSION);
}

static int take_shards(struct import *i, uint32_t shards)
{
    for (; shards > 0; shards--) {
        const uint8_t *head = take(i, i->is_original ? 12 : 8);
        uint64_t count;

        if (!head)
            return VARVE_E_CORRUPT;
        for (count = i->is_original ? vv_get_u64(head + 4) : vv_get_u32(head + 4); count > 0; count--) {
            int rc = take_entry(i);

            if (rc)
                return rc;
        }
    }
    return i->at == i->end ? 0 : VARVE_E_CORRUPT;
}

static bool sum_is_right(const uint8_t *memory, size_t bytes)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    return EVP_Digest(memory + HEADER_BYTES, bytes - HEADER_BYTES, sum, &length, EVP_sha256(), NULL) == 1 &&
           length == 32 && memcmp(sum, memory + SUM_AT, length) == 0;
}

static int take_all(struct import *i, const uint8_t *memory, size_t bytes)
{
    bool original = bytes >= HEADER_BYTES && memcmp(memory, "KVSN0001", 8) == 0;

    if (bytes < HEADER_BYTES || (!original && memcmp(memory, "KVSNAP01", 8) != 0) ||
        vv_get_u32_be(memory + 8) != VERSION || !sum_is_right(memory, bytes))
        return VARVE_E_CORRUPT;
    i->is_original = original;
    i->created_ns = vv_get_u64_be(memory + 12);
    if (!original)
        i->created_ns = vv_min_u64(i->created_ns, UINT64_MAX / 1000000000) * 1000000000;
    i->from = i->created_ns / 1000000000;
    i->kv->import_offset = vv_get_u64_be(memory + 32);
    i->at = memory + HEADER_BYTES;
    i->end = memory + bytes;
    return take_shards(i, vv_get_u32_be(memory + 20));
}

static int read_file(struct import *i, struct varve_file *file, uint8_t **ret_memory, size_t *ret_bytes)
{
    struct varve_io *io = i->kv->io;
    struct varve_io_stat stat;
    size_t done = 0;
    int rc = io->stat(io, file, &stat);

    if (rc)
        return rc;
    *ret_memory = vv_alloc(stat.size_bytes ? (size_t)stat.size_bytes : 1);
    *ret_bytes = (size_t)stat.size_bytes;
    if (!*ret_memory)
        return -ENOMEM;
    while (done < *ret_bytes) {
        ssize_t n = io->pread(io, file, *ret_memory + done, *ret_bytes - done, done);

        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        done += (size_t)n;
    }
    return 0;
}

/* VARVE_E_CORRUPT: it is passed over. */
static int try_one(struct import *i, struct varve_error *ret_error)
{
    struct varve_io *io = i->kv->io;
    struct varve_file *file;
    uint8_t *memory = NULL;
    size_t bytes = 0;
    char name[48];
    int rc;

    (void)snprintf(name, sizeof name, "snapshot-%" PRIu64 ".snap", i->newest);
    rc = io->open(io, i->dir, name, VARVE_IO_READ, &file);
    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "%s", name);
    rc = read_file(i, file, &memory, &bytes);
    io->close(io, file);
    if (rc)
        rc = vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, rc, "%s", name);
    else
        rc = take_all(i, memory, bytes);
    vv_free(memory);
    if (rc == VARVE_E_CORRUPT) {
        vv_kv_say(i->kv, VARVE_EVENT_SNAPSHOT_PASSED, VARVE_MESSAGE_WARNING,
                  "a snapshot is passed over: %s is damaged", name);
        i->kv->recovery.snapshots_bad++;
        vv_kv_empty(i->kv);
    }
    return rc;
}

int vv_dbkv_import(struct varve_kv *kv, const char *path, struct varve_error *ret_error)
{
    struct import i = {.kv = kv, .below = UINT64_MAX, .from = UINT64_MAX, .file = VARVE_FORMAT_ACTIVE};
    struct varve_io *io = kv->io;
    int rc = io->dir_open(io, NULL, path, 0, &i.dir, NULL), listed;

    if (rc)
        return vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s", path);
    do {
        i.newest = 0;
        listed = io->dir_list(io, i.dir, look_at, &i);
        rc = listed     ? vv_error_set(ret_error, VARVE_E_IO, listed, "the directory %s", path)
             : i.newest ? try_one(&i, ret_error)
                        : VARVE_END;
        i.below = i.newest;
    } while (rc == VARVE_E_CORRUPT);
    if (rc == 0) {
        i.below = 0;
        kv->imported = true;
        rc = io->dir_list(io, i.dir, look_at, &i);
        kv->import_segment = i.file;
        rc = rc ? vv_error_set(ret_error, VARVE_E_IO, rc, "the directory %s", path) : 0;
    }
    io->dir_close(io, i.dir);
    /* All were damaged: the log alone may not be all. */
    if (rc == VARVE_END)
        return vv_error_set(ret_error, VARVE_E_SNAPSHOT, 0, "%s has snapshots, and none of them is sound",
                            path);
    return rc;
}
