/* SPDX-License-Identifier: Apache-2.0 */
/* varve snapshot: the snapshots of a key-value engine. */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "keeping.h"
#include "keying.h"
#include "out.h"
#include "units.h"
#include "when.h"

#define KEY_JSON (CLI_LONG + 0)

static const struct cli_option snapshot_options[] = {
    {KEY_JSON, "json", NULL, "list, verify, load: JSON, an object a line"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

struct snapshot_wish {
    struct keeping keeping;
    struct out out;
    bool json;
    unsigned bad;
};

static int snapshot_emit(void *arg, const struct varve_kv_snapshot_info *s)
{
    struct snapshot_wish *wish = arg;
    struct json json = {.out = &wish->out};
    char text[WHEN_TEXT], size[UNITS_TEXT];

    wish->bad += s->code != 0;
    if (!wish->json) {
        out_print(&wish->out, "%" PRIu64 "\t%s\t%" PRIu64 " entries\t%s\t%s\n", s->lsn,
                  when_print(text, s->created_us), s->entries, units_bytes(size, s->bytes),
                  s->code ? s->message : "sound");
        return 0;
    }
    json_object(&json, NULL);
    json_number(&json, "lsn", s->lsn);
    json_number(&json, "end_lsn", s->end_lsn);
    json_time(&json, "created", s->created_us);
    json_number(&json, "entries", s->entries);
    json_number(&json, "bytes", s->bytes);
    json_bool(&json, "sound", s->code == 0);
    json_string(&json, "message", s->message);
    json_object_end(&json);
    json_line_end(&json);
    return 0;
}

static int snapshot_show(struct snapshot_wish *wish, int verify)
{
    struct varve_error error;
    int rc = varve_kv_snapshot_list(wish->keeping.path, NULL, verify, snapshot_emit, wish, &error);

    if (rc)
        return say_library(wish->keeping.path, &error);
    return wish->bad ? EXIT_FOUND : EXIT_FINE;
}

static int snapshot_list(struct snapshot_wish *wish)
{
    return snapshot_show(wish, 0);
}

static int snapshot_verify(struct snapshot_wish *wish)
{
    return snapshot_show(wish, 1);
}

static int snapshot_create(struct snapshot_wish *wish)
{
    struct varve_error error;
    uint64_t lsn;
    int rc;

    wish->keeping.change = true;
    rc = keeping_open(&wish->keeping);
    if (rc)
        return rc;
    rc = varve_kv_snapshot(wish->keeping.kv, &lsn, &error);
    if (rc)
        rc = say_library(wish->keeping.path, &error);
    else
        out_print(&wish->out, "%" PRIu64 "\n", lsn);
    return keeping_close(&wish->keeping, rc);
}

/* Recovery as opening does it, without changing anything. */
static int snapshot_load(struct snapshot_wish *wish)
{
    struct varve_kv_recovery r = {.size = sizeof r};
    struct json json = {.out = &wish->out};
    int rc = keeping_open(&wish->keeping);

    if (rc)
        return rc;
    if (varve_kv_recovery_get(wish->keeping.kv, &r) != 0)
        return keeping_close(&wish->keeping, EXIT_FAILED);
    if (wish->json) {
        json_object(&json, NULL);
        json_number(&json, "snapshot_lsn", r.snapshot_lsn);
        json_number(&json, "snapshot_entries", r.snapshot_entries);
        json_number(&json, "snapshots_bad", r.snapshots_bad);
        json_number(&json, "records", r.records);
        json_number(&json, "operations", r.operations);
        json_number(&json, "last_lsn", r.last_lsn);
        json_number(&json, "entries", varve_kv_count(wish->keeping.kv));
        json_number(&json, "duration_us", r.duration_us);
        json_object_end(&json);
        json_line_end(&json);
    } else {
        out_print(&wish->out,
                  "snapshot %" PRIu64 " (%" PRIu64 " entries; %" PRIu64
                  " newer ones passed over), then %" PRIu64 " records to LSN %" PRIu64 ": %" PRIu64
                  " entries in %.3f s\n",
                  r.snapshot_lsn, r.snapshot_entries, r.snapshots_bad, r.records, r.last_lsn,
                  varve_kv_count(wish->keeping.kv), (double)r.duration_us / 1e6);
    }
    return keeping_close(&wish->keeping, r.snapshots_bad ? EXIT_FOUND : EXIT_FINE);
}

static const struct {
    const char *name;
    int (*run)(struct snapshot_wish *wish);
    bool json;
} snapshot_actions[] = {
    {"list", snapshot_list, true},
    {"verify", snapshot_verify, true},
    {"create", snapshot_create, false},
    {"load", snapshot_load, true},
};

#define SNAPSHOT_ACTIONS (sizeof snapshot_actions / sizeof snapshot_actions[0])

static int snapshot_run(const struct cli_command *command, int argc, char **argv)
{
    struct snapshot_wish wish = {.json = false};
    struct cli cli;
    const char *action;
    size_t i = 0;
    int key, rc, closed;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (!keying_option(&cli, key))
            wish.json |= key == KEY_JSON;
    }
    if (!cli_operands(&cli, 1, 2))
        return cli.exit_code;
    wish.keeping.path = cli.operands[0];
    action = cli.operand_count > 1 ? cli.operands[1] : "list";
    while (i < SNAPSHOT_ACTIONS && strcmp(snapshot_actions[i].name, action) != 0)
        i++;
    if (i == SNAPSHOT_ACTIONS)
        return say_usage("'%s': must be one of list verify create load", action);
    if (wish.json && !snapshot_actions[i].json)
        return say_usage("%s: an option does not go with it", action);
    if (!out_open(&wish.out))
        return EXIT_FAILED;
    rc = snapshot_actions[i].run(&wish);
    closed = out_close(&wish.out);
    return rc ? rc : closed;
}

const struct cli_command command_snapshot = {
    .name = "snapshot",
    .operands = "DIR [list | verify | create | load]",
    .summary = "a key-value engine's snapshots: list, verify, create",
    .details = "Snapshots of the key-value engine in DIR. list reads the beginning and the end of\n"
               "each, verify all of it, load does what opening does and says what came of it: these\n"
               "change nothing and work beside a program that has it open. create makes one, and\n"
               "needs the engine for itself.",
    .options = snapshot_options,
    .run = snapshot_run,
};
