/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A format of one's own, registered with the library, which then does all the rest: group commit, rotation,
 * recovery, torn tails told from damage, cursors. Here it is what a meter's logger might write:
 *
 *     meter-0001.dat    [ length u16 ][ channel u8 ][ time u64, us ][ payload ][ CRC-32C of all before it ]
 *
 * little-endian, files of 64 KiB, no header. docs/FORMATS.md says what each member of the table is for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varve/format.h>
#include <varve/varve.h>

#define PATH     "format.varve"
#define READINGS 3000

enum {
    LENGTH = 0,
    CHANNEL = 2,
    TIME = 3,
    HEAD = 11
};

static void put(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *in, int bytes)
{
    uint64_t value = 0;

    for (int i = bytes; i-- > 0;)
        value = value << 8 | in[i];
    return value;
}

static void name_put(uint64_t number, char *out)
{
    snprintf(out, VARVE_FORMAT_FILE_NAME_BYTES, "meter-%04" PRIu64 ".dat", number);
}

/* Each number has one name only: "meter-1.dat" is somebody else's. */
static enum varve_format_name name_get(const char *name, uint64_t *ret_number)
{
    char again[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number;

    if (sscanf(name, "meter-%" SCNu64 ".dat", &number) != 1 || number == 0)
        return VARVE_NAME_NONE;
    name_put(number, again);
    if (strcmp(name, again) != 0)
        return VARVE_NAME_NONE;
    *ret_number = number;
    return VARVE_NAME_SEGMENT;
}

static void head_put(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out)
{
    put(out + LENGTH, payload_bytes, 2);
    out[CHANNEL] = record->type;
    put(out + TIME, stamp->time, 8);
}

/* Zeros must not look like a record: a reading is never empty. */
static enum varve_found head_get(const uint8_t *bytes, struct varve_format_entry *entry)
{
    entry->payload_bytes = get(bytes + LENGTH, 2);
    entry->type = bytes[CHANNEL];
    entry->time = get(bytes + TIME, 8);
    if (entry->payload_bytes == 0) {
        entry->reason = "a length of zero";
        return VARVE_FOUND_LENGTH;
    }
    return VARVE_FOUND_RECORD;
}

static const struct varve_format meter = {
    .size = sizeof meter,
    .name = "meter",
    .summary = "readings of a meter, by channel",
    .carries = VARVE_FIELD_TIME | VARVE_FIELD_TYPE,
    .time_unit_ns = 1000,
    .type_min = 1,
    .type_max = 16,
    .payload_min = 1,
    .payload_max = UINT16_MAX,
    .layout = VARVE_LAYOUT_NUMBERED,
    .folder = "readings",
    .segment_default = 64 << 10,
    .segment_min = 4096,
    .segment_max = 1 << 30,
    .name_put = name_put,
    .name_get = name_get,
    .head_bytes = HEAD,
    .tail_bytes = 4,
    .sum = VARVE_SUM_CRC32C,
    .sum_from = 0,
    .sum_at = -1,
    .head_put = head_put,
    .head_get = head_get,
    .policy = VARVE_POLICY_TRUNCATE,
    .removal = VARVE_REMOVE_CUT,
};

static int fail(int code, const struct varve_error *error)
{
    fprintf(stderr, "format: %s: %s\n", varve_error_name(code), error->message);
    return 1;
}

/* READINGS more, on three channels. */
static int record_readings(struct varve_log *log, struct varve_error *error)
{
    int rc = 0;

    for (int i = 0; i < READINGS && rc == 0; i++) {
        char text[32];
        struct varve_record record = {.data = text, .type = (uint8_t)(1 + i % 3)};

        record.data_bytes = (size_t)snprintf(text, sizeof text, "%d.%d kWh", i / 10, i % 10);
        rc = varve_append_async(log, &record, NULL);
    }
    if (rc == 0)
        rc = varve_sync(log);
    if (rc != 0)
        varve_error_first(log, error);
    return rc;
}

static int print_last(struct varve_log *log, struct varve_error *error)
{
    struct varve_entry entry;
    struct varve_cursor *cursor;
    uint64_t count = 0;
    int rc = varve_cursor_open(log, VARVE_POLICY_DEFAULT, &cursor, error);

    if (rc != 0)
        return rc;
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        count++;
        if (entry.lsn == varve_last_lsn(log))
            printf("LSN %" PRIu64 ", channel %u: %.*s\n", entry.lsn, (unsigned)entry.type,
                   (int)entry.data_bytes, (const char *)entry.data);
    }
    if (rc == VARVE_END)
        printf("%" PRIu64 " readings in the format %s\n", count, varve_log_format(log)->name);
    else
        varve_cursor_error(cursor, error);
    varve_cursor_close(cursor);
    return rc == VARVE_END ? 0 : rc;
}

int main(void)
{
    struct varve_options options = {.size = sizeof options, .format = "meter", .durability = VARVE_BUFFERED};
    struct varve_error error;
    struct varve_log *log;
    int rc = varve_format_register(&meter, &error);

    if (rc == 0)
        rc = varve_open(PATH, &options, &log, &error);
    if (rc != 0)
        return fail(rc, &error);
    rc = record_readings(log, &error);
    if (rc == 0)
        rc = print_last(log, &error);
    if (rc != 0) {
        varve_close(log, NULL);
        return fail(rc, &error);
    }
    rc = varve_close(log, &error);
    return rc == 0 ? 0 : fail(rc, &error);
}
