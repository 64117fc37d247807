/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PINS: the positions from which somebody still needs the log, as text with a checksum. Pure. One form only,
 * as MANIFEST: what decode accepts is what encode writes, byte for byte; pins stand in the order of their
 * names.
 */
#ifndef VV_FORMAT_PINS_H
#define VV_FORMAT_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"

#define VV_PINS_MAX       256u
#define VV_PIN_TEXT_BYTES 64u /* of a name or an owner, with the NUL */
#define VV_PINS_BYTES_MAX (128u * 1024u)

struct vv_pin {
    char name[VV_PIN_TEXT_BYTES];
    char owner[VV_PIN_TEXT_BYTES];
    uint64_t lsn;
    uint64_t since_us, moved_us;
    uint64_t max_records, max_bytes, max_age_ms; /* 0 = no limit */
};

struct vv_pins {
    size_t count;
    struct vv_pin pin[VV_PINS_MAX]; /* by name, ascending; each name once */
};

/* Letters, digits and . _ : - and not a dash first; 1 to 63 of them. */
bool vv_pins_name_ok(const char *name);
/* Up to 63 bytes of printable ASCII, none at all included. */
bool vv_pins_owner_ok(const char *owner);

/* The index of the pin, or where it would stand; *ret_found says which. */
size_t vv_pins_find(const struct vv_pins *pins, const char *name, bool *ret_found);

/* Writes the text to `out` (VV_PINS_BYTES_MAX) and returns its length. */
size_t vv_pins_encode(const struct vv_pins *pins, char *out);

/* Reads it; `text` is followed by a NUL of the caller's. Errors: CORRUPT (checksum, or no file of pins),
 * VERSION (sound, and with something that this version does not write). */
int vv_pins_decode(const char *text, size_t len, struct vv_pins *ret_pins, struct varve_error *ret_error);

#endif
