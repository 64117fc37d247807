/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codecs: what becomes of bytes on their way to disk and back. In the native format a codec works on the body
 * of a frame as a whole, in formats without frames on each payload.
 *
 * A codec either *packs* or *seals*. What packs makes bytes fewer: how many come out depends on the content,
 * and nothing on the place. What seals makes bytes unreadable and tells whether they were changed: as many
 * come out as went in and a constant number more, and they depend on the place (key, nonce, the header that
 * is authenticated with them). A stack is a codec of two others: first the one that packs, then the one that
 * seals. There is no other order: sealed bytes do not shrink.
 *
 * The identity is 0; 1 to 127 are Varve's own, built in or not; 128 to 255 are for codecs that are registered
 * by who uses the library. An id stands in every frame and means the same for ever.
 */
#ifndef VARVE_CODEC_H
#define VARVE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_keys;
struct varve_options;

enum varve_codec_id {
    VARVE_CODEC_IDENTITY = 0,
    VARVE_CODEC_LZ4 = 1,
    VARVE_CODEC_ZSTD = 2,
    VARVE_CODEC_AES_256_GCM = 3,
    VARVE_CODEC_ZSTD_AES_256_GCM = 4,
    VARVE_CODEC_REGISTERED = 128, /* the first id that can be registered */
    VARVE_CODEC_ID_MAX = 255,
};

#define VARVE_CODEC_NAME_BYTES 32 /* with the NUL; letters a to z, digits, and - + . */

/* What encode returns when the result does not fit into its room: the bytes go to disk as they are. */
#define VARVE_CODEC_NO_GAIN 1

/* What a context is made for. Zero what is not used. Everything it points to outlives the context. */
struct varve_codec_setup {
    size_t size;            /* sizeof(struct varve_codec_setup) */
    int decodes;            /* 0: the context will encode; 1: it will decode */
    int level;              /* encoding; 0 = the codec's default */
    size_t bytes_max;       /* encoding: no input is larger than this */
    uint8_t uuid[16];       /* of the log */
    const void *dictionary; /* encoding; NULL = none */
    size_t dictionary_bytes;
    /* Decoding: finds a dictionary by its id. Errors: DICTIONARY IO NOMEM and those of sealed ones. The bytes
     * are valid until the next call. */
    int (*find_dictionary)(void *arg, uint32_t id, const void **ret_bytes, size_t *ret_length,
                           struct varve_error *ret_error);
    void *find_arg;
    struct varve_keys *keys; /* may be NULL */
};

/* Where the bytes stand. */
struct varve_codec_unit {
    uint64_t salt;    /* of the segment */
    uint64_t session; /* sealing: random, new for each opening of the log */
    uint64_t lsn;     /* of the first record */
    const void *key;  /* sealing: what prepare made for this segment */
    const void *aad;  /* bytes that are authenticated and stay readable */
    size_t aad_bytes;
};

/*
 * A codec. Functions that do not apply are NULL; the identity has none. Contexts keep what a codec needs from
 * call to call, so that encoding and decoding allocate nothing; one thread at a time uses a context, several
 * contexts of one codec are used at once. Every function that returns int gives 0 or a code of
 * enum varve_error_code, and where it takes a struct varve_error (never NULL) says why.
 */
struct varve_codec {
    size_t size; /* sizeof(struct varve_codec) */
    uint32_t id;
    const char *name;

    /* Makes a context, or NULL where none is needed. Errors: INVALID (level, dictionary) NOMEM UNSUPPORTED
     * KEY_MISSING. */
    int (*open)(const struct varve_codec_setup *setup, void **ret_context, struct varve_error *ret_error);
    void (*close)(void *context);

    /* -- what packs -- */
    /* The most that `bytes` can become. */
    size_t (*bound)(size_t bytes);
    /* Writes at most `room` bytes; VARVE_CODEC_NO_GAIN when that is too little, or nothing can be had. */
    int (*encode)(void *context, const void *bytes, size_t length, void *out, size_t room,
                  size_t *ret_length);

