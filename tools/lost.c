/* SPDX-License-Identifier: Apache-2.0 */
/* varve lost: what was set aside: listed, shown, exported, appended again, dropped. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changing.h"
#include "commands.h"
#include "emit.h"
#include "json.h"
#include "keying.h"
#include "units.h"
#include "when.h"

#define KEY_ALL   (CLI_LONG + 0)
#define KEY_AGAIN (CLI_LONG + 1)

static const struct cli_option lost_options[] = {
    {KEY_ALL, "all", NULL,
     "list: also what is done with; requeue: all that\nis not; drop: all that is not dropped"},
    {KEY_AGAIN, "again", NULL, "requeue: also what was appended before"},
    EMIT_OPTIONS,
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

enum lost_action {
    LOST_LIST,
    LOST_SHOW,
    LOST_EXPORT,
    LOST_REQUEUE,
    LOST_DROP,
    LOST_ACTIONS,
};

static const char *const lost_actions[LOST_ACTIONS] = {"list", "show", "export", "requeue", "drop"};

struct lost_wish {
    const char *path;
    enum lost_action action;
    struct emit emit;
    bool all, again;
    bool formed; /* an option of EMIT_OPTIONS was given, other than --json */
    uint64_t *ids;
    size_t id_count;
    size_t found; /* of them */
    int failed;
};

static bool lost_is_done(const struct varve_lost_entry *entry)
{
    return entry->state == VARVE_LOST_DROPPED || entry->state == VARVE_LOST_REQUEUED;
}

static const char *lost_state(const struct varve_lost_entry *entry)
{
    static const char *const names[] = {"pending", "requeuing", "requeued", "dropped"};

    return names[entry->state];
}

static const char *lost_what(const struct varve_lost_entry *entry)
{
    return entry->kind == VARVE_LOST_SET_ASIDE ? "set aside" : varve_verdict_name(entry->verdict);
}

static void lost_json(struct out *out, const struct varve_lost_entry *entry)
{
    struct json json = {.out = out};

    json_object(&json, NULL);
    json_number(&json, "id", entry->id);
    json_string(&json, "kind", entry->kind == VARVE_LOST_SET_ASIDE ? "set aside" : "damage");
    json_string(&json, "state", lost_state(entry));
    json_string(&json, "verdict", lost_what(entry));
    json_number(&json, "first_lsn", entry->first_lsn);
    json_number(&json, "last_lsn", entry->last_lsn);
    json_number(&json, "segment", entry->segment);
    json_number(&json, "offset", entry->offset);
    json_time(&json, "time", entry->time_us);
    json_number(&json, "requeued_first", entry->requeued_first);
    json_number(&json, "requeued_last", entry->requeued_last);
    json_bool(&json, "repaired", entry->repaired);
    json_number(&json, "bytes", entry->bytes);
    json_string(&json, "file", entry->file);
    json_string(&json, "reason", entry->reason);
    json_object_end(&json);
    json_line_end(&json);
}

static void lost_lsns(struct out *out, uint64_t first, uint64_t last)
{
    if (last < first)
        out_print(out, "no LSN known to be gone");
    else if (last == first)
        out_print(out, "LSN %" PRIu64, first);
    else
        out_print(out, "LSN %" PRIu64 " to %" PRIu64, first, last);
}

static void lost_text(struct out *out, const struct varve_lost_entry *entry)
{
    char bytes[UNITS_TEXT];

    out_print(out, "%" PRIu64 "  %s: ", entry->id, lost_what(entry));
    lost_lsns(out, entry->first_lsn, entry->last_lsn);
    if (entry->bytes > 0)
        out_print(out, ", %s", units_bytes(bytes, entry->bytes));
    if (entry->state == VARVE_LOST_REQUEUED) {
        out_string(out, "; appended again as ");
        lost_lsns(out, entry->requeued_first, entry->requeued_last);
    } else if (entry->state == VARVE_LOST_REQUEUING) {
        out_string(out, "; appending it again was cut off");
    } else if (entry->state == VARVE_LOST_DROPPED) {
        out_string(out, "; dropped");
    }
    if (entry->reason[0]) {
        out_string(out, "; ");
        out_string(out, entry->reason);
    }
    out_byte(out, '\n');
}

static bool lost_wanted(struct lost_wish *wish, const struct varve_lost_entry *entry)
{
    if (wish->id_count == 0)
        return wish->all ? wish->action == LOST_LIST || !lost_is_done(entry) : !lost_is_done(entry);
    for (size_t i = 0; i < wish->id_count; i++)
        if (wish->ids[i] == entry->id)
            return true;
    return false;
}

