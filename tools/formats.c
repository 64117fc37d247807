/* SPDX-License-Identifier: Apache-2.0 */
/* varve formats: what a log can be in, and what each can hold. */
#include "formats.h"

#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "json.h"
#include "term.h"
#include "units.h"

#define KEY_JSON (CLI_LONG + 0)

static const struct cli_option formats_options[] = {
    {KEY_JSON, "json", NULL, "one JSON object for each"},
    CLI_OPTIONS_END,
};

const char *formats_value(struct cli *cli)
{
    if (!varve_format_get(cli->value))
        cli_bad_value(cli, "not one of 'varve formats'");
    return cli->value;
}

/* What stands in a record besides its payload, in the order of the table's bits. */
static const struct {
    uint32_t field;
    const char *name;
} fields[] = {
    {VARVE_FIELD_LSN, "lsn"},     {VARVE_FIELD_TIME, "time"},     {VARVE_FIELD_TYPE, "type"},
    {VARVE_FIELD_TXN, "txn"},     {VARVE_FIELD_ORIGIN, "origin"}, {VARVE_FIELD_UUID, "uuid"},
    {VARVE_FIELD_CODEC, "codec"}, {VARVE_FIELD_FRAMES, "frames"},
};

#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static const char *formats_policy(enum varve_policy policy)
{
    return cli_policies[policy];
}

static const char *formats_layout(enum varve_layout layout)
{
    switch (layout) {
    case VARVE_LAYOUT_NUMBERED:
        return "numbered";
    case VARVE_LAYOUT_ONE_FILE:
        return "one file";
    case VARVE_LAYOUT_RENAMED:
        return "renamed";
    }
    return "?";
}

static uint64_t formats_first(const struct varve_format *format)
{
    return format->layout == VARVE_LAYOUT_RENAMED ? VARVE_FORMAT_ACTIVE : 1;
}

/* Where a new log's first file lies. */
static void formats_path(const struct varve_format *format, char *out, size_t room)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];

    format->name_put(formats_first(format), name);
    snprintf(out, room, "%s%s%s", format->folder, format->folder[0] ? "/" : "", name);
}

static void formats_json(struct out *out, const struct varve_format *format)
{
    struct json json = {.out = out};
    char path[256];

    json_object(&json, NULL);
    json_string(&json, "name", format->name);
    json_string(&json, "summary", format->summary);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        json_bool(&json, fields[i].name, format->carries & fields[i].field);
    json_number(&json, "time_unit_ns", format->time_unit_ns);
    json_number(&json, "type_min", format->type_min);
    json_number(&json, "type_max", format->type_max);
    json_number(&json, "payload_min", format->payload_min);
    json_number(&json, "payload_max", format->payload_max);
    json_bool(&json, "fixed_size", format->traits & (VARVE_FORMAT_FIXED | VARVE_FORMAT_NATIVE));
    json_string(&json, "layout", formats_layout(format->layout));
    json_number(&json, "segment_bytes", format->segment_default);
    json_string(&json, "policy", formats_policy(format->policy));
    if (format->traits & VARVE_FORMAT_NATIVE) {
        json_null(&json, "first_file");
    } else {
        formats_path(format, path, sizeof path);
        json_string(&json, "first_file", path);
    }
    json_object_end(&json);
    json_line_end(&json);
}

static void formats_text(struct out *out, const struct varve_format *format)
{
    bool any = false;
    char path[256], size[UNITS_TEXT];

    out_print(out, "%s%-8s%s %s\n", term_colour(TERM_BOLD), format->name, term_colour(TERM_PLAIN),
              format->summary);
    out_string(out, "         holds   payloads");
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!(format->carries & fields[i].field))
            continue;
        out_print(out, ", %s%s", fields[i].name,
                  format->derives & fields[i].field ? " (in the payload)" : "");
        any = true;
    }
    out_string(out, any ? "\n" : ", nothing else\n");
    if (format->payload_max)
        out_print(out, "         payload %" PRIu64 " to %" PRIu64 " bytes\n", format->payload_min,
                  format->payload_max);
    if (!(format->traits & VARVE_FORMAT_NATIVE)) {
        formats_path(format, path, sizeof path);
        out_print(out, "         files   from %s on", path);
        if (format->layout != VARVE_LAYOUT_ONE_FILE)
            out_print(out, ", of %s", units_bytes(size, format->segment_default));
        out_byte(out, '\n');
    }
    out_print(out, "         damage  %s\n", formats_policy(format->policy));
}

static int formats_run(const struct cli_command *command, int argc, char **argv)
{
    const struct varve_format *format;
    bool json = false;
    struct cli cli;
    struct out out;
    int key;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0)
        json |= key == KEY_JSON;
    if (!cli_operands(&cli, 0, 0))
        return cli.exit_code;
    if (!out_open(&out))
        return EXIT_FAILED;
    for (unsigned i = 0; (format = varve_format_at(i)); i++)
        (json ? formats_json : formats_text)(&out, format);
    return out_close(&out);
}

const struct cli_command command_formats = {
    .name = "formats",
    .operands = "",
    .summary = "what a log can be in, and what each format holds",
    .details = "Lists the formats that logs can be in: what their records hold besides payloads,\n"
               "how their files are called, and what is done at damage where nothing else is asked.",
    .options = formats_options,
    .run = formats_run,
};
