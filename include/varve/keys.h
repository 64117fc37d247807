/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Master keys for codecs that seal. A log knows them by their ids: new segments take the one with the highest
 * id, and what was written with an older one stays readable as long as that is there too. Keys are never
 * written anywhere, neither to the log nor into a message; they lie in pages that are left out of core dumps,
 * and are wiped when they are freed.
 *
 * Threads: every function may be called from any thread at once, but for varve_keys_free. Several logs may
 * use the same keys.
 */
#ifndef VARVE_KEYS_H
#define VARVE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_KEY_BYTES 32 /* of a master key */
#define VARVE_KEYS_MAX  64 /* how many there can be */

struct varve_keys;

/* An empty set; to be freed by varve_keys_free after every log and cursor that uses it. Errors: NOMEM. */
VARVE_API VARVE_MUST_CHECK int varve_keys_new(struct varve_keys **ret_keys, struct varve_error *ret_error);

/* Wipes them. NULL is allowed. */
VARVE_API void varve_keys_free(struct varve_keys *keys);

/* Adds the VARVE_KEY_BYTES bytes at `key` under `id`, 1 or more; the same key under the same id may be added
 * again. The caller's copy is not wiped. A log that is open takes a new key from the next segment that it
 * makes ready. Errors: INVALID (id 0) EXISTS (another key has the id) LIMIT. */
VARVE_API VARVE_MUST_CHECK int varve_keys_add(struct varve_keys *keys, uint32_t id, const void *key,
                                              struct varve_error *ret_error);

/*
 * Adds all keys of a text: lines `key ID HEX`, with ID in decimal and HEX 64 hexadecimal digits; empty lines
 * and those that begin with # are passed over. A text of 64 hexadecimal digits alone is key 1. At most 16
 * KiB. Errors: INVALID (names the line, never what stands there; nothing was added of it and what follows),
 * and those of varve_keys_add.
 */
VARVE_API VARVE_MUST_CHECK int varve_keys_add_text(struct varve_keys *keys, const char *text, size_t length,
                                                   struct varve_error *ret_error);

/* Such a text from a file, which must be a regular one that belongs to the user or to root and that nobody
 * else may read or write: else INVALID. Errors: NOT_FOUND IO NOMEM NOT_REGULAR, and those of
 * varve_keys_add_text. */
VARVE_API VARVE_MUST_CHECK int varve_keys_add_file(struct varve_keys *keys, const char *path,
                                                   struct varve_error *ret_error);

/* Such a text from a file descriptor, read to its end and left open: a pipe, for example. Errors: IO NOMEM,
 * and those of varve_keys_add_text. */
VARVE_API VARVE_MUST_CHECK int varve_keys_add_fd(struct varve_keys *keys, int fd,
                                                 struct varve_error *ret_error);

/* Such a text from the environment variable `name`. It stays there, and processes that are started get it
 * too: a file or a descriptor is better. Errors: NOT_FOUND, and those of varve_keys_add_text. */
VARVE_API VARVE_MUST_CHECK int varve_keys_add_env(struct varve_keys *keys, const char *name,
                                                  struct varve_error *ret_error);

/*
 * Gives a key that is not there: writes VARVE_KEY_BYTES bytes to `ret_key` and returns 0, or anything else
 * when there is none. `id` 0 asks for the newest one, whose id goes to *ret_id. May take its time: it is
 * asked when a log is opened, ahead of each new segment, and by readers, never by an append. From any thread,
 * also several at once.
 */
typedef int (*varve_key_fn)(void *arg, uint32_t id, uint32_t *ret_id, void *ret_key);

/* Sets where keys come from that are not there. Before a log uses the keys. What it gave is kept. */
VARVE_API void varve_keys_set_source(struct varve_keys *keys, varve_key_fn fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
