/* SPDX-License-Identifier: Apache-2.0 */
/* varve kv: a key-value engine's directory, from outside. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "keying.h"
#include "kv.h"
#include "units.h"
#include "when.h"

#define KEY_AT       (CLI_LONG + 0)
#define KEY_EXPIRE   (CLI_LONG + 1)
#define KEY_LIMIT    (CLI_LONG + 2)
#define KEY_RAW      (CLI_LONG + 3)
#define KEY_JSON     (CLI_LONG + 4)
#define KEY_STORE    (CLI_LONG + 5)
#define KEY_PRESET   (CLI_LONG + 6)
#define SCAN_AT_ONCE 1000

static const struct cli_option kv_options[] = {
    {KEY_AT, "at", "LSN|TIME",
     "get, scan, count, digest, range: as of then; a time as\nin 2026-03-01T12:30, -90s, @SECONDS"},
    {KEY_EXPIRE, "expire", "DURATION", "set: the key is gone after 90s, 12h, 7d"},
    {KEY_LIMIT, "limit", "NUMBER", "scan, range: end after so many entries or events"},
    {KEY_RAW, "raw", NULL, "get: the value and nothing behind it"},
    {KEY_JSON, "json", NULL, "get, scan, stat, history, range: JSON, an object a line"},
    {KEY_STORE, "store", "NAME", "set: what a new engine is to be: memory, lmdb"},
    {KEY_PRESET, "preset", "NAME", "how the log is kept, and made by set and append:\nvarve, stra, dbkv"},
    KEYING_OPTIONS,
    CLI_OPTIONS_END,
};

/* What goes with what. */
static const struct {
    const char *name;
    size_t operands; /* behind the directory and the action, */
    const char *missing;
    bool at, json, limit;
    bool change, create; /* opened so */
    size_t more;         /* and so many more may follow */
} kv_actions[] = {
    [KV_GET] = {"get", 1, "KEY is missing", .at = true, .json = true},
    [KV_SET] = {"set", 2, "KEY and VALUE are needed", .change = true, .create = true},
    [KV_DEL] = {"del", 1, "KEY is missing", .change = true},
    [KV_SCAN] = {"scan", 0, "", .at = true, .json = true, .limit = true},
    [KV_COUNT] = {"count", 0, "", .at = true},
    [KV_STAT] = {"stat", 0, "", .json = true},
    [KV_DIGEST] = {"digest", 0, "", .at = true},
    [KV_HISTORY] = {"history", 1, "KEY is missing", .json = true},
    [KV_APPEND] = {"append", 2, "KEY and EVENT are needed", .change = true, .create = true},
    [KV_RANGE] = {"range", 1, "KEY is missing", .at = true, .json = true, .limit = true, .more = 2},
    [KV_TRIM] = {"trim", 2, "KEY and POSITION are needed", .change = true},
};

#define KV_ACTIONS (sizeof kv_actions / sizeof kv_actions[0])

int kv_said(const struct kv_wish *wish, int rc)
{
    if (rc == VARVE_E_NO_KEY) {
        say("%s: there is no key '%s'", wish->keeping.path, wish->key);
        return EXIT_FAILED;
    }
    return say_code(wish->keeping.path, rc);
}

/* -- one key -- */

static void kv_json_entry(struct out *out, const void *key, size_t key_bytes, const void *value,
                          size_t value_bytes, uint64_t version, uint64_t expires_us, bool is_lock)
{
    struct json json = {.out = out};

    json_object(&json, NULL);
    json_object(&json, "key");
    json_payload(&json, key, key_bytes);
    json_object_end(&json);
    json_number(&json, "version", version);
    json_time(&json, "expires", expires_us);
    json_bool(&json, "lock", is_lock);
    json_object(&json, "value");
    json_payload(&json, value, value_bytes);
    json_object_end(&json);
    json_object_end(&json);
    json_line_end(&json);
}

