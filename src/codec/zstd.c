/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd: small. The bytes are one zstd frame (RFC 8878) without a checksum, which says itself how long the
 * content is and, where a dictionary was used, which one. So a reader needs to be told nothing but where
 * dictionaries are.
 *
 * The context keeps its workspace from frame to frame. The library makes that larger when a larger frame
 * comes, and smaller when many small ones have come; without memory for it a frame is not packed.
 */
#include <zstd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "codec/codec.h"

enum {
    LEVEL_DEFAULT = 3,
    LEVEL_MIN = -7,
    /* Where no level was asked for, what is smaller than this is packed at a lower one: the higher finds
     * hardly more in it, and the writers of small frames wait for each. */
    SMALL_BYTES = 64 << 10,
    LEVEL_SMALL = 1,
    DICTIONARIES = 4, /* that a reader keeps ready */
};

struct zstd_dictionary {
    uint32_t id; /* 0: no entry */
    ZSTD_DDict *ddict;
};

struct zstd_context {
    ZSTD_CCtx *cctx;
    ZSTD_CDict *cdict;
    ZSTD_DCtx *dctx;
    bool adapts; /* no level was asked for, and there is no dictionary, which is made for one */
    int level;   /* that is set */
    struct zstd_dictionary dictionaries[DICTIONARIES];
    unsigned next; /* the entry that gives way */
    int (*find)(void *arg, uint32_t id, const void **ret_bytes, size_t *ret_length,
                struct varve_error *ret_error);
    void *find_arg;
};

static void zstd_close(void *context)
{
    struct zstd_context *c = context;

    for (unsigned i = 0; i < DICTIONARIES; i++)
        ZSTD_freeDDict(c->dictionaries[i].ddict);
    ZSTD_freeCDict(c->cdict);
    ZSTD_freeCCtx(c->cctx);
    ZSTD_freeDCtx(c->dctx);
    vv_free(c);
}

static int open_encoder(struct zstd_context *c, const struct varve_codec_setup *setup,
                        struct varve_error *ret_error)
{
    int level = setup->level ? setup->level : LEVEL_DEFAULT;

    if (level < LEVEL_MIN || level > ZSTD_maxCLevel())
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option codec_level: zstd has %d to %d, not %d",
                            LEVEL_MIN, ZSTD_maxCLevel(), level);
    c->cctx = ZSTD_createCCtx();
    if (!c->cctx || ZSTD_isError(ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, level)))
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "zstd");
    c->level = level;
    c->adapts = setup->level == 0 && !setup->dictionary;
    if (!setup->dictionary)
        return 0;
    /* One without an id could not be found again. */
    if (ZSTD_getDictID_fromDict(setup->dictionary, setup->dictionary_bytes) == 0)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option dictionary: %zu bytes that are not a dictionary of zstd",
                            setup->dictionary_bytes);
    c->cdict = ZSTD_createCDict(setup->dictionary, setup->dictionary_bytes, level);
    if (!c->cdict || ZSTD_isError(ZSTD_CCtx_refCDict(c->cctx, c->cdict)))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option dictionary: zstd does not take it, or has no memory for it");
    return 0;
}

static int zstd_open(const struct varve_codec_setup *setup, void **ret_context, struct varve_error *ret_error)
{
    struct zstd_context *c = vv_alloc_zero(sizeof *c);
    int rc = 0;

    if (!c)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "zstd");
    c->find = setup->find_dictionary;
    c->find_arg = setup->find_arg;
    if (!setup->decodes) {
        rc = open_encoder(c, setup, ret_error);
    } else {
        c->dctx = ZSTD_createDCtx();
        if (!c->dctx)
            rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "zstd");
    }
    if (rc != 0) {
        zstd_close(c);
        return rc;
    }
    *ret_context = c;
    return 0;
}

static size_t zstd_bound(size_t bytes)
{
    return ZSTD_compressBound(bytes);
}

static int zstd_encode(void *context, const void *bytes, size_t length, void *out, size_t room,
                       size_t *ret_length)
{
    struct zstd_context *c = context;
    int level = length < SMALL_BYTES ? LEVEL_SMALL : LEVEL_DEFAULT;
    size_t made;

    if (c->adapts && level != c->level) {
        if (ZSTD_isError(ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, level)))
            return VARVE_CODEC_NO_GAIN;
        c->level = level;
    }
    made = ZSTD_compress2(c->cctx, out, room, bytes, length);
    if (ZSTD_isError(made))
        return VARVE_CODEC_NO_GAIN;
    *ret_length = made;
    return 0;
}

/* The dictionary that a frame names, ready for use. */
static int find_ddict(struct zstd_context *c, uint32_t id, ZSTD_DDict **ret_ddict,
                      struct varve_error *ret_error)
{
    struct zstd_dictionary *entry;
    const void *bytes;
    size_t length;
    int rc;

    for (unsigned i = 0; i < DICTIONARIES; i++) {
        if (c->dictionaries[i].id == id) {
            *ret_ddict = c->dictionaries[i].ddict;
            return 0;
        }
    }
    if (!c->find)
        return vv_error_set(ret_error, VARVE_E_DICTIONARY, 0, "dictionary %08x: not there", id);
    rc = c->find(c->find_arg, id, &bytes, &length, ret_error);
    if (rc != 0)
        return rc;
    if (ZSTD_getDictID_fromDict(bytes, length) != id)
        return vv_error_set(ret_error, VARVE_E_DICTIONARY, 0, "dictionary %08x: holds another one", id);
    entry = &c->dictionaries[c->next];
    c->next = (c->next + 1) % DICTIONARIES;
    ZSTD_freeDDict(entry->ddict);
    entry->id = 0;
    entry->ddict = ZSTD_createDDict(bytes, length);
    if (!entry->ddict)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "dictionary %08x", id);
    entry->id = id;
    *ret_ddict = entry->ddict;
    return 0;
}

static int zstd_decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                       void *out, size_t raw_length, struct varve_error *ret_error)
{
    struct zstd_context *c = context;
    ZSTD_DDict *ddict = NULL;
    size_t made;
    uint32_t id;
    int rc;

    (void)unit;
    /* One frame and nothing behind it, of just the length that was promised: asked before it is worked on. */
    if (ZSTD_findFrameCompressedSize(bytes, length) != length ||
        ZSTD_getFrameContentSize(bytes, length) != raw_length)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%zu bytes that are not %zu bytes packed by zstd",
                            length, raw_length);
    id = ZSTD_getDictID_fromFrame(bytes, length);
    if (id != 0) {
        rc = find_ddict(c, id, &ddict, ret_error);
        if (rc != 0)
            return rc;
    }
    made = ddict ? ZSTD_decompress_usingDDict(c->dctx, out, raw_length, bytes, length, ddict)
                 : ZSTD_decompressDCtx(c->dctx, out, raw_length, bytes, length);
    if (ZSTD_isError(made))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%zu bytes that zstd cannot unpack: %s", length,
                            ZSTD_getErrorName(made));
    if (made != raw_length)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "zstd unpacks %zu bytes and not %zu", made,
                            raw_length);
    return 0;
}

const struct varve_codec vv_codec_zstd = {
    .size = sizeof(struct varve_codec),
    .id = VARVE_CODEC_ZSTD,
    .name = "zstd",
    .open = zstd_open,
    .close = zstd_close,
    .bound = zstd_bound,
    .encode = zstd_encode,
    .decode = zstd_decode,
};
