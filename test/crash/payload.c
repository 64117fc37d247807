/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/payload.h"

#include <stdlib.h>
#include <string.h>

#include "crash/history.h"
#include "lib/build.h"
#include "varve/format.h"
#include "varve/payload.h"

void *crash_payload_new(const char *format, uint64_t number, size_t bytes, size_t *ret_payload_bytes)
{
    void *content = crash_need(bytes), *payload;

    crash_history_fill(number, content, bytes);
    *ret_payload_bytes = bytes;
    if (format == NULL) {
        return content;
    }
    payload = crash_need(bytes + TEST_BUILD_AROUND);
    *ret_payload_bytes = test_build_payload(varve_format_get(format), content, bytes, payload);
    free(content);
    return payload;
}

/* The content of a payload, as far as it has any. */
static bool content_of(const char *format, const void *payload, size_t bytes, struct varve_bytes *ret)
{
    struct varve_dbkv_operation operation;
    struct varve_aero_document document;
    struct varve_lfwal_entry entry;
    struct varve_dbkv_value value;

    *ret = (struct varve_bytes){payload, bytes};
    if (format == NULL) {
        return true;
    }
    if (strcmp(format, "aero") == 0) {
        bool good = varve_aero_get(payload, bytes, &document) == 0;
        if (good) {
            *ret = document.body;
        }
        return good;
    }
    if (strcmp(format, "lfwal") == 0) {
        bool good = varve_lfwal_get(payload, bytes, &entry) == 0;
        if (good) {
            *ret = entry.value;
        }
        return good;
    }
    if (strcmp(format, "dbkv") == 0) {
        bool good = varve_dbkv_get(payload, bytes, &operation) == 0 && operation.type == VARVE_DBKV_SET &&
                    varve_dbkv_value_get(operation.value.data, operation.value.bytes, &value) == 0 &&
                    value.kind == VARVE_DBKV_BYTES;
        if (good) {
            *ret = value.bytes;
        }
        return good;
    }
    return true;
}

bool crash_payload_number(const char *format, const void *payload, size_t payload_bytes, uint64_t *ret_number,
                          size_t *ret_bytes)
{
    struct varve_bytes content;
    size_t length;

    if (!content_of(format, payload, payload_bytes, &content) ||
        !crash_history_number(content.data, content.bytes, ret_number)) {
        return false;
    }
    *ret_bytes = content.bytes;
    void *expected = crash_payload_new(format, *ret_number, content.bytes, &length);
    bool same = length == payload_bytes && memcmp(expected, payload, length) == 0;
    free(expected);
    return same;
}
