/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dictionaries <-> their files.
 *
 * A frame that was packed with a dictionary cannot be read without it, so the file is durable before MANIFEST
 * names it, and MANIFEST before the first such frame. A crash in between leaves a file that nobody needs. No
 * dictionary is ever removed or changed; one that is stored as it is may be replaced by the same, encrypted.
 */
#include "log/dictionary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "format/dictionary.h"

#ifdef VARVE_HAVE_ZSTD
#include "codec/zstd_train.h"
#endif

#define TEMP_NAME  "new-dictionary.tmp" /* what begins so is removed when a log is opened */
#define FILE_BYTES (VV_DICTIONARY_HEADER_BYTES + VV_DICTIONARY_BYTES_MAX + 2 * VV_CODEC_EDGE_MAX)

static uint32_t id_of(const void *bytes, size_t length)
{
#ifdef VARVE_HAVE_ZSTD
    return vv_zstd_dictionary_id(bytes, length);
#else
    (void)bytes;
    (void)length;
    return 0;
#endif
}

/* -- reading -- */

/* The whole file into `buf` of FILE_BYTES. */
static int read_file(const struct vv_dictionary_place *p, const char *name, uint8_t *buf, size_t *ret_length,
                     struct varve_error *ret_error)
{
    struct varve_file *file;
    size_t got = 0;
    ssize_t n;
    int rc = p->io->open(p->io, p->dir, name, VARVE_IO_READ, &file);

    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_DICTIONARY, 0, "%s: not in the log's directory", name);
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a regular file", name);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", name);
    do {
        n = p->io->pread(p->io, file, buf + got, FILE_BYTES - got, got);
        if (n > 0)
            got += (size_t)n;
    } while (n == -EINTR || (n > 0 && got < FILE_BYTES));
    p->io->close(p->io, file);
    if (n < 0)
        return vv_error_set(ret_error, VARVE_E_IO, (int)-n, "%s: cannot be read", name);
    *ret_length = got;
    return 0;
}

static int decode(const struct vv_dictionary_place *p, const char *name, const struct vv_dictionary_header *h,
                  const uint8_t *file, void *out, struct varve_error *ret_error)
{
    struct varve_codec_setup setup = {.size = sizeof setup, .keys = p->keys};
    const struct varve_codec_unit unit = {
        .salt = h->salt, .lsn = h->id, .aad = file, .aad_bytes = VV_DICTIONARY_AAD_BYTES};
    struct vv_decoder decoder;
    struct varve_error error;
    int rc;

    memcpy(setup.uuid, p->uuid, sizeof setup.uuid);
    vv_decoder_init(&decoder, &setup);
    rc = vv_decoder_decode(&decoder, h->codec, &unit, file + VV_DICTIONARY_HEADER_BYTES, h->stored_bytes, out,
                           h->raw_bytes, &error);
    vv_decoder_close(&decoder);
    if (rc == VARVE_E_CORRUPT)
        return vv_error_set(ret_error, VARVE_E_DICTIONARY, 0, "%s: %s", name, error.message);
    if (rc != 0) {
        vv_error_wrap(&error, "%s", name);
        vv_error_copy(ret_error, &error);
    }
    return rc;
}

int vv_dictionary_read(const struct vv_dictionary_place *p, uint32_t id, void **ret_bytes, size_t *ret_length,
                       struct varve_error *ret_error)
{
    char name[VV_DICTIONARY_NAME_BYTES];
    struct vv_dictionary_header h;
    uint8_t *file = vv_alloc(FILE_BYTES);
    void *raw = NULL;
    size_t length = 0;
    int rc;

    vv_dictionary_name(id, name);
    if (!file)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    rc = read_file(p, name, file, &length, ret_error);
    if (rc == 0 && (vv_dictionary_decode(file, length, &h) != 0 || h.id != id))
        rc = vv_error_set(ret_error, VARVE_E_DICTIONARY, 0, "%s: does not check", name);
    if (rc == 0) {
        raw = vv_alloc(h.raw_bytes);
        rc = raw ? decode(p, name, &h, file, raw, ret_error)
                 : vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    }
    vv_free(file);
    if (rc != 0) {
        vv_free(raw);
        return rc;
    }
    *ret_bytes = raw;
    *ret_length = h.raw_bytes;
    return 0;
}

/* -- writing -- */

