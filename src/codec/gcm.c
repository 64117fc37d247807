/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto's EVP interface with its contexts kept from message to message. */
#include "codec/gcm.h"

#include <openssl/evp.h>

enum {
    PIECE_BYTES = 1 << 30, /* libcrypto's lengths are int */
};

bool vv_gcm_open(struct vv_gcm *gcm)
{
    gcm->encrypts = true;
    gcm->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    gcm->ctx = EVP_CIPHER_CTX_new();
    return gcm->cipher && gcm->ctx && EVP_EncryptInit_ex2(gcm->ctx, gcm->cipher, NULL, NULL, NULL) == 1;
}

void vv_gcm_close(struct vv_gcm *gcm)
{
    EVP_CIPHER_CTX_free(gcm->ctx);
    EVP_CIPHER_free(gcm->cipher);
    gcm->ctx = gcm->cipher = NULL;
}

bool vv_gcm_begin(struct vv_gcm *gcm, const uint8_t *key, const uint8_t *nonce, bool encrypts)
{
    gcm->encrypts = encrypts;
    return EVP_CipherInit_ex2(gcm->ctx, NULL, key, nonce, encrypts, NULL) == 1;
}

/* `out` NULL: associated data. */
static bool update(struct vv_gcm *gcm, const uint8_t *bytes, size_t length, uint8_t *out)
{
    for (size_t done = 0; done < length;) {
        int piece = length - done < PIECE_BYTES ? (int)(length - done) : PIECE_BYTES, n = 0;

        if (EVP_CipherUpdate(gcm->ctx, out ? out + done : NULL, &n, bytes + done, piece) != 1 || n != piece)
            return false;
        done += (size_t)piece;
    }
    return true;
}

bool vv_gcm_aad(struct vv_gcm *gcm, const void *bytes, size_t length)
{
    return update(gcm, bytes, length, NULL);
}

bool vv_gcm_more(struct vv_gcm *gcm, const void *bytes, size_t length, void *out)
{
    return update(gcm, bytes, length, out);
}

bool vv_gcm_end(struct vv_gcm *gcm, uint8_t *tag)
{
    uint8_t none[VV_GCM_TAG_BYTES];
    int n;
    bool ok;

    if (gcm->encrypts)
        ok = EVP_CipherFinal_ex(gcm->ctx, none, &n) == 1 &&
             EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_AEAD_GET_TAG, VV_GCM_TAG_BYTES, tag) == 1;
    else
        ok = EVP_CIPHER_CTX_ctrl(gcm->ctx, EVP_CTRL_AEAD_SET_TAG, VV_GCM_TAG_BYTES, tag) == 1 &&
             EVP_CipherFinal_ex(gcm->ctx, none, &n) == 1;
    vv_gcm_forget(gcm);
    return ok;
}

void vv_gcm_forget(struct vv_gcm *gcm)
{
    static const uint8_t zeros[VV_GCM_KEY_BYTES];

    (void)EVP_CipherInit_ex2(gcm->ctx, NULL, zeros, zeros, 1, NULL);
}
