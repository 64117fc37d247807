/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of the formats share: any bytes, taken for a file of one format. */
#ifndef TEST_LIB_FUZZ_H
#define TEST_LIB_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "varve/format.h"

/* Ends the program, so that a fuzzer keeps the input. */
#define FUZZ_ASSERT(condition)                              \
    do {                                                    \
        if (!(condition))                                   \
            test_fuzz_fail(#condition, __FILE__, __LINE__); \
    } while (0)

_Noreturn void test_fuzz_fail(const char *condition, const char *file, int line);

/*
 * Reads the bytes behind the first as a file of the format, in every way that the library does: its name, its
 * header, record by record, the judgement where that ends, the search behind it, and its meta file. What was
 * read is written again and must be the same. The first byte says, in its bits: 1 = the checksums of the
 * records are made right first, so that what lies behind them is reached.
 */
void test_fuzz_format(const char *format, const uint8_t *data, size_t size);

/* Called with each sound record's payload, by the target that knows what is in it. */
typedef void (*test_fuzz_payload_fn)(const uint8_t *payload, size_t bytes);
void test_fuzz_payloads(test_fuzz_payload_fn fn);

#endif
