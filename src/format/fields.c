/* SPDX-License-Identifier: Apache-2.0 */
/* Names with numbers. A name that was not written by vv_name_put is no name of the log's: two files must not
 * have one number. */
#include "format/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

void vv_name_put(char *out, const char *before, unsigned digits, uint64_t number, const char *after)
{
    snprintf(out, VARVE_FORMAT_FILE_NAME_BYTES, "%s%0*" PRIu64 "%s", before, (int)digits, number, after);
}

bool vv_name_get(const char *name, const char *before, unsigned digits, const char *after,
                 uint64_t *ret_number)
{
    char again[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number = 0;
    const char *at = name + strlen(before);

    if (strncmp(name, before, strlen(before)) != 0)
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (number == 0 || number > UINT64_MAX - 2)
        return false;
    vv_name_put(again, before, digits, number, after);
    if (strcmp(name, again) != 0)
        return false;
    *ret_number = number;
    return true;
}

enum varve_header_state vv_header_look(const uint8_t *bytes, size_t have, size_t header_bytes,
                                       const uint8_t *magic, size_t magic_bytes, const char **ret_reason)
{
    if (have < header_bytes || vv_is_zero(bytes, header_bytes)) {
        *ret_reason = have < header_bytes ? "it is shorter than a header" : "its header is all zeros";
        return VARVE_HEADER_UNMADE;
    }
    if (memcmp(bytes, magic, magic_bytes) != 0) {
        *ret_reason = "it does not begin as a file of this format does";
        return VARVE_HEADER_BAD;
    }
    return VARVE_HEADER_SOUND;
}

uint8_t vv_payload_first(const struct varve_record *record)
{
    if (record->iov_count == 0)
        return record->data_bytes > 0 ? *(const uint8_t *)record->data : 0;
    for (int i = 0; i < record->iov_count; i++) {
        if (record->iov[i].iov_len > 0)
            return *(const uint8_t *)record->iov[i].iov_base;
    }
    return 0;
}