static int lost_see(void *arg, const struct varve_lost_entry *entry)
{
    struct lost_wish *wish = arg;

    if (!lost_wanted(wish, entry))
        return 0;
    wish->found++;
    if (wish->emit.form == EMIT_JSON)
        lost_json(&wish->emit.out, entry);
    else
        lost_text(&wish->emit.out, entry);
    return 0;
}

static int lost_list(struct lost_wish *wish)
{
    struct varve_error error;
    uint64_t unread = 0;

    if (varve_lost_list(wish->path, NULL, lost_see, wish, &unread, &error))
        return say_library(wish->path, &error);
    out_flush(&wish->emit.out);
    if (unread > 0) {
        say("%s: lost/index: %" PRIu64 " line%s not check; what is in lost/ may be more than this",
            wish->path, unread, unread == 1 ? " does" : "s do");
        return EXIT_FOUND;
    }
    return EXIT_FINE;
}

static int lost_see_record(void *arg, const struct varve_entry *record)
{
    struct lost_wish *wish = arg;
    struct emit *emit = &wish->emit;

    if (wish->action == LOST_SHOW && emit->form != EMIT_JSON) {
        out_print(&emit->out, "    LSN %" PRIu64 ", type %u, %zu bytes\n", record->lsn, record->type,
                  record->data_bytes);
        return 0;
    }
    return emit_entry(emit, record) ? 0 : 1;
}

/* show and export: the records of each entry that was named. */
static int lost_records(struct lost_wish *wish)
{
    struct varve_options options = {.size = sizeof options, .keys = keying_keys()};
    const size_t count = wish->id_count;
    const uint64_t *ids = wish->ids;
    struct varve_error error;
    int rc = EXIT_FINE;

    for (size_t i = 0; i < count && rc == EXIT_FINE; i++) {
        if (wish->action == LOST_SHOW) {
            struct lost_wish one = *wish;

            one.ids = wish->ids + i;
            one.id_count = 1;
            if (varve_lost_list(wish->path, NULL, lost_see, &one, NULL, &error))
                return say_library(wish->path, &error);
            wish->emit = one.emit;
        }
        if (varve_lost_read(wish->path, &options, ids[i], lost_see_record, wish, &error) < 0) {
            out_flush(&wish->emit.out);
            rc = say_library(wish->path, &error);
        }
    }
    return rc;
}

static int lost_collect(void *arg, const struct varve_lost_entry *entry)
{
    struct lost_wish *wish = arg;
    uint64_t *ids;

    if (wish->action == LOST_DROP ? entry->state == VARVE_LOST_DROPPED : lost_is_done(entry))
        return 0;
    ids = realloc(wish->ids, (wish->id_count + 1) * sizeof *ids);
    if (!ids)
        return VARVE_E_NOMEM;
    wish->ids = ids;
    ids[wish->id_count++] = entry->id;
    return 0;
}

static int lost_change_one(const struct lost_wish *wish, struct varve_log *log, uint64_t id, struct out *out)
{
    unsigned flags = wish->again ? VARVE_REQUEUE_AGAIN : 0;
    struct varve_error error;
    uint64_t first, last;

    if (wish->action == LOST_DROP) {
        if (varve_lost_drop(log, id, &error))
            return say_library(wish->path, &error);
        out_print(out, "%" PRIu64 "  dropped\n", id);
        return EXIT_FINE;
    }
    if (varve_lost_requeue(log, id, flags, &first, &last, &error))
        return say_library(wish->path, &error);
    out_print(out, "%" PRIu64 "  appended again as ", id);
    lost_lsns(out, first, last);
    out_byte(out, '\n');
    /* What is said to be durable must be seen, whatever comes next. */
    out_flush(out);
    return EXIT_FINE;
}

static int lost_change(struct lost_wish *wish)
{
    struct varve_error error;
    struct varve_log *log;
    int failed, worst = EXIT_FINE;

    if (wish->all && varve_lost_list(wish->path, NULL, lost_collect, wish, NULL, &error))
        return say_library(wish->path, &error);
    failed = changing_open(wish->path, &log);
    if (failed)
        return failed;
    for (size_t i = 0; i < wish->id_count; i++) {
        int rc = lost_change_one(wish, log, wish->ids[i], &wish->emit.out);

        worst = rc > worst ? rc : worst;
    }
    return changing_close(wish->path, log, worst);
}

