/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF with SHA-256 (RFC 5869), by libcrypto. */
#ifndef VV_CODEC_HKDF_H
#define VV_CODEC_HKDF_H

#include <stdbool.h>
#include <stddef.h>

/* Fills `out` (at most 8160 bytes). false: libcrypto has no memory, or does not have it. Any thread. */
bool vv_hkdf_sha256(const void *salt, size_t salt_bytes, const void *key, size_t key_bytes, const void *info,
                    size_t info_bytes, void *out, size_t out_bytes);

#endif
