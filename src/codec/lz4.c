/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lz4: fast. The bytes are one LZ4 block; its length and that of the content stand in the frame.
 *
 * Levels as the program lz4 has them: 1 and 2 are the fast compressor, 3 to 12 the high compression one,
 * which decodes as fast and encodes far more slowly. Without a level it is the fast one, and for large
 * frames, which one thread packs while others fill the next ones, a faster one that finds a little less.
 */
#include <lz4.h>
#include <lz4hc.h>

#include "base/alloc.h"
#include "base/error.h"
#include "codec/codec.h"

enum {
    LEVEL_DEFAULT = 1,
    LEVEL_HIGH = 3,
    LARGE_BYTES = 64 << 10,
    LARGE_ACCELERATION = 8,
};

struct lz4_context {
    int level;
    bool adapts; /* no level was asked for */
    _Alignas(16) uint8_t state[];
};

static int lz4_open(const struct varve_codec_setup *setup, void **ret_context, struct varve_error *ret_error)
{
    int level = setup->level ? setup->level : LEVEL_DEFAULT;
    struct lz4_context *context;
    size_t state;

    if (setup->decodes)
        return 0;
    if (level < 1 || level > LZ4HC_CLEVEL_MAX)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option codec_level: lz4 has 1 to %d, not %d",
                            LZ4HC_CLEVEL_MAX, level);
    if (setup->dictionary)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option dictionary: lz4 takes none");
    state = (size_t)(level < LEVEL_HIGH ? LZ4_sizeofState() : LZ4_sizeofStateHC());
    context = vv_alloc_zero(sizeof *context + state);
    if (!context)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "lz4");
    context->level = level;
    context->adapts = setup->level == 0;
    *ret_context = context;
    return 0;
}

static void lz4_close(void *context)
{
    vv_free(context);
}

static size_t lz4_bound(size_t bytes)
{
    return bytes <= LZ4_MAX_INPUT_SIZE ? (size_t)LZ4_compressBound((int)bytes) : 0;
}

static int lz4_encode(void *context, const void *bytes, size_t length, void *out, size_t room,
                      size_t *ret_length)
{
    struct lz4_context *c = context;
    int made;

    if (length > LZ4_MAX_INPUT_SIZE)
        return VARVE_CODEC_NO_GAIN;
    room = room < LZ4_MAX_INPUT_SIZE ? room : LZ4_MAX_INPUT_SIZE;
    if (c->level < LEVEL_HIGH)
        made = LZ4_compress_fast_extState(c->state, bytes, out, (int)length, (int)room,
                                          c->adapts && length >= LARGE_BYTES ? LARGE_ACCELERATION : 1);
    else
        made = LZ4_compress_HC_extStateHC(c->state, bytes, out, (int)length, (int)room, c->level);
    if (made <= 0)
        return VARVE_CODEC_NO_GAIN;
    *ret_length = (size_t)made;
    return 0;
}

static int lz4_decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                      void *out, size_t raw_length, struct varve_error *ret_error)
{
    int made = -1;

    (void)context;
    (void)unit;
    if (length <= LZ4_MAX_INPUT_SIZE && raw_length <= LZ4_MAX_INPUT_SIZE)
        made = LZ4_decompress_safe(bytes, out, (int)length, (int)raw_length);
    if (made < 0 || (size_t)made != raw_length)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%zu bytes that are not %zu bytes packed by lz4",
                            length, raw_length);
    return 0;
}

const struct varve_codec vv_codec_lz4 = {
    .size = sizeof(struct varve_codec),
    .id = VARVE_CODEC_LZ4,
    .name = "lz4",
    .open = lz4_open,
    .close = lz4_close,
    .bound = lz4_bound,
    .encode = lz4_encode,
    .decode = lz4_decode,
};
