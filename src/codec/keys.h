/* SPDX-License-Identifier: Apache-2.0 */
/* Master keys, for the codecs that seal and for those who read key files. */
#ifndef VV_CODEC_KEYS_H
#define VV_CODEC_KEYS_H

#include "varve/keys.h"

#define VV_KEYS_TEXT_MAX 16384u

/* Copies the key to ret_key (VARVE_KEY_BYTES), which the caller wipes. `keys` may be NULL. Errors:
 * KEY_MISSING. */
int vv_keys_find(struct varve_keys *keys, uint32_t id, uint8_t *ret_key, struct varve_error *ret_error);
/* The same for the one with the highest id. */
int vv_keys_newest(struct varve_keys *keys, uint32_t *ret_id, uint8_t *ret_key,
                   struct varve_error *ret_error);

#endif
