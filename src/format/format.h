/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine does with a format's table (varve/format.h): is a record one that it can hold, its bytes,
 * and back. Pure. What stands behind a damage is in format/tail.h.
 */
#ifndef VV_FORMAT_FORMAT_H
#define VV_FORMAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/format.h"

/* Bytes that a record takes. The caller has held payload_bytes against payload_max, or it comes from memory.
 */
static inline uint64_t vv_format_record_bytes(const struct varve_format *format, uint64_t payload_bytes)
{
    return format->head_bytes + payload_bytes + format->tail_bytes;
}

/* The largest payload that fits into an empty file of `segment_bytes`; UINT64_MAX where such a record may
 * stand alone in a larger one. 0 = none does. */
uint64_t vv_format_payload_room(const struct varve_format *format, uint64_t segment_bytes);

/*
 * Whether the format can hold this record, whose payload has `payload_bytes` bytes. Called before anything is
 * reserved: nothing that it lets pass is refused later, or dropped, or cannot be read back. Errors:
 * UNSUPPORTED (a field that the format does not have; the message names it and the format) INVALID (a type
 * out of range, a payload that breaks the format's rules, a field that contradicts the payload) TOO_LARGE.
 */
int vv_format_admit(const struct varve_format *format, const struct varve_record *record,
                    uint64_t payload_bytes, struct varve_error *ret_error);

/* Writes the whole record, vv_format_record_bytes, to `out`. Cannot fail. */
void vv_format_encode(const struct varve_format *format, const struct varve_record *record,
                      uint64_t payload_bytes, const struct varve_format_stamp *stamp, uint8_t *out);

/* What stands before and behind the payload of a record that is too large to be copied: head_bytes and
 * tail_bytes of them. Reads the payload once, for the checksum; the caller writes it from where it is. */
struct vv_format_ends {
    uint8_t head[VARVE_FORMAT_HEAD_MAX];
    uint8_t tail[VARVE_FORMAT_TAIL_MAX];
};

void vv_format_ends(const struct varve_format *format, const struct varve_record *record,
                    uint64_t payload_bytes, const struct varve_format_stamp *stamp,
                    struct vv_format_ends *ret_ends);

/*
 * Reads what stands at a position. `bytes`: `have` of them are there to look at; `left`: so many does the
 * file have from there on, `have` or more. *ret_entry is always filled as far as that goes. NEED comes only
 * with have < left, and never twice for the same ret_entry->bytes; the payload is at bytes + head_bytes.
 */
enum varve_found vv_format_decode(const struct varve_format *format, const uint8_t *bytes, size_t have,
                                  uint64_t left, struct varve_format_entry *ret_entry);

/* The parts of that, for who sums the bytes himself: the head, with all outcomes but CHECKSUM, VERSION and
 * CONTENT, and RECORD also where have < ret_entry->bytes; and, once the checksum is known to be right, the
 * rest. `bytes` holds the whole record then. */
enum varve_found vv_format_head(const struct varve_format *format, const uint8_t *bytes, size_t have,
                                uint64_t left, struct varve_format_entry *ret_entry);
enum varve_found vv_format_content(const struct varve_format *format, const uint8_t *bytes,
                                   struct varve_format_entry *entry);

/* The checksum as it is stored at `at`. */
uint32_t vv_format_stored_sum(const struct varve_format *format, const uint8_t *at);

/* "a record", "bad length" ...: for messages. Static. */
const char *vv_format_found_name(enum varve_found found);

/* How much a file looks like one of a format's. */
enum vv_format_likeness {
    VV_FORMAT_UNLIKE = 0,
    VV_FORMAT_LIKE_NAME,  /* the name fits and the bytes do not contradict: empty, or zeros, or damaged */
    VV_FORMAT_LIKE_BYTES, /* a header or a first record that checks; the name is not asked */
};

/* Looks at a file's name (no folder; may be NULL) and its first `have` bytes, all there are or at least 64
 * KiB, of `file_bytes`. */
enum vv_format_likeness vv_format_matches(const struct varve_format *format, const char *name,
                                          const uint8_t *bytes, size_t have, uint64_t file_bytes);

#endif
