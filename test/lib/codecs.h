/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of codecs: the codecs of this build, keys to use them with, and content that shrinks. */
#ifndef TEST_LIB_CODECS_H
#define TEST_LIB_CODECS_H

#include <stddef.h>
#include <stdint.h>

#include "varve/varve.h"

/* The names of the codecs that are in this build, without the identity; NULL behind the last. */
const char *test_codecs_at(unsigned index);
/* Whether it needs keys. */
int test_codecs_seals(const char *name);

/* Keys 1 to `count`, whose bytes follow from their ids; to be freed by varve_keys_free. */
struct varve_keys *test_codecs_keys(uint32_t count);
/* A set with key `id` alone, and `twist` changes it: 0 = as above. */
struct varve_keys *test_codecs_key(uint32_t id, unsigned char twist);

/* Lines like those of a log, the same for the same seed; they shrink to a fraction. */
void test_codecs_fill(void *buf, size_t bytes, uint64_t seed);

#endif