    /* -- what seals: `length` bytes become head_bytes + length + tail_bytes; both are at most 1024,
     * head_bytes is a multiple of 8, and key_bytes at most 4096 -- */
    uint32_t head_bytes, tail_bytes;
    uint32_t key_bytes;
    /* Makes the key of a segment, ahead of use, in `ret_key` (key_bytes). Errors: KEY_MISSING and those of
     * where keys come from. */
    int (*prepare)(void *context, const struct varve_codec_unit *unit, void *ret_key,
                   struct varve_error *ret_error);
    /* A message in three steps, of which the middle one may be repeated; `bytes` and `out` may be the same.
     * The same unit with the same bytes gives the same. */
    int (*seal_begin)(void *context, const struct varve_codec_unit *unit, void *ret_head);
    int (*seal_more)(void *context, const void *bytes, size_t length, void *out);
    int (*seal_end)(void *context, void *ret_tail);

    /* Gives back exactly `raw_length` bytes, or fails: with CORRUPT when the bytes are not what encoding
     * made, with DICTIONARY, KEY_MISSING, KEY_WRONG when they cannot be read. Trusts none of them. What seals
     * takes `out` also where the sealed bytes stand: bytes + head_bytes. */
    int (*decode)(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                  void *out, size_t raw_length, struct varve_error *ret_error);

    /* -- a stack: both, and nothing of the above -- */
    const struct varve_codec *packs, *seals;
};

/* The codec of that name or id; NULL where this build, or this process, has none. Static. Any thread. */
VARVE_API const struct varve_codec *varve_codec_get(const char *name);
VARVE_API const struct varve_codec *varve_codec_by_id(uint32_t id);

/* The name that an id has, also where Varve's own codec was left out of the build; "unknown" otherwise.
 * Static. Any thread. */
VARVE_API const char *varve_codec_name(uint32_t id);

/*
 * Adds a codec for as long as the process lives; it can then be used by its name, and logs that were written
 * with it can be read. `codec` and all that it points to stay the caller's and must not change or go. Before
 * a log that needs it is opened. Any thread. Errors: INVALID (id below 128, name, functions that do not
 * belong together), EXISTS (the id or the name is taken).
 */
VARVE_API VARVE_MUST_CHECK int varve_codec_register(const struct varve_codec *codec,
                                                    struct varve_error *ret_error);

/*
 * Makes a dictionary for zstd out of records of the log in directory `path`, evenly chosen up to a hundred
 * times `room`: it makes small frames smaller. Writes at most `room` bytes (1 KiB to 1 MiB; 112,640 is usual)
 * to `ret_dictionary`, *ret_bytes of them: for `dictionary` of struct varve_options. It holds pieces of
 * records. Of the options, which may be NULL, `io`, `keys`, `message` and `progress` are used. Any thread.
 * Errors: INVALID (too few records) CODEC (zstd is not in this build) and those of reading the log. Source:
 * Zstandard's dictionary builder, zdict.h.
 */
VARVE_API VARVE_MUST_CHECK int varve_train(const char *path, const struct varve_options *options,
                                           void *ret_dictionary, size_t room, size_t *ret_bytes,
                                           struct varve_error *ret_error);

/* What a copy consists of. */
struct varve_rekey_result {
    size_t size; /* set by the caller to sizeof(struct varve_rekey_result) */
    uint64_t first_lsn, last_lsn;
    uint64_t records, frames, segments;
    uint64_t raw_bytes, stored_bytes; /* of all bodies, before the codec and after it */
};

/*
 * Copies the log in directory `source` to `target`, which must not exist, under another codec or key: the
 * same UUID, pins and records, with their LSNs and times, in the same frames; its segments are numbered from
 * 1. Of the options `codec`, `codec_level`, `keys` (those of the old log, and the newest for the new one),
 * `dictionary` and `segment_bytes` are used, as varve_open does, with the old log's for what is not given;
 * further `io`, `policy` (not skip: damage is not copied), and `progress`, over twice the bytes of the old
 * log. The old log is locked meanwhile; nothing but LOCK is changed in it.
 *
 * The copy counts as a whole or not at all: until everything is durable, was read again and compared, it is
 * refused by whoever opens it (INCOMPLETE), also after a crash, and is to be removed then. `ret_result` may
 * be NULL. Any thread. Errors: INVALID EXISTS (target) NOT_FOUND LOCKED CLOSED (progress) NOMEM IO NOSPC
 * TOO_LARGE (a frame in no segment any more) INCOMPLETE (source), and those of reading the log.
 */
VARVE_API VARVE_MUST_CHECK int varve_rekey(const char *source, const char *target,
                                           const struct varve_options *options,
                                           struct varve_rekey_result *ret_result,
                                           struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
