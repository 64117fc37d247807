/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records whose whole content follows from a number: so a list of numbers is a list of records, and what a
 * log gives back can be held against it.
 *
 * Threads: any at once.
 */
#ifndef TEST_MODEL_RECORD_H
#define TEST_MODEL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/log.h"

/* What the records of a configuration are like. */
struct model_sizes {
    size_t usual;  /* most have 0 to so many bytes, */
    size_t seldom; /* one in `once_in` up to so many */
    unsigned once_in;
    bool named; /* 8 bytes at least: a record tells its number itself */
};

enum {
    MODEL_PIECES = 3
};

/* A record with the memory it is in. */
struct model_record {
    struct varve_record record;
    struct iovec pieces[MODEL_PIECES];
    unsigned char *bytes;
};

/* `id` is not 0. To be freed. */
void model_record_make(struct model_record *r, const struct model_sizes *sizes, uint64_t id);
/* Spoils the memory first: whoever still looks at it sees something else. */
void model_record_free(struct model_record *r);
/* Of what a record with this number must be read back as. */
uint64_t model_record_expected(const struct model_sizes *sizes, uint64_t id);
uint64_t model_record_digest(const void *data, size_t bytes, uint8_t type, uint8_t flags, uint64_t txn_id,
                             const uint8_t *origin);

#endif
