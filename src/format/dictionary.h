/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a dictionary: a header of 40 bytes, then the dictionary, as it is or sealed. Pure. */
#ifndef VV_FORMAT_DICTIONARY_H
#define VV_FORMAT_DICTIONARY_H

#include <stddef.h>
#include <stdint.h>

#define VV_DICTIONARY_HEADER_BYTES 40u
#define VV_DICTIONARY_BYTES_MAX    (UINT64_C(1) << 20)
#define VV_DICTIONARY_AAD_BYTES    28u /* of the header, that a codec which seals authenticates */

/* "dictionary-" + 8 hexadecimal digits + NUL */
#define VV_DICTIONARY_NAME_BYTES 20u

struct vv_dictionary_header {
    uint32_t id;
    uint32_t stored_bytes;
    uint32_t raw_bytes;
    uint32_t codec; /* how it is stored */
    uint32_t crc;   /* of the header's first 28 bytes, the salt and what is stored */
    uint64_t salt;  /* takes the place of a segment's */
};

void vv_dictionary_name(uint32_t id, char *out);

/* Writes 40 bytes; `stored` is what follows. Completes the crc. */
void vv_dictionary_encode(const struct vv_dictionary_header *header, const void *stored, uint8_t *out);

/* Reads the file's `length` bytes. 0: *ret_header may be trusted, and what is stored follows it to the end.
 */
int vv_dictionary_decode(const uint8_t *bytes, size_t length, struct vv_dictionary_header *ret_header);

#endif
