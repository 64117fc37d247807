/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aes-256-gcm: nobody reads or changes what it made without the key. Source: NIST SP 800-38D; HKDF, RFC 5869.
 *
 * What it makes, 40 bytes more than it is given:
 *
 *   0   4  id of the master key
 *   4   4  check: tells whether it is that key, before anything is decrypted
 *   8   8  salt of the segment
 *   16  8  session
 *   24  .. ciphertext
 *   ..  16 tag, over the unit's associated data, these 24 bytes and the ciphertext
 *
 * The key of a segment is derived from the master key, the log's UUID, the segment's salt and the session.
 * The nonce is the LSN of the first record. GCM is broken by two messages under one key with one nonce; here
 * the LSNs of a segment only grow as long as the log is open, and each opening, also that of a copy of the
 * log, has a session of its own. A frame that moves to another segment meets another salt.
 *
 * Keys are in libcrypto's own memory, which core dumps show, only while a message is worked on: behind each
 * one its context gets a key of zeros.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "codec/codec.h"
#include "codec/gcm.h"
#include "codec/hkdf.h"
#include "codec/keys.h"

enum {
    HEAD_BYTES = 24
};

static const char key_info[] = "varve aes-256-gcm 1";
static const char check_info[] = "varve key check 1";

/* The key of a segment; also what a reader keeps of the frame it read last. */
struct segment_key {
    uint32_t id; /* of the master key; 0 = none */
    uint32_t check;
    uint64_t salt, session;
    uint8_t bytes[VV_GCM_KEY_BYTES];
};

struct aesgcm_context {
    struct vv_gcm gcm;
    struct varve_keys *keys;
    uint8_t uuid[16];
    struct segment_key *last; /* decoding; secret */
};

static void aesgcm_close(void *context)
{
    struct aesgcm_context *c = context;

    vv_gcm_close(&c->gcm);
    vv_secret_free(c->last, sizeof *c->last);
    vv_free(c);
}

static int aesgcm_open(const struct varve_codec_setup *setup, void **ret_context,
                       struct varve_error *ret_error)
{
    struct aesgcm_context *c;

    if (!setup->decodes && !setup->keys)
        return vv_error_set(ret_error, VARVE_E_KEY_MISSING, 0, "aes-256-gcm: no key was given");
    c = vv_alloc_zero(sizeof *c);
    if (!c)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "aes-256-gcm");
    c->keys = setup->keys;
    memcpy(c->uuid, setup->uuid, sizeof c->uuid);
    c->last = vv_secret_alloc(sizeof *c->last);
    if (!vv_gcm_open(&c->gcm) || !c->last) {
        int code = c->gcm.cipher ? VARVE_E_NOMEM : VARVE_E_UNSUPPORTED;

        aesgcm_close(c);
        return vv_error_set(ret_error, code, 0, "aes-256-gcm: libcrypto has no memory, or does not have it");
    }
    *ret_context = c;
    return 0;
}

/* -- keys -- */

static bool derive(const uint8_t *uuid, const uint8_t *master, struct segment_key *key)
{
    uint8_t info[sizeof key_info - 1 + 16], check[4];

    memcpy(info, key_info, sizeof key_info - 1);
    vv_put_u64(info + sizeof key_info - 1, key->salt);
    vv_put_u64(info + sizeof key_info - 1 + 8, key->session);
    if (!vv_hkdf_sha256(uuid, 16, master, VARVE_KEY_BYTES, check_info, sizeof check_info - 1, check,
                        sizeof check) ||
        !vv_hkdf_sha256(uuid, 16, master, VARVE_KEY_BYTES, info, sizeof info, key->bytes, sizeof key->bytes))
        return false;
    key->check = vv_get_u32(check);
    return true;
}

static int aesgcm_prepare(void *context, const struct varve_codec_unit *unit, void *ret_key,
                          struct varve_error *ret_error)
{
    struct aesgcm_context *c = context;
    struct segment_key *key = ret_key;
    uint8_t master[VARVE_KEY_BYTES];
    int rc;

    key->salt = unit->salt;
    key->session = unit->session;
    rc = vv_keys_newest(c->keys, &key->id, master, ret_error);
    if (rc == 0 && !derive(c->uuid, master, key))
        rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "deriving a key");
    vv_secret_wipe(master, sizeof master);
    return rc;
}