static int kv_get(struct kv_wish *wish)
{
    struct varve_kv_value value = {.data = NULL};
    size_t key_bytes = strlen(wish->key);
    int rc = varve_kv_get(wish->keeping.kv, wish->key, key_bytes, &value);

    if (rc) {
        varve_kv_value_free(&value);
        return kv_said(wish, rc);
    }
    if (wish->json) {
        kv_json_entry(&wish->out, wish->key, key_bytes, value.data, value.bytes, value.version,
                      value.expires_us, value.is_lock);
    } else {
        out_bytes(&wish->out, value.data, value.bytes);
        if (!wish->raw)
            out_byte(&wish->out, '\n');
    }
    varve_kv_value_free(&value);
    return EXIT_FINE;
}

static int kv_set(struct kv_wish *wish)
{
    struct varve_kv_write how = {.size = sizeof how};
    int rc;

    if (wish->expire_ms)
        how.expires_us = when_now_us() + wish->expire_ms * 1000;
    rc = varve_kv_set(wish->keeping.kv, wish->key, strlen(wish->key), wish->value, strlen(wish->value), &how,
                      NULL);
    return rc ? kv_said(wish, rc) : EXIT_FINE;
}

static int kv_del(struct kv_wish *wish)
{
    int rc = varve_kv_delete(wish->keeping.kv, wish->key, strlen(wish->key), NULL, NULL);

    return rc ? kv_said(wish, rc) : EXIT_FINE;
}

/* -- all of them -- */

static void kv_json_stream(struct out *out, const struct varve_kv_entry *e)
{
    struct json json = {.out = out};

    json_object(&json, NULL);
    json_object(&json, "key");
    json_payload(&json, e->key, e->key_bytes);
    json_object_end(&json);
    json_number(&json, "version", e->version);
    json_time(&json, "expires", e->expires_us);
    json_number(&json, "first", e->first);
    json_number(&json, "next", e->next);
    json_object_end(&json);
    json_line_end(&json);
}

static int kv_emit(void *arg, const struct varve_kv_entry *e)
{
    struct kv_wish *wish = arg;

    if (wish->count == wish->limit)
        return 1;
    wish->count++;
    if (wish->json && e->is_stream) {
        kv_json_stream(&wish->out, e);
    } else if (wish->json) {
        kv_json_entry(&wish->out, e->key, e->key_bytes, e->value, e->value_bytes, e->version, e->expires_us,
                      e->is_lock);
    } else {
        out_bytes(&wish->out, e->key, e->key_bytes);
        out_byte(&wish->out, '\t');
        if (e->is_stream)
            out_print(&wish->out, "(%" PRIu64 " events from %" PRIu64 " on)", e->next - e->first, e->first);
        out_bytes(&wish->out, e->value, e->value_bytes);
        out_byte(&wish->out, '\n');
    }
    return out_is_abandoned(&wish->out) ? 1 : 0;
}

static int kv_scan(struct kv_wish *wish)
{
    uint64_t cursor = 0;
    int rc = 0;

    while (rc == 0 && cursor != VARVE_KV_SCAN_END)
        rc = varve_kv_scan(wish->keeping.kv, &cursor, SCAN_AT_ONCE, kv_emit, wish);
    return rc < 0 ? kv_said(wish, rc) : EXIT_FINE;
}

/* Those that have expired and were not removed are not counted: they are in nobody's scan. */
static int kv_note(void *arg, const struct varve_kv_entry *e)
{
    (void)e;
    ++*(uint64_t *)arg;
    return 0;
}

static int kv_count(struct kv_wish *wish)
{
    uint64_t cursor = 0, count = 0;
    int rc = 0;

    while (rc == 0 && cursor != VARVE_KV_SCAN_END)
        rc = varve_kv_scan(wish->keeping.kv, &cursor, SCAN_AT_ONCE, kv_note, &count);
    if (rc)
        return kv_said(wish, rc);
    out_print(&wish->out, "%" PRIu64 "\n", count);
    return EXIT_FINE;
}

