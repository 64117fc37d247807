/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of one of the formats as a line of JSON, member by member as the manifests of the sample logs have
 * them: then a comparison of two texts shows that every field was read as it was meant.
 */
#ifndef TEST_LIB_RENDER_H
#define TEST_LIB_RENDER_H

#include <stddef.h>
#include <stdint.h>

#include "varve/format.h"

struct test_place {
    const char *file; /* its name, without a folder */
    uint64_t number;  /* of the file */
    uint64_t offset;  /* of the record in it */
    unsigned index;   /* of the record in the log, from 0 */
};

/* Writes the line, without a newline, to `out`. Ends the program when it does not fit. */
void test_render_record(const struct varve_format *format, const struct test_place *place,
                        const struct varve_format_entry *entry, const void *payload, char *out, size_t room);

#endif
