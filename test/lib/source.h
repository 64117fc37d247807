/* SPDX-License-Identifier: Apache-2.0 */
/* A file's bytes in memory, for a search, which counts what is read. */
#ifndef TEST_LIB_SOURCE_H
#define TEST_LIB_SOURCE_H

#include "format/tail.h"

struct test_source {
    const uint8_t *bytes;
    size_t len;
    uint64_t reads, read_bytes; /* how often, and how much */
    int fail_after;             /* that many reads succeed; negative: all do */
};

/* The table that a search wants. */
struct vv_format_source test_source_of(struct test_source *source);

/* A search in those bytes, to be freed by free(). */
struct vv_format_search *test_source_search(struct test_source *source, const struct varve_format *format);

/* What a search says of the place `at`, in a file that ends with these bytes. */
struct vv_format_judgement test_source_judge(const struct varve_format *format, const uint8_t *bytes,
                                             size_t len, uint64_t at);

#endif