static int kv_digest(struct kv_wish *wish)
{
    uint8_t digest[VARVE_KV_DIGEST_BYTES];
    int rc = varve_kv_digest(wish->keeping.kv, digest);

    if (rc)
        return kv_said(wish, rc);
    for (size_t i = 0; i < sizeof digest; i++)
        out_print(&wish->out, "%02x", digest[i]);
    out_byte(&wish->out, '\n');
    return EXIT_FINE;
}

static int kv_stat(struct kv_wish *wish)
{
    struct varve_kv_recovery r = {.size = sizeof r};
    struct varve_kv_stats s = {.size = sizeof s};
    struct json json = {.out = &wish->out};
    char text[UNITS_TEXT];

    if (varve_kv_stats_get(wish->keeping.kv, &s) != 0 || varve_kv_recovery_get(wish->keeping.kv, &r) != 0)
        return kv_said(wish, VARVE_E_INVALID);
    if (!wish->json) {
        out_print(&wish->out, "entries    %" PRIu64 ", %" PRIu64 " that expire\n", s.entries, s.expiring);
        if (s.streams)
            out_print(&wish->out, "streams    %" PRIu64 " of them, with %" PRIu64 " events\n", s.streams,
                      s.events);
        out_print(&wish->out, "memory     %s\n", units_bytes(text, s.memory_bytes));
        if (s.store == VARVE_KV_STORE_LMDB)
            out_print(&wish->out, "store      lmdb, of %s\n", units_bytes(text, s.env_bytes));
        out_print(&wish->out, "snapshot   LSN %" PRIu64 ", %" PRIu64 " entries; %" PRIu64 " passed over\n",
                  r.snapshot_lsn, r.snapshot_entries, r.snapshots_bad);
        out_print(&wish->out,
                  "replayed   %" PRIu64 " records, %" PRIu64 " operations, to LSN %" PRIu64 ", in %.3f s\n",
                  r.records, r.operations, r.last_lsn, (double)r.duration_us / 1e6);
        return EXIT_FINE;
    }
    json_object(&json, NULL);
    json_string(&json, "path", wish->keeping.path);
    json_number(&json, "entries", s.entries);
    json_number(&json, "expiring", s.expiring);
    json_number(&json, "streams", s.streams);
    json_number(&json, "events", s.events);
    json_number(&json, "memory_bytes", s.memory_bytes);
    json_string(&json, "store", s.store == VARVE_KV_STORE_LMDB ? "lmdb" : "memory");
    json_number(&json, "env_bytes", s.env_bytes);
    json_number(&json, "snapshot_lsn", r.snapshot_lsn);
    json_number(&json, "snapshot_entries", r.snapshot_entries);
    json_number(&json, "snapshots_bad", r.snapshots_bad);
    json_number(&json, "records", r.records);
    json_number(&json, "operations", r.operations);
    json_number(&json, "last_lsn", r.last_lsn);
    json_number(&json, "duration_us", r.duration_us);
    json_object_end(&json);
    json_line_end(&json);
    return EXIT_FINE;
}

/* -- the past of a key -- */

