/* SPDX-License-Identifier: Apache-2.0 */
/* Records of any of the formats around any bytes, for tests that are about records and not about fields. */
#ifndef TEST_LIB_BUILD_H
#define TEST_LIB_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

enum {
    TEST_BUILD_AROUND = 128 /* a record is longer than its content by less than that */
};

/* The names of the formats with functions, NULL at the end. */
extern const char *const test_build_formats[];

/* A payload that the format allows, with `content` in it as it is. Returns its length. */
size_t test_build_payload(const struct varve_format *format, const void *content, size_t bytes, uint8_t *out);

/* A whole record with such a payload. Returns its length. */
size_t test_build_record(const struct varve_format *format, const void *content, size_t bytes, uint64_t lsn,
                         uint8_t *out);

/* `count` records of `bytes` bytes of content each, not all alike. ret_at[count + 1]: where each begins, and
 * the end. */
size_t test_build_records(const struct varve_format *format, unsigned count, size_t bytes, uint8_t *out,
                          size_t *ret_at);

#endif
