/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256 in Galois/Counter Mode, by libcrypto. Source: NIST SP 800-38D. One thread at a time; nothing but
 * opening allocates. Every function that can fail returns whether it did not.
 *
 * The key is in libcrypto's own memory, which core dumps show, only from begin to end (or forget): then zeros
 * take its place.
 */
#ifndef VV_CODEC_GCM_H
#define VV_CODEC_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VV_GCM_KEY_BYTES   32u
#define VV_GCM_NONCE_BYTES 12u
#define VV_GCM_TAG_BYTES   16u

struct vv_gcm {
    void *cipher, *ctx; /* libcrypto's */
    bool encrypts;
};

/* false: no memory, or libcrypto does not have it. Then and else to be closed. */
bool vv_gcm_open(struct vv_gcm *gcm);
void vv_gcm_close(struct vv_gcm *gcm);

/* A message: begin, then aad as often as needed, then more as often as needed (`out` may be `bytes`), then
 * end. */
bool vv_gcm_begin(struct vv_gcm *gcm, const uint8_t *key, const uint8_t *nonce, bool encrypts);
bool vv_gcm_aad(struct vv_gcm *gcm, const void *bytes, size_t length);
bool vv_gcm_more(struct vv_gcm *gcm, const void *bytes, size_t length, void *out);
/* Encrypting: gives the tag. Decrypting: false when it is another one; then nothing that came out is worth
 * anything. */
bool vv_gcm_end(struct vv_gcm *gcm, uint8_t *tag);
/* In place of end, after something failed. */
void vv_gcm_forget(struct vv_gcm *gcm);

#endif
