/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries for zstd. Without zstd in the build these are not there. */
#ifndef VV_CODEC_ZSTD_TRAIN_H
#define VV_CODEC_ZSTD_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"

/* Makes one of at most `room` bytes out of `count` samples that lie end to end. Takes memory of libzstd's
 * own. Errors: INVALID (too few, too small). */
int vv_zstd_train(void *ret_dictionary, size_t room, size_t *ret_bytes, const void *samples,
                  const size_t *sample_bytes, unsigned count, struct varve_error *ret_error);

/* The id that frames name it by; 0 = not a dictionary. */
uint32_t vv_zstd_dictionary_id(const void *dictionary, size_t bytes);

#endif