static bool lost_find_action(const char *word, enum lost_action *ret_action)
{
    for (size_t i = 0; i < LOST_ACTIONS; i++) {
        if (strcmp(lost_actions[i], word) == 0) {
            *ret_action = (enum lost_action)i;
            return true;
        }
    }
    return false;
}

static int lost_take_ids(const struct cli *cli, struct lost_wish *wish)
{
    if (cli->operand_count <= 2)
        return EXIT_FINE;
    wish->ids = calloc(cli->operand_count, sizeof *wish->ids);
    if (!wish->ids)
        return say_system("entries", ENOMEM);
    for (size_t i = 2; i < cli->operand_count; i++) {
        const char *text = cli->operands[i];
        char *end;
        unsigned long long id;

        errno = 0;
        id = strtoull(text, &end, 10);
        if (errno || *end || id == 0 || text[0] < '0' || text[0] > '9')
            return say_usage("'%s': not the number of an entry", text);
        wish->ids[wish->id_count++] = id;
    }
    return EXIT_FINE;
}

/* The operands: DIR, then the action; or the other way round. */
static int lost_operands(const struct cli *cli, struct lost_wish *wish)
{
    const char *action = cli->operand_count > 1 ? cli->operands[1] : "list";
    int rc;

    wish->path = cli->operands[0];
    if (!lost_find_action(action, &wish->action)) {
        if (!lost_find_action(wish->path, &wish->action))
            return say_usage("'%s': must be one of list show export requeue drop", action);
        wish->path = action;
        action = cli->operands[0];
    }
    rc = lost_take_ids(cli, wish);
    if (rc)
        return rc;
    if (wish->action == LOST_LIST && wish->id_count > 0)
        return say_usage("unexpected argument '%s'", cli->operands[2]);
    if (wish->action != LOST_LIST && wish->id_count == 0 &&
        !(wish->all && (wish->action == LOST_REQUEUE || wish->action == LOST_DROP)))
        return say_usage("%s: ID is missing", action);
    if ((wish->all && (wish->id_count > 0 || wish->action == LOST_SHOW || wish->action == LOST_EXPORT)) ||
        (wish->again && wish->action != LOST_REQUEUE) || (wish->formed && wish->action != LOST_EXPORT) ||
        (wish->emit.form == EMIT_JSON && (wish->action == LOST_REQUEUE || wish->action == LOST_DROP)))
        return say_usage("%s: an option does not go with it", action);
    return EXIT_FINE;
}

static int lost_do(struct lost_wish *wish)
{
    int closed, rc;

    if (!out_open(&wish->emit.out))
        return EXIT_FAILED;
    if (wish->action == LOST_LIST)
        rc = lost_list(wish);
    else if (wish->action == LOST_SHOW || wish->action == LOST_EXPORT)
        rc = lost_records(wish);
    else
        rc = lost_change(wish);
    closed = out_close(&wish->emit.out);
    return closed ? closed : rc;
}

static int lost_run(const struct cli_command *command, int argc, char **argv)
{
    struct lost_wish wish = {.ids = NULL};
    struct cli cli;
    int key, rc;

    emit_init(&wish.emit);
    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (keying_option(&cli, key))
            continue;
        wish.all |= key == KEY_ALL;
        wish.again |= key == KEY_AGAIN;
        if (emit_option(&wish.emit, &cli, key))
            wish.formed |= key != EMIT_KEY_JSON;
    }
    if (!cli_operands(&cli, 1, SIZE_MAX))
        return cli.exit_code;
    rc = lost_operands(&cli, &wish);
    if (rc == EXIT_FINE)
        rc = lost_do(&wish);
    free(wish.ids);
    return rc;
}

const struct cli_command command_lost = {
    .name = "lost",
    .operands = "DIR [list | show ID... | export ID... | requeue ID... | drop ID...]",
    .summary = "what was set aside: list, show, append again",
    .details = "Damage that the policy skip passed over, and records that an application set aside,\n"
               "are entries in the directory lost/ of the log in DIR. export writes the payloads\n"
               "of the records in an entry that are sound; requeue appends them to the log again,\n"
               "each once, also when it was cut off; drop removes their bytes. Listing, showing and\n"
               "exporting work beside a writer; the others need the log for themselves.",
    .options = lost_options,
    .run = lost_run,
};
