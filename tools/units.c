/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Takes the digits off the front of *text. strtoull is no use here: it accepts blanks and signs. */
static bool units_digits(const char **text, uint64_t *ret_value)
{
    const char *at = *text;
    uint64_t value = 0;

    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *text = at;
    *ret_value = value;
    return true;
}

bool units_number(const char *text, uint64_t *ret_value)
{
    uint64_t value;

    if (!units_digits(&text, &value) || *text)
        return false;
    *ret_value = value;
    return true;
}

bool units_size(const char *text, uint64_t *ret_bytes)
{
    static const char letters[] = "KMGT";
    unsigned shift = 0;
    uint64_t value;

    if (!units_digits(&text, &value))
        return false;
    if (*text) {
        const char *letter = strchr(letters, toupper((unsigned char)*text));

        if (!letter)
            return false;
        shift = 10 * (unsigned)(letter - letters + 1);
        text++;
        if (strcmp(text, "iB") == 0)
            text += 2;
    }
    if (*text || value > UINT64_MAX >> shift)
        return false;
    *ret_bytes = value << shift;
    return true;
}

static const struct {
    const char *name;
    uint64_t ms;
} units_durations[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

#define UNITS_DURATIONS (sizeof units_durations / sizeof units_durations[0])

bool units_duration(const char *text, uint64_t *ret_ms)
{
    uint64_t value;

    if (!units_digits(&text, &value))
        return false;
    for (size_t i = 0; i < UNITS_DURATIONS; i++) {
        if (strcmp(text, units_durations[i].name) == 0 && value <= UINT64_MAX / units_durations[i].ms) {
            *ret_ms = value * units_durations[i].ms;
            return true;
        }
    }
    return false;
}

const char *units_duration_text(char text[UNITS_TEXT], uint64_t ms)
{
    size_t unit = UNITS_DURATIONS - 1;

    while (unit > 0 && ms < units_durations[unit].ms)
        unit--;
    if (ms % units_durations[unit].ms == 0)
        snprintf(text, UNITS_TEXT, "%" PRIu64 " %s", ms / units_durations[unit].ms,
                 units_durations[unit].name);
    else
        snprintf(text, UNITS_TEXT, "%.1f %s", (double)ms / (double)units_durations[unit].ms,
                 units_durations[unit].name);
    return text;
}

const char *units_bytes(char text[UNITS_TEXT], uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t name = 0;

    if (bytes < 1024) {
        snprintf(text, UNITS_TEXT, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
        return text;
    }
    /* 1023.95 and more would be printed as 1024.0 of the smaller unit. */
    for (; value >= 1023.95 && name + 1 < sizeof names / sizeof names[0]; name++)
        value /= 1024;
    snprintf(text, UNITS_TEXT, "%.1f %s", value, names[name]);
    return text;
}

double units_ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}