static int kv_change(void *arg, const struct varve_kv_change *c)
{
    struct kv_wish *wish = arg;
    struct json json = {.out = &wish->out};
    char text[WHEN_TEXT];

    wish->count++;
    if (!wish->json) {
        out_print(&wish->out, "%" PRIu64 "\t%s\t%" PRIu64 "\t%s\t", c->lsn, when_print(text, c->time_us),
                  c->txn_id, varve_kv_change_name(c->kind));
        out_string(&wish->out, when_print(text, c->expires_us));
        out_byte(&wish->out, '\t');
        if (c->position || c->kind == VARVE_KV_CHANGE_RANGE)
            out_print(&wish->out, "%" PRIu64 "%s", c->position, c->kind == VARVE_KV_CHANGE_TRIM ? "" : "\t");
        out_bytes(&wish->out, c->value, c->value_bytes);
        out_byte(&wish->out, '\n');
        return 0;
    }
    json_object(&json, NULL);
    json_number(&json, "lsn", c->lsn);
    json_time(&json, "time", c->time_us);
    json_number(&json, "txn", c->txn_id);
    json_string(&json, "change", varve_kv_change_name(c->kind));
    json_time(&json, "expires", c->expires_us);
    if (c->position || c->kind == VARVE_KV_CHANGE_RANGE)
        json_number(&json, "position", c->position);
    json_object(&json, "value");
    json_payload(&json, c->value, c->value_bytes);
    json_object_end(&json);
    json_object_end(&json);
    json_line_end(&json);
    return 0;
}

/* The log alone is read: not even a sound snapshot is needed. */
static int kv_history(struct kv_wish *wish)
{
    struct varve_options options = {.size = sizeof options};
    struct varve_error error;
    struct varve_log *log;
    int rc;

    options.flags = VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST;
    options.keys = keying_keys();
    options.message = say_message;
    options.message_level = VARVE_MESSAGE_WARNING;
    rc = varve_open(wish->keeping.path, &options, &log, &error);
    if (rc)
        return say_library(wish->keeping.path, &error);
    rc = varve_kv_history(log, wish->key, strlen(wish->key), kv_change, wish, &error);
    if (rc)
        rc = say_library(wish->keeping.path, &error);
    (void)varve_close(log, NULL);
    if (rc == 0 && wish->count == 0) {
        say("%s: the log holds no change of '%s'", wish->keeping.path, wish->key);
        return EXIT_FAILED;
    }
    return rc;
}

static int kv_act(struct kv_wish *wish)
{
    static int (*const actions[KV_ACTIONS])(struct kv_wish * wish) = {
        [KV_GET] = kv_get,       [KV_SET] = kv_set,     [KV_DEL] = kv_del,       [KV_SCAN] = kv_scan,
        [KV_COUNT] = kv_count,   [KV_STAT] = kv_stat,   [KV_DIGEST] = kv_digest, [KV_HISTORY] = kv_history,
        [KV_APPEND] = kv_append, [KV_RANGE] = kv_range, [KV_TRIM] = kv_trim,
    };
    int rc;

    if (wish->action == KV_HISTORY)
        return kv_history(wish);
    wish->keeping.change = kv_actions[wish->action].change;
    wish->keeping.create = kv_actions[wish->action].create;
    rc = keeping_open(&wish->keeping);
    if (rc)
        return rc;
    return keeping_close(&wish->keeping, actions[wish->action](wish));
}

/* An LSN is digits only; anything else is a moment. */
static void kv_at(struct cli *cli, struct kv_wish *wish)
{
    wish->has_at = true;
    if (units_number(cli->value, &wish->keeping.at_lsn)) {
        if (wish->keeping.at_lsn == 0)
            cli_bad_value(cli, "LSNs begin with 1");
    } else if (!when_parse(cli->value, when_now_us(), &wish->keeping.at_time_us) ||
               wish->keeping.at_time_us == 0) {
        cli_bad_value(cli, "neither an LSN nor a time");
    }
}

static void kv_store(struct cli *cli, struct kv_wish *wish)
{
    if (strcmp(cli->value, "memory") == 0)
        wish->keeping.store = VARVE_KV_STORE_MEMORY;
    else if (strcmp(cli->value, "lmdb") == 0)
        wish->keeping.store = VARVE_KV_STORE_LMDB;
    else
        cli_bad_value(cli, "must be memory or lmdb");
}

