/* SPDX-License-Identifier: Apache-2.0 */
/* PINS <-> text. */
#include "format/pins.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/error.h"

static const char title[] = "varve pins 1\n";
static const char title_stem[] = "varve pins ";
static const char seal_form[] = "crc32c %08" PRIx32 "\n";

enum {
    LINE_BYTES = 400,
    SEAL_BYTES = 16 /* "crc32c 00000000\n" */
};

static_assert(sizeof title + VV_PINS_MAX * LINE_BYTES + SEAL_BYTES < VV_PINS_BYTES_MAX, "all pins fit");

bool vv_pins_name_ok(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    size_t len = strnlen(name, VV_PIN_TEXT_BYTES);

    return len > 0 && len < VV_PIN_TEXT_BYTES && name[0] != '-' && strspn(name, allowed) == len;
}

bool vv_pins_owner_ok(const char *owner)
{
    size_t len = strnlen(owner, VV_PIN_TEXT_BYTES);

    for (size_t i = 0; i < len; i++) {
        if (owner[i] < ' ' || owner[i] > '~')
            return false;
    }
    return len < VV_PIN_TEXT_BYTES;
}

size_t vv_pins_find(const struct vv_pins *pins, const char *name, bool *ret_found)
{
    for (size_t i = 0; i < pins->count; i++) {
        int order = strcmp(pins->pin[i].name, name);

        if (order >= 0) {
            *ret_found = order == 0;
            return i;
        }
    }
    *ret_found = false;
    return pins->count;
}

static size_t encode_line(const struct vv_pin *p, char *out)
{
    return (size_t)snprintf(out, LINE_BYTES,
                            "pin %s lsn %" PRIu64 " since_us %" PRIu64 " moved_us %" PRIu64
                            " max_records %" PRIu64 " max_bytes %" PRIu64 " max_age_ms %" PRIu64
                            " owner %s\n",
                            p->name, p->lsn, p->since_us, p->moved_us, p->max_records, p->max_bytes,
                            p->max_age_ms, p->owner);
}

size_t vv_pins_encode(const struct vv_pins *pins, char *out)
{
    size_t len = strlen(title);

    memcpy(out, title, len);
    for (size_t i = 0; i < pins->count; i++)
        len += encode_line(&pins->pin[i], out + len);
    return len + (size_t)snprintf(out + len, SEAL_BYTES + 1, seal_form, vv_crc32c(0, out, len));
}

static bool checks(const char *text, size_t len)
{
    char seal[SEAL_BYTES + 1];

    if (len <= SEAL_BYTES)
        return false;
    snprintf(seal, sizeof seal, seal_form, vv_crc32c(0, text, len - SEAL_BYTES));
    return memcmp(text + len - SEAL_BYTES, seal, SEAL_BYTES) == 0;
}

/* One line, by sscanf, whose leniency does no harm: the caller writes it all again and compares. */
static bool parse_line(const char *line, size_t len, struct vv_pin *p)
{
    char copy[LINE_BYTES];
    int owner = 0;

    memset(p, 0, sizeof *p);
    if (len >= sizeof copy)
        return false;
    memcpy(copy, line, len);
    copy[len] = 0;
    if (sscanf(copy,
               "pin %63s lsn %" SCNu64 " since_us %" SCNu64 " moved_us %" SCNu64 " max_records %" SCNu64
               " max_bytes %" SCNu64 " max_age_ms %" SCNu64 " owner%n",
               p->name, &p->lsn, &p->since_us, &p->moved_us, &p->max_records, &p->max_bytes, &p->max_age_ms,
               &owner) != 7 ||
        owner == 0 || copy[owner] != ' ' || strlen(copy + owner + 1) >= sizeof p->owner)
        return false;
    memcpy(p->owner, copy + owner + 1, strlen(copy + owner + 1));
    return p->lsn != 0 && vv_pins_name_ok(p->name) && vv_pins_owner_ok(p->owner);
}

static bool parse(const char *text, size_t len, struct vv_pins *pins)
{
    const char *at = text + strlen(title), *end = text + len - SEAL_BYTES;

    pins->count = 0;
    if (len < strlen(title) + SEAL_BYTES || memcmp(text, title, strlen(title)) != 0)
        return false;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct vv_pin *p = &pins->pin[pins->count];

        if (!newline || pins->count == VV_PINS_MAX || !parse_line(at, (size_t)(newline - at), p))
            return false;
        if (pins->count > 0 && strcmp(p[-1].name, p->name) >= 0)
            return false;
        pins->count++;
        at = newline + 1;
    }
    return true;
}

/* Whether `text` is what encode writes: line by line, so that no second text of that size is needed. */
static bool is_canonical(const char *text, const struct vv_pins *pins)
{
    const char *at = text + strlen(title);
    char line[LINE_BYTES];

    for (size_t i = 0; i < pins->count; i++) {
        size_t len = encode_line(&pins->pin[i], line);

        if (strncmp(at, line, len) != 0)
            return false;
        at += len;
    }
    return true;
}

int vv_pins_decode(const char *text, size_t len, struct vv_pins *ret_pins, struct varve_error *ret_error)
{
    if (len > VV_PINS_BYTES_MAX || memchr(text, 0, len))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "PINS: %zu bytes that are no list of pins", len);
    if (strncmp(text, title_stem, strlen(title_stem)) != 0)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "PINS: does not begin with '%s'", title_stem);
    if (!checks(text, len))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "PINS: its checksum does not match");
    if (!parse(text, len, ret_pins) || !is_canonical(text, ret_pins)) {
        ret_pins->count = 0;
        return vv_error_set(ret_error, VARVE_E_VERSION, 0,
                            "PINS: is sound and has lines that this version does not know");
    }
    return 0;
}
