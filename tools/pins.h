/* SPDX-License-Identifier: Apache-2.0 */
/* Pins as they are printed, by `pin` and by `stat`. */
#ifndef PINS_H
#define PINS_H

#include "json.h"
#include "out.h"
#include "varve/varve.h"

struct pins {
    struct varve_pin *pins;
    size_t count;
};

/* Reads the pins of the log of `path`, which somebody may be writing. Returns the library's code and
 * *ret_error. */
int pins_read(const char *path, const char *format, struct pins *ret_pins, struct varve_error *ret_error);
void pins_free(struct pins *pins);

/* The array "pins" of the object at hand. */
void pins_json(struct json *json, const struct pins *pins);

/* A line each, after `indent`. */
void pins_text(struct out *out, const char *indent, const struct pins *pins);

#endif