static void kv_option(struct cli *cli, int key, struct kv_wish *wish)
{
    if (key == KEY_AT)
        kv_at(cli, wish);
    else if (key == KEY_STORE)
        kv_store(cli, wish);
    else if (key == KEY_EXPIRE)
        wish->expire_ms = cli_duration(cli, 1);
    else if (key == KEY_LIMIT)
        wish->limit = cli_number(cli, 1, UINT64_MAX - 1);
    else if (key == KEY_PRESET)
        wish->keeping.preset = cli->value;
    wish->raw |= key == KEY_RAW;
    wish->json |= key == KEY_JSON;
}

/* The operands behind the directory. EXIT_FINE, or what a usage error comes to. */
static int kv_operands(const struct cli *cli, struct kv_wish *wish)
{
    const char *action = cli->operands[1];
    size_t i = 0, more = cli->operand_count - 2;

    wish->keeping.path = cli->operands[0];
    while (i < KV_ACTIONS && strcmp(kv_actions[i].name, action) != 0)
        i++;
    if (i == KV_ACTIONS)
        return say_usage("'%s': must be one of get set del scan count stat digest history append range trim",
                         action);
    wish->action = (enum kv_action)i;
    if (more < kv_actions[i].operands)
        return say_usage("%s: %s", action, kv_actions[i].missing);
    if (more > kv_actions[i].operands + kv_actions[i].more)
        return say_usage("unexpected argument '%s'",
                         cli->operands[2 + kv_actions[i].operands + kv_actions[i].more]);
    if ((wish->has_at && !kv_actions[i].at) || (wish->json && !kv_actions[i].json) ||
        (wish->raw && (wish->action != KV_GET || wish->json)) ||
        ((wish->expire_ms || wish->keeping.store) && wish->action != KV_SET) ||
        (wish->limit != UINT64_MAX && !kv_actions[i].limit))
        return say_usage("%s: an option does not go with it", action);
    wish->key = more > 0 ? cli->operands[2] : "";
    wish->value = more > 1 ? cli->operands[3] : "";
    if (more > 0 && (wish->key[0] == '\0' || strlen(wish->key) > VARVE_KV_KEY_MAX))
        return say_usage("a key has 1 to %d bytes", VARVE_KV_KEY_MAX);
    if ((wish->action == KV_RANGE || wish->action == KV_TRIM) &&
        !kv_positions(wish, (const char *const *)&cli->operands[3], more - 1))
        return say_usage("%s: a position is a number from 1 on, and the first is not behind the last",
                         action);
    return EXIT_FINE;
}

static int kv_run(const struct cli_command *command, int argc, char **argv)
{
    struct kv_wish wish = {.limit = UINT64_MAX};
    struct cli cli;
    int key, rc, closed;

    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0) {
        if (!keying_option(&cli, key))
            kv_option(&cli, key, &wish);
    }
    if (!cli_operands(&cli, 2, 5))
        return cli.exit_code;
    rc = kv_operands(&cli, &wish);
    if (rc)
        return rc;
    if (!out_open(&wish.out))
        return EXIT_FAILED;
    rc = kv_act(&wish);
    closed = out_close(&wish.out);
    return rc ? rc : closed;
}

const struct cli_command command_kv = {
    .name = "kv",
    .operands = "DIR get KEY | set KEY VALUE | del KEY | scan | count | stat | digest | history KEY\n"
                "                          | append KEY EVENT | range KEY [FROM [TO]] | trim KEY POSITION",
    .summary = "a key-value engine: get, set, del, scan, history",
    .details = "Looks into the directory DIR of a key-value engine (libvarvekv), or changes a key of\n"
               "it. Reading works beside a program that has it open, and gives what is durable; set,\n"
               "del, append and trim need it for themselves. history gives every change of a key\n"
               "that the log still holds; --at, what was there then. digest is a SHA-256 over all\n"
               "there is. append puts an event behind those of a stream and prints its position;\n"
               "range gives those at positions FROM to TO; trim removes those before POSITION.",
    .options = kv_options,
    .run = kv_run,
};
