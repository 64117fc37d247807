/* SPDX-License-Identifier: Apache-2.0 */
/* Samples -> a dictionary for zstd. */
#include <zdict.h>

#include "base/error.h"
#include "codec/zstd_train.h"

int vv_zstd_train(void *ret_dictionary, size_t room, size_t *ret_bytes, const void *samples,
                  const size_t *sample_bytes, unsigned count, struct varve_error *ret_error)
{
    size_t made = ZDICT_trainFromBuffer(ret_dictionary, room, samples, sample_bytes, count);

    if (ZDICT_isError(made))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "%u samples do not make a dictionary of %zu bytes: %s", count, room,
                            ZDICT_getErrorName(made));
    *ret_bytes = made;
    return 0;
}

uint32_t vv_zstd_dictionary_id(const void *dictionary, size_t bytes)
{
    return ZDICT_getDictID(dictionary, bytes);
}