/* Into c->last. Errors: KEY_MISSING KEY_WRONG NOMEM. */
static int find_key(struct aesgcm_context *c, const uint8_t *head, struct varve_error *ret_error)
{
    struct segment_key *key = c->last;
    uint32_t id = vv_get_u32(head), check = vv_get_u32(head + 4);
    uint64_t salt = vv_get_u64(head + 8), session = vv_get_u64(head + 16);
    uint8_t master[VARVE_KEY_BYTES];
    int rc;

    if (key->id != 0 && key->id == id && key->check == check && key->salt == salt && key->session == session)
        return 0;
    rc = vv_keys_find(c->keys, id, master, ret_error);
    if (rc != 0)
        return rc;
    *key = (struct segment_key){.salt = salt, .session = session};
    if (!derive(c->uuid, master, key))
        rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "deriving a key");
    else if (key->check != check)
        rc = vv_error_set(ret_error, VARVE_E_KEY_WRONG, 0,
                          "key %" PRIu32 " is not the one that was used under this id", id);
    else
        key->id = id;
    vv_secret_wipe(master, sizeof master);
    return rc;
}

/* -- messages -- */

static bool begin(struct aesgcm_context *c, const struct varve_codec_unit *unit, const uint8_t *key,
                  const uint8_t *head, bool encrypts)
{
    uint8_t nonce[VV_GCM_NONCE_BYTES] = {0};

    vv_put_u64(nonce, unit->lsn);
    return vv_gcm_begin(&c->gcm, key, nonce, encrypts) && vv_gcm_aad(&c->gcm, unit->aad, unit->aad_bytes) &&
           vv_gcm_aad(&c->gcm, head, HEAD_BYTES);
}

static int aesgcm_begin(void *context, const struct varve_codec_unit *unit, void *ret_head)
{
    const struct segment_key *key = unit->key;
    uint8_t *head = ret_head;

    vv_put_u32(head, key->id);
    vv_put_u32(head + 4, key->check);
    vv_put_u64(head + 8, key->salt);
    vv_put_u64(head + 16, key->session);
    return begin(context, unit, key->bytes, head, true) ? 0 : VARVE_E_NOMEM;
}

static int aesgcm_more(void *context, const void *bytes, size_t length, void *out)
{
    struct aesgcm_context *c = context;

    return vv_gcm_more(&c->gcm, bytes, length, out) ? 0 : VARVE_E_NOMEM;
}

static int aesgcm_end(void *context, void *ret_tail)
{
    struct aesgcm_context *c = context;

    return vv_gcm_end(&c->gcm, ret_tail) ? 0 : VARVE_E_NOMEM;
}

static int aesgcm_decode(void *context, const struct varve_codec_unit *unit, const void *bytes, size_t length,
                         void *out, size_t raw_length, struct varve_error *ret_error)
{
    struct aesgcm_context *c = context;
    const uint8_t *head = bytes;
    uint8_t tag[VV_GCM_TAG_BYTES];
    int rc;

    if (length < HEAD_BYTES + sizeof tag || raw_length != length - HEAD_BYTES - sizeof tag)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%zu bytes that are not %zu sealed ones", length,
                            raw_length);
    rc = find_key(c, head, ret_error);
    if (rc != 0)
        return rc;
    memcpy(tag, head + HEAD_BYTES + raw_length, sizeof tag);
    if (begin(c, unit, c->last->bytes, head, false) &&
        vv_gcm_more(&c->gcm, head + HEAD_BYTES, raw_length, out) && vv_gcm_end(&c->gcm, tag))
        return 0;
    /* What came out is nobody's, and not to be looked at. */
    vv_gcm_forget(&c->gcm);
    vv_secret_wipe(out, raw_length);
    return vv_error_set(ret_error, VARVE_E_CORRUPT, 0,
                        "the key is right and the tag is not: header or body were changed after sealing");
}

const struct varve_codec vv_codec_aesgcm = {
    .size = sizeof(struct varve_codec),
    .id = VARVE_CODEC_AES_256_GCM,
    .name = "aes-256-gcm",
    .open = aesgcm_open,
    .close = aesgcm_close,
    .head_bytes = HEAD_BYTES,
    .tail_bytes = VV_GCM_TAG_BYTES,
    .key_bytes = sizeof(struct segment_key),
    .prepare = aesgcm_prepare,
    .seal_begin = aesgcm_begin,
    .seal_more = aesgcm_more,
    .seal_end = aesgcm_end,
    .decode = aesgcm_decode,
};