static int write_file(const struct vv_dictionary_place *p, const char *name, const uint8_t *bytes,
                      size_t length, struct varve_error *ret_error)
{
    struct varve_io *io = p->io;
    struct varve_file *file;
    size_t done = 0;
    int rc = io->unlink(io, p->dir, TEMP_NAME);

    if (rc == 0 || rc == -ENOENT)
        rc = io->open(io, p->dir, TEMP_NAME, VARVE_IO_WRITE | VARVE_IO_CREATE, &file);
    if (rc == 0) {
        while (rc == 0 && done < length) {
            struct iovec iov = {(void *)(uintptr_t)(bytes + done), length - done};
            ssize_t n = io->pwritev(io, file, &iov, 1, done, 0);

            if (n > 0)
                done += (size_t)n;
            else if (n != -EINTR)
                rc = n == 0 ? -EIO : (int)n;
        }
        if (rc == 0)
            rc = io->sync(io, file);
        io->close(io, file);
    }
    if (rc == 0)
        rc = io->rename(io, p->dir, TEMP_NAME, name, 1);
    if (rc == 0)
        rc = io->dir_sync(io, p->dir);
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            "%s: cannot be written", name);
    return 0;
}

/* Into the file's bytes, behind its header. */
static int encode(struct vv_encoder *encoder, uint64_t session, struct vv_dictionary_header *h,
                  const void *bytes, uint8_t *file, struct varve_error *ret_error)
{
    uint8_t *stored = file + VV_DICTIONARY_HEADER_BYTES;
    struct varve_codec_unit unit = {
        .salt = h->salt, .session = session, .lsn = h->id, .aad = file, .aad_bytes = VV_DICTIONARY_AAD_BYTES};
    void *key;
    int rc;

    h->stored_bytes = h->raw_bytes;
    if (!encoder->sealer) {
        memcpy(stored, bytes, h->raw_bytes);
        vv_dictionary_encode(h, stored, file);
        return 0;
    }
    h->codec = encoder->sealer->id;
    h->stored_bytes += vv_codec_overhead(encoder->sealer);
    key = vv_secret_alloc(encoder->sealer->key_bytes);
    if (!key)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "the key of a dictionary");
    vv_dictionary_encode(h, stored, file); /* what is authenticated; without the checksum */
    rc = encoder->sealer->prepare(encoder->sealing, &unit, key, ret_error);
    unit.key = key;
    if (rc == 0) {
        rc = vv_encoder_seal(encoder, &unit, bytes, h->raw_bytes, stored);
        if (rc != 0)
            vv_error_set(ret_error, rc, 0, "a dictionary cannot be sealed");
    }
    vv_secret_free(key, encoder->sealer->key_bytes);
    if (rc == 0)
        vv_dictionary_encode(h, stored, file);
    return rc;
}

/* 1: the very same is there, as it should be stored. One that is encrypted is so anew at each opening, under
 * the newest key: else a key could never be given up whose segments are gone. */
static int look(const struct vv_dictionary_place *p, uint32_t id, const void *bytes, size_t length,
                bool seals, struct varve_error *ret_error)
{
    struct varve_error error;
    void *old;
    size_t old_length;
    bool same;
    int rc = vv_dictionary_read(p, id, &old, &old_length, &error);

    /* One that is damaged is mended by the one that is given. */
    if (rc == VARVE_E_DICTIONARY)
        return 0;
    if (rc != 0) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    same = old_length == length && memcmp(old, bytes, length) == 0;
    vv_free(old);
    if (!same)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option dictionary: the log has another dictionary with the id %08" PRIx32, id);
    return !seals;
}

int vv_dictionary_install(const struct vv_dictionary_place *p, struct vv_encoder *encoder, uint64_t session,
                          const void *bytes, size_t length, uint32_t *ret_id, struct varve_error *ret_error)
{
    struct vv_dictionary_header h = {.raw_bytes = (uint32_t)length};
    char name[VV_DICTIONARY_NAME_BYTES];
    struct varve_error error;
    uint8_t *file;
    int rc;

    h.id = length <= VV_DICTIONARY_BYTES_MAX ? id_of(bytes, length) : 0;
    if (h.id == 0)
        return vv_error_set(
            ret_error, VARVE_E_INVALID, 0,
            "option dictionary: %zu bytes that are not a dictionary of zstd of at most %" PRIu64, length,
            VV_DICTIONARY_BYTES_MAX);
    *ret_id = h.id;
    rc = look(p, h.id, bytes, length, encoder->sealer != NULL, ret_error);
    if (rc != 0)
        return rc == 1 ? 0 : rc;
    rc = p->io->random(p->io, &h.salt, sizeof h.salt);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for the salt of a dictionary");
    file = vv_alloc(FILE_BYTES);
    if (!file)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "a dictionary");
    vv_dictionary_name(h.id, name);
    vv_error_clear(&error);
    rc = encode(encoder, session, &h, bytes, file, &error);
    if (rc == 0)
        rc = write_file(p, name, file, VV_DICTIONARY_HEADER_BYTES + h.stored_bytes, &error);
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    vv_free(file);
    return rc;
}
