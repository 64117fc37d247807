/* SPDX-License-Identifier: Apache-2.0 */
#include "pins.h"

#include <inttypes.h>
#include <stdlib.h>

#include "units.h"

static int pins_see(void *arg, const struct varve_pin *pin)
{
    struct pins *pins = arg;

    if (pins->count == VARVE_PINS_MAX)
        return VARVE_E_LIMIT;
    pins->pins[pins->count++] = *pin;
    return 0;
}

int pins_read(const char *path, const char *format, struct pins *ret_pins, struct varve_error *ret_error)
{
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY, .format = format};
    struct varve_log *log;
    int rc;

    *ret_pins = (struct pins){.pins = calloc(VARVE_PINS_MAX, sizeof *ret_pins->pins)};
    if (!ret_pins->pins) {
        *ret_error = (struct varve_error){.code = VARVE_E_NOMEM};
        return VARVE_E_NOMEM;
    }
    /* Damage is for others to tell. */
    options.policy = VARVE_POLICY_SKIP;
    rc = varve_open(path, &options, &log, ret_error);
    if (rc)
        return rc;
    rc = varve_pin_list(log, pins_see, ret_pins, ret_error);
    (void)varve_close(log, NULL);
    return rc;
}

void pins_free(struct pins *pins)
{
    free(pins->pins);
    *pins = (struct pins){.count = 0};
}

void pins_json(struct json *json, const struct pins *pins)
{
    json_array(json, "pins");
    for (size_t i = 0; i < pins->count; i++) {
        const struct varve_pin *p = &pins->pins[i];

        json_object(json, NULL);
        json_string(json, "name", p->name);
        json_string(json, "owner", p->owner);
        json_number(json, "lsn", p->lsn);
        json_time(json, "since", p->since_us);
        json_time(json, "moved", p->moved_us);
        json_number(json, "lag_records", p->lag_records);
        json_number(json, "lag_bytes", p->lag_bytes);
        json_number(json, "lag_us", p->lag_us);
        json_number(json, "max_records", p->max_records);
        json_number(json, "max_bytes", p->max_bytes);
        json_number(json, "max_age_ms", p->max_age_ms);
        json_object_end(json);
    }
    json_array_end(json);
}

static void pins_limits(struct out *out, const struct varve_pin *p)
{
    char bytes[UNITS_TEXT], age[UNITS_TEXT];

    if (p->max_records)
        out_print(out, ", at most %" PRIu64 " records", p->max_records);
    if (p->max_bytes)
        out_print(out, ", at most %s", units_bytes(bytes, p->max_bytes));
    if (p->max_age_ms)
        out_print(out, ", at most %s", units_duration_text(age, p->max_age_ms));
}

void pins_text(struct out *out, const char *indent, const struct pins *pins)
{
    char bytes[UNITS_TEXT], age[UNITS_TEXT];

    for (size_t i = 0; i < pins->count; i++) {
        const struct varve_pin *p = &pins->pins[i];

        out_print(out, "%s%s at LSN %" PRIu64 ": %" PRIu64 " records, %s, %s behind", indent, p->name, p->lsn,
                  p->lag_records, units_bytes(bytes, p->lag_bytes),
                  units_duration_text(age, p->lag_us / 1000));
        pins_limits(out, p);
        if (p->owner[0])
            out_print(out, "; %s", p->owner);
        out_byte(out, '\n');
    }
}
