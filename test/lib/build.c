/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "varve/payload.h"

const char *const test_build_formats[] = {"stra", "wlog", "aero", "dbkv", "lfwal", NULL};

static size_t set_operation(const void *content, size_t bytes, uint8_t *out, size_t room)
{
    const struct varve_dbkv_value value = {.kind = VARVE_DBKV_BYTES, .bytes = {content, bytes}};
    struct varve_dbkv_operation set = {.type = VARVE_DBKV_SET, .key = {"k", 1}};
    uint8_t *encoded = malloc(bytes + TEST_BUILD_AROUND);
    size_t len;
    int rc;

    assert(encoded != NULL);
    rc = varve_dbkv_value_put(&value, encoded, bytes + TEST_BUILD_AROUND, &set.value.bytes);
    assert(rc == 0);
    set.value.data = encoded;
    rc = varve_dbkv_put(&set, out, room, &len);
    assert(rc == 0);
    free(encoded);
    return len;
}

size_t test_build_payload(const struct varve_format *format, const void *content, size_t bytes, uint8_t *out)
{
    const struct varve_aero_document document = {.collection = {"c", 1}, .body = {content, bytes}};
    const struct varve_lfwal_entry entry = {
        .type = VARVE_LFWAL_INSERT, .tx = 7, .time_s = 1, .key = {"k", 1}, .value = {content, bytes}};
    size_t len = bytes, room = bytes + TEST_BUILD_AROUND;
    int rc = 0;

    if (strcmp(format->name, "aero") == 0)
        rc = varve_aero_put(&document, out, room, &len);
    else if (strcmp(format->name, "lfwal") == 0)
        rc = varve_lfwal_put(&entry, out, room, &len);
    else if (strcmp(format->name, "dbkv") == 0)
        len = set_operation(content, bytes, out, room);
    else if (bytes > 0)
        memcpy(out, content, bytes);
    assert(rc == 0);
    return len;
}

size_t test_build_record(const struct varve_format *format, const void *content, size_t bytes, uint64_t lsn,
                         uint8_t *out)
{
    uint8_t *payload = malloc(bytes + TEST_BUILD_AROUND);
    struct varve_record record = {.data = payload};
    struct varve_format_stamp stamp = {lsn, 1000 + lsn};
    struct varve_error error;
    int rc;

    assert(payload != NULL);
    record.data_bytes = test_build_payload(format, content, bytes, payload);
    rc = vv_format_admit(format, &record, record.data_bytes, &error);
    assert(rc == 0);
    vv_format_encode(format, &record, record.data_bytes, &stamp, out);
    free(payload);
    return (size_t)vv_format_record_bytes(format, record.data_bytes);
}

size_t test_build_records(const struct varve_format *format, unsigned count, size_t bytes, uint8_t *out,
                          size_t *ret_at)
{
    uint8_t *content = malloc(bytes);
    size_t at = 0;

    assert(content != NULL);
    for (unsigned i = 0; i < count; i++) {
        memset(content, (int)('a' + i % 26), bytes);
        ret_at[i] = at;
        at += test_build_record(format, content, bytes, i + 1, out + at);
    }
    ret_at[count] = at;
    free(content);
    return at;
}
