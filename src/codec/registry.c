/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which codecs there are: Varve's own, as far as they are in the build, and those that were registered.
 * Entries are only ever added.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "codec/codec.h"

/* [atomic: release by register] */
static _Atomic(const struct varve_codec *) registry_table[VARVE_CODEC_ID_MAX + 1] = {
    [VARVE_CODEC_IDENTITY] = &vv_codec_identity,
#ifdef VARVE_HAVE_LZ4
    [VARVE_CODEC_LZ4] = &vv_codec_lz4,
#endif
#ifdef VARVE_HAVE_ZSTD
    [VARVE_CODEC_ZSTD] = &vv_codec_zstd,
#endif
#ifdef VARVE_HAVE_OPENSSL
    [VARVE_CODEC_AES_256_GCM] = &vv_codec_aesgcm,
#endif
#if defined(VARVE_HAVE_ZSTD) && defined(VARVE_HAVE_OPENSSL)
    [VARVE_CODEC_ZSTD_AES_256_GCM] = &vv_codec_zstd_aesgcm,
#endif
};

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER; /* among those who register */

/* Also of what was left out: a message that names it helps more than a number. */
static const char *const registry_own[] = {"identity", "lz4", "zstd", "aes-256-gcm", "zstd+aes-256-gcm"};

#define REGISTRY_OWN (sizeof registry_own / sizeof *registry_own)

const struct varve_codec *varve_codec_by_id(uint32_t id)
{
    return id <= VARVE_CODEC_ID_MAX ? atomic_load(&registry_table[id]) : NULL;
}

const struct varve_codec *varve_codec_get(const char *name)
{
    for (uint32_t id = 0; name && id <= VARVE_CODEC_ID_MAX; id++) {
        const struct varve_codec *codec = varve_codec_by_id(id);

        if (codec && strcmp(codec->name, name) == 0)
            return codec;
    }
    return NULL;
}

const char *varve_codec_name(uint32_t id)
{
    const struct varve_codec *codec = varve_codec_by_id(id);

    if (codec)
        return codec->name;
    return id < REGISTRY_OWN ? registry_own[id] : "unknown";
}

static bool name_is_good(const char *name)
{
    size_t length = name ? strnlen(name, VARVE_CODEC_NAME_BYTES) : 0;

    return length > 0 && length < VARVE_CODEC_NAME_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-+.") == length;
}

static bool name_is_taken(const char *name)
{
    for (size_t i = 0; i < REGISTRY_OWN; i++) {
        if (strcmp(registry_own[i], name) == 0)
            return true;
    }
    return varve_codec_get(name) != NULL;
}

/* Whether exactly one of the three kinds is there, whole. */
static bool functions_fit(const struct varve_codec *c)
{
    bool packs = c->encode && c->bound && c->decode;
    bool seals = c->prepare && c->seal_begin && c->seal_more && c->seal_end && c->decode;
    bool stack = c->packs && c->seals;
    bool any_packs = c->encode || c->bound;
    bool any_seals = c->prepare || c->seal_begin || c->seal_more || c->seal_end || c->head_bytes ||
                     c->tail_bytes || c->key_bytes;

    if (!c->open != !c->close)
        return false;
    if (stack)
        return !any_packs && !any_seals && !c->decode && !c->open && c->packs->encode && c->seals->seal_begin;
    if (c->packs || c->seals)
        return false;
    return (packs && !any_seals) || (seals && !any_packs);
}

/* Errors: INVALID. */
static int check(const struct varve_codec *codec, struct varve_error *ret_error)
{
    if (!codec || codec->size < sizeof *codec)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a codec with its size is needed");
    if (!name_is_good(codec->name))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "codec %u: its name is not one", codec->id);
    if (codec->id < VARVE_CODEC_REGISTERED || codec->id > VARVE_CODEC_ID_MAX)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "codec %s: the id %u is not between %d and %d",
                            codec->name, codec->id, VARVE_CODEC_REGISTERED, VARVE_CODEC_ID_MAX);
    if (!functions_fit(codec))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "codec %s: its functions do not make it pack, seal, or be a stack of two",
                            codec->name);
    /* A header and a body of the largest record must fit into a segment beside it. */
    if (codec->head_bytes > VV_CODEC_EDGE_MAX || codec->tail_bytes > VV_CODEC_EDGE_MAX ||
        codec->head_bytes % 8 != 0 || codec->key_bytes > VV_CODEC_KEY_MAX)
        return vv_error_set(
            ret_error, VARVE_E_INVALID, 0,
            "codec %s: a head or tail above %u bytes, a head of no multiple of 8, or a key above %u",
            codec->name, VV_CODEC_EDGE_MAX, VV_CODEC_KEY_MAX);
    return 0;
}

int varve_codec_register(const struct varve_codec *codec, struct varve_error *ret_error)
{
    int rc = check(codec, ret_error);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&registry_mutex);
    if (varve_codec_by_id(codec->id) || name_is_taken(codec->name))
        rc = vv_error_set(ret_error, VARVE_E_EXISTS, 0, "codec %s: the name or the id %u is taken",
                          codec->name, codec->id);
    else
        atomic_store(&registry_table[codec->id], codec);
    pthread_mutex_unlock(&registry_mutex);
    return rc;
}
