/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries in the log's directory, each under a name that is its id. They stay there: old frames need
 * them. */
#ifndef VV_LOG_DICTIONARY_H
#define VV_LOG_DICTIONARY_H

#include "codec/codec.h"
#include "varve/io.h"

/* What is needed to get at one. */
struct vv_dictionary_place {
    struct varve_io *io;
    struct varve_dir *dir;
    const uint8_t *uuid; /* of the log */
    struct varve_keys *keys;
};

/* Reads it; *ret_bytes is to be freed by vv_free. Errors: DICTIONARY (not there, damaged) IO NOMEM
 * NOT_REGULAR CODEC KEY_MISSING KEY_WRONG. */
int vv_dictionary_read(const struct vv_dictionary_place *place, uint32_t id, void **ret_bytes,
                       size_t *ret_length, struct varve_error *ret_error);

/*
 * Puts one there, durably, unless it is: encrypted if `encoder` seals, as it is made of what records hold.
 * What is there of the same id must be the same. *ret_id: its id. Errors: INVALID (no dictionary, too large,
 * another one of that id) NOSPC and as above.
 */
int vv_dictionary_install(const struct vv_dictionary_place *place, struct vv_encoder *encoder,
                          uint64_t session, const void *bytes, size_t length, uint32_t *ret_id,
                          struct varve_error *ret_error);

#endif
