/* SPDX-License-Identifier: Apache-2.0 */
/* varve append: lines, framed bytes or files become records. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ack.h"
#include "commands.h"
#include "feed.h"
#include "keying.h"
#include "out.h"
#include "telling.h"
#include "units.h"
#include "when.h"

#define KEY_DURABILITY    (CLI_LONG + 0)
#define KEY_BATCH         (CLI_LONG + 1)
#define KEY_ACK           (CLI_LONG + 2)
#define KEY_TYPE          (CLI_LONG + 3)
#define KEY_FRAMED        (CLI_LONG + 4)
#define KEY_SEGMENT_BYTES (CLI_LONG + 5)
#define KEY_RECORD_MAX    (CLI_LONG + 6)
#define KEY_SLOT_BYTES    (CLI_LONG + 7)
#define KEY_BACKEND       (CLI_LONG + 8)
#define KEY_SYNC_BYTES    (CLI_LONG + 9)
#define KEY_SYNC_INTERVAL (CLI_LONG + 10)
#define KEY_POLICY        (CLI_LONG + 11)
#define KEY_NO_CREATE     (CLI_LONG + 12)
#define KEY_KEEP_SEGMENTS (CLI_LONG + 13)
#define KEY_KEEP_BYTES    (CLI_LONG + 14)
#define KEY_KEEP_TIME     (CLI_LONG + 15)
#define KEY_MAX_LOG_BYTES (CLI_LONG + 16)
#define KEY_METRICS_FILE  (CLI_LONG + 17)
#define KEY_CODEC         (CLI_LONG + 18)
#define KEY_DICTIONARY    (CLI_LONG + 19)
#define KEY_FORMAT        (CLI_LONG + 20)
#define KEY_PRESET        (CLI_LONG + 21)
#define KEY_TIME          (CLI_LONG + 22)
#define KEY_FAILOVER_DIR  (CLI_LONG + 23)

#define APPEND_THREADS_MAX 1024
#define APPEND_BATCH_MAX   65536
#define APPEND_BATCH       4096
#define APPEND_BATCH_BYTES (256u << 10)

static const struct cli_option append_options[] = {
    {'0', "null", NULL, "input is NUL-separated, not lines"},
    {KEY_FRAMED, "framed", NULL,
     "input is framed: before each record its\nlength, as a little-endian 32-bit number"},
    {KEY_TYPE, "type", "N", "type of the records, 0 (default) to 255"},
    {KEY_TIME, "time", "TIME",
     "time of the records, instead of now:\n"
     "2026-03-01, 2026-03-01T12:30:05Z, @SECONDS,\n"
     "-2h; not before that of the log's last record"},
    {KEY_DURABILITY, "durability", "MODE", "memory, buffered, interval, group (default)\nor strict"},
    {KEY_ACK, "ack", "[=FORM]",
     "print each LSN once it is durable;\n"
     "FORM full: LSN, number in the input, thread,\nmicroseconds it took"},
    {'t', "threads", "N", "append with N threads (default 1); each\ntakes the next records of the input"},
    {KEY_BATCH, "batch", "N",
     "take up to N records at a time (default: what\n"
     "the input has ready, up to 4096); 1 commits\nrecord by record"},
    {'q', "quiet", NULL, "no summary"},
    {KEY_FORMAT, "format", "NAME",
     "of the log: varve (default of a new log), stra,\nwlog, aero, dbkv, lfwal; --framed input fits best"},
    {KEY_PRESET, "preset", "NAME",
     "format, durability, backend, policy and sizes\nas that format's own program has them; other\noptions "
     "go before it"},
    {KEY_NO_CREATE, "no-create", NULL, "fail where there is no log"},
    {KEY_POLICY, "policy", "POLICY", "what opening does at damage: truncate\n(default), halt, skip"},
    {KEY_CODEC, "codec", "NAME[:LEVEL]",
     "of what is written: identity, lz4, zstd,\n"
     "aes-256-gcm, zstd+aes-256-gcm (default: the\none that the log has)"},
    {KEY_DICTIONARY, "dictionary", "FILE",
     "for zstd, made by 'varve train'; becomes part of\nthe log; '-': none any more"},
    KEYING_OPTIONS,
    {KEY_SEGMENT_BYTES, "segment-bytes", "SIZE", "size of new segments (64M; 1M in wlog, 1G in\ndbkv)"},
    {KEY_RECORD_MAX, "record-max", "SIZE", "size of the largest record (64M)"},
    {KEY_SLOT_BYTES, "slot-bytes", "SIZE", "size of a slot, of which there are 16 (1M)"},
    {KEY_BACKEND, "backend", "NAME", "auto (default), direct, buffered, mmap (wlog)"},
    {KEY_SYNC_BYTES, "sync-bytes", "SIZE", "buffered: sync after so much (4M)"},
    {KEY_SYNC_INTERVAL, "sync-interval-ms", "N", "interval: sync this often (100)"},
    {KEY_KEEP_SEGMENTS, "keep-segments", "N", "drop older segments than the last N"},
    {KEY_KEEP_BYTES, "keep-bytes", "SIZE", "drop segments behind the last so much"},
    {KEY_KEEP_TIME, "keep-time", "DURATION", "drop segments that are older: 90s, 12h, 7d"},
    {KEY_MAX_LOG_BYTES, "max-log-bytes", "SIZE", "refuse what would make the log larger"},
    {KEY_FAILOVER_DIR, "failover-dir", "DIR",
     "go on there while the log's device fails or\nhangs; becomes part of the log; '': none any more"},
    {KEY_METRICS_FILE, "metrics-file", "FILE", "export metrics to it, for 'varve stat --watch'"},
    TELLING_OPTIONS,
    CLI_OPTIONS_END,
};

struct append {
    const char *path; /* [const after the options, down to `log`] */
    const char *preset;
    struct varve_options options;
    struct feed feed;
    enum ack_form ack_form;
    unsigned threads;
    bool quiet;
    uint64_t time_us; /* of all records; 0: the clock's */
    struct varve_log *log;
    struct ack ack;
    atomic_bool failed; /* somebody failed, and told: the others end too */
    bool closed;        /* in order: what was appended is durable, whatever failed */
};

/* What one thread did. */
struct append_worker {
    struct append *append;
    pthread_t thread;
    unsigned number;
    uint64_t records, bytes;
    uint64_t first_lsn, last_lsn;
};

/* ---- signals: take no more, make durable what was taken, then end by that signal ---- */

static int append_stop_fds[2];
static volatile sig_atomic_t append_signal;

static void append_on_signal(int number)
{
    int saved = errno;

    append_signal = number;
    if (write(append_stop_fds[1], "", 1) < 0) {
        /* The pipe is full of earlier ones: it is readable, which is what counts. */
    }
    errno = saved;
}

static bool append_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction old, ignore = {.sa_handler = SIG_IGN};
    /* The second one ends the process at once, as if there were no handler. */
    struct sigaction action = {.sa_handler = append_on_signal, .sa_flags = (int)SA_RESETHAND};

    if (pipe2(append_stop_fds, O_CLOEXEC | O_NONBLOCK) != 0) {
        say_system("a pipe", errno);
        return false;
    }
    /* When nobody reads the acknowledgements any more the log is still to be closed in order. */
    sigaction(SIGPIPE, &ignore, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    return true;
}

/* ---- appending ---- */

/* An append of record `number` of the input failed. A log that turned read-only tells why in its first error.
 */
static void append_failed(struct append *append, uint64_t number, int code)
{
    struct varve_error error = {.code = code}, first = {0};
    char name[64];

    if (atomic_exchange(&append->failed, true))
        return;
    if ((code == VARVE_E_READONLY || code == VARVE_E_SYNC) && varve_error_first(append->log, &first) != 0)
        error = first;
    say_library(feed_name(&append->feed, number, name, sizeof name), &error);
}

/* Returns how many of the batch were appended, and the LSN of the first. */
static size_t append_batch(struct append *append, const struct feed_batch *batch, uint64_t *ret_lsn)
{
    int rc;

    if (batch->count == 1)
        rc = varve_append_record(append->log, batch->records, VARVE_DURABILITY_DEFAULT, ret_lsn);
    else
        rc = varve_append_batch(append->log, batch->records, batch->count, VARVE_DURABILITY_DEFAULT, 1,
                                ret_lsn);
    if (rc == 0)
        return batch->count;
    append_failed(append, batch->first, rc);
    return 0;
}

static void *append_worker(void *arg)
{
    struct append_worker *worker = arg;
    struct append *append = worker->append;
    struct feed_batch batch = {0};
    enum feed_result taken = FEED_END;

    while (!atomic_load(&append->failed) && (taken = feed_take(&append->feed, &batch)) == FEED_TAKEN) {
        struct ack_batch done = {.input = batch.first, .thread = worker->number};

        if (append->ack_form == ACK_FULL)
            done.begun_us = when_clock_us();
        done.count = append_batch(append, &batch, &done.lsn);
        if (done.count == 0)
            break;
        worker->first_lsn = worker->first_lsn ? worker->first_lsn : done.lsn;
        worker->last_lsn = done.lsn + done.count - 1;
        worker->records += done.count;
        worker->bytes += batch.bytes;
        if (!ack_batch(&append->ack, &done)) {
            atomic_store(&append->failed, true);
            break;
        }
    }
    if (taken == FEED_FAILED)
        atomic_store(&append->failed, true);
    feed_batch_free(&batch);
    return NULL;
}

/* Runs the workers, the first in this thread, and adds up what they did. */
static void append_work(struct append *append, struct append_worker *workers, struct append_worker *ret_sum)
{
    unsigned started = 1;

    assert(append->threads > 0);
    for (unsigned i = 0; i < append->threads; i++)
        workers[i] = (struct append_worker){.append = append, .number = i + 1};
    for (; started < append->threads; started++) {
        int rc = pthread_create(&workers[started].thread, NULL, append_worker, &workers[started]);

        if (rc) {
            say_system("starting a thread", rc);
            atomic_store(&append->failed, true);
            break;
        }
    }
    append_worker(&workers[0]);
    for (unsigned i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    *ret_sum = (struct append_worker){.append = append};
    for (unsigned i = 0; i < started; i++) {
        const struct append_worker *worker = &workers[i];

        if (worker->records == 0)
            continue;
        if (ret_sum->records == 0 || worker->first_lsn < ret_sum->first_lsn)
            ret_sum->first_lsn = worker->first_lsn;
        if (worker->last_lsn > ret_sum->last_lsn)
            ret_sum->last_lsn = worker->last_lsn;
        ret_sum->records += worker->records;
        ret_sum->bytes += worker->bytes;
    }
}

/* Whether append returns before the record is durable. */
static bool append_is_weak(const struct append *append)
{
    enum varve_durability mode = append->options.durability;

    return mode != VARVE_DURABILITY_DEFAULT && mode < VARVE_GROUP;
}

static void append_summary(const struct append *append, const struct append_worker *sum, uint64_t took_us)
{
    const char *kept = append->closed || !append_is_weak(append) ? "durable" : "perhaps not durable";

    if (append->options.durability == VARVE_MEMORY)
        kept = "not kept";

    if (sum->records == 0) {
        say("%s: no records", append->path);
        return;
    }
    say("%s: %" PRIu64 " record%s, %" PRIu64 " byte%s, LSN %" PRIu64 " to %" PRIu64
        ", %s; %.3f s, %.0f records/s",
        append->path, sum->records, sum->records == 1 ? "" : "s", sum->bytes, sum->bytes == 1 ? "" : "s",
        sum->first_lsn, sum->last_lsn, kept, (double)took_us / 1e6, units_ratio(sum->records, took_us) * 1e6);
}

/* Sizes of batches: what shares a frame must fit into a slot together, and `strict` wants a sync for each. */
static void append_set_limits(struct append *append)
{
    struct varve_stats stats = {.size = sizeof stats};

    append->feed.record_max = UINT32_MAX;
    append->feed.batch_bytes = APPEND_BATCH_BYTES;
    if (varve_stats_get(append->log, &stats) == 0) {
        append->feed.record_max = stats.record_max;
        if (append->feed.batch_bytes > stats.slot_bytes / 2)
            append->feed.batch_bytes = stats.slot_bytes / 2;
    }
    if (stats.durability == VARVE_STRICT)
        append->feed.batch_records = 1;
    if (append->time_us != 0) {
        append->feed.flags = VARVE_RECORD_TIME;
        append->feed.time = varve_format_time_of_us(varve_log_format(append->log), append->time_us);
    }
    append->feed.copies = append->threads > 1;
}

static int append_log(struct append *append, struct append_worker *sum)
{
    struct term_progress opening = {.what = "opening"};
    struct append_worker *workers = calloc(append->threads, sizeof *workers);
    struct varve_error error;
    int rc;

    if (!workers)
        return say_system("threads", ENOMEM);
    if (!telling_start(&append->options)) {
        free(workers);
        return EXIT_FAILED;
    }
    append->options.progress = term_progress;
    append->options.progress_arg = &opening;
    rc = varve_open(append->path, &append->options, &append->log, &error);
    term_progress_clear();
    if (rc) {
        free(workers);
        (void)telling_end();
        return say_library(append->path, &error);
    }
    append_set_limits(append);
    if (feed_open(&append->feed) &&
        ack_open(&append->ack, append->log, append->ack_form, append_is_weak(append))) {
        append_work(append, workers, sum);
        if (!ack_close(&append->ack))
            atomic_store(&append->failed, true);
    } else {
        atomic_store(&append->failed, true);
    }
    feed_close(&append->feed);
    free(workers);
    rc = varve_close(append->log, &error);
    append->closed = rc == 0;
    if (telling_end())
        atomic_store(&append->failed, true);
    /* A log that failed gives the same error again when it is closed. */
    if (rc && !atomic_exchange(&append->failed, true))
        return say_library(append->path, &error);
    return atomic_load(&append->failed) ? EXIT_FAILED : EXIT_FINE;
}

static int append_all(struct append *append)
{
    struct append_worker sum = {0};
    uint64_t begun_us = when_clock_us();
    int rc;

    if (!append_catch_signals())
        return EXIT_FAILED;
    append->feed.stop_fd = append_stop_fds[0];
    rc = append_log(append, &sum);
    if (!append->quiet && (rc == EXIT_FINE || sum.records > 0))
        append_summary(append, &sum, when_clock_us() - begun_us);
    if (append_signal && rc == EXIT_FINE)
        raise(append_signal); /* its handler is gone: this ends the process */
    return rc;
}

/* ---- options ---- */

static void append_set_form(struct append *append, struct cli *cli, enum feed_form form)
{
    if (append->feed.form != FEED_LINES && append->feed.form != form && !cli->stop) {
        cli->stop = true;
        cli->exit_code = say_usage("--null and --framed exclude each other");
    }
    append->feed.form = form;
}

static void append_log_option(struct varve_options *options, struct cli *cli, int key)
{
    switch (key) {
    case KEY_DURABILITY:
        options->durability = (enum varve_durability)cli_choice(cli, cli_durabilities);
        break;
    case KEY_POLICY:
        options->policy = (enum varve_policy)cli_choice(cli, cli_policies);
        break;
    case KEY_BACKEND:
        options->backend = (enum varve_backend)cli_choice(cli, cli_backends);
        break;
    case KEY_CODEC:
        keying_codec(cli, options);
        break;
    case KEY_DICTIONARY:
        keying_dictionary(cli, options);
        break;
    case KEY_FORMAT:
        options->format = cli->value;
        break;
    case KEY_NO_CREATE:
        options->flags |= VARVE_OPEN_MUST_EXIST;
        break;
    case KEY_SEGMENT_BYTES:
        options->segment_bytes = cli_size(cli, 1024, UINT64_C(4) << 30);
        break;
    case KEY_RECORD_MAX:
        options->record_max = cli_size(cli, 1, 1u << 30);
        break;
    case KEY_SLOT_BYTES:
        options->slot_bytes = (uint32_t)cli_size(cli, 4096, 64u << 20);
        break;
    case KEY_SYNC_BYTES:
        options->sync_bytes = cli_size(cli, 1, UINT64_MAX);
        break;
    case KEY_KEEP_SEGMENTS:
        options->keep_segments = cli_number(cli, 1, UINT64_MAX);
        break;
    case KEY_KEEP_BYTES:
        options->keep_bytes = cli_size(cli, 1, UINT64_MAX);
        break;
    case KEY_KEEP_TIME:
        options->keep_ms = cli_duration(cli, 1);
        break;
    case KEY_FAILOVER_DIR:
        options->failover_dir = cli->value;
        break;
    case KEY_METRICS_FILE:
        options->metrics_file = cli->value;
        break;
    case KEY_MAX_LOG_BYTES:
        options->max_log_bytes = cli_size(cli, 1, UINT64_MAX);
        break;
    case KEY_SYNC_INTERVAL:
        options->sync_interval_ms = (uint32_t)cli_number(cli, 1, UINT32_MAX);
        break;
    default:
        break;
    }
}

/* What was not set by itself is as the preset has it. */
static bool append_apply_preset(struct append *append)
{
    struct varve_options preset = {.size = sizeof preset}, *o = &append->options;

    if (!append->preset)
        return true;
    if (varve_options_preset(&preset, append->preset) != 0)
        return false;
    o->format = o->format ? o->format : preset.format;
    o->durability = o->durability ? o->durability : preset.durability;
    o->backend = o->backend ? o->backend : preset.backend;
    o->policy = o->policy ? o->policy : preset.policy;
    o->segment_bytes = o->segment_bytes ? o->segment_bytes : preset.segment_bytes;
    o->sync_bytes = o->sync_bytes ? o->sync_bytes : preset.sync_bytes;
    o->sync_interval_ms = o->sync_interval_ms ? o->sync_interval_ms : preset.sync_interval_ms;
    return true;
}

static void append_option(struct append *append, struct cli *cli, int key)
{
    static const char *const forms[] = {"none", "lsn", "full", NULL};

    switch (key) {
    case '0':
        append_set_form(append, cli, FEED_NUL);
        break;
    case KEY_FRAMED:
        append_set_form(append, cli, FEED_FRAMED);
        break;
    case KEY_TYPE:
        append->feed.type = (uint8_t)cli_number(cli, 0, UINT8_MAX);
        break;
    case KEY_ACK:
        append->ack_form = cli->value ? (enum ack_form)cli_choice(cli, forms) : ACK_LSN;
        break;
    case KEY_TIME:
        if (!when_parse(cli->value, when_now_us(), &append->time_us) || append->time_us == 0)
            cli_bad_value(cli, "must be a moment after 1970, as 2026-03-01T12:30:05Z or @1772366400");
        append->options.flags |= VARVE_OPEN_TIMES;
        break;
    case 't':
        append->threads = (unsigned)cli_number(cli, 1, APPEND_THREADS_MAX);
        break;
    case KEY_BATCH:
        append->feed.batch_records = cli_number(cli, 1, APPEND_BATCH_MAX);
        break;
    case 'q':
        append->quiet = true;
        break;
    case KEY_PRESET:
        append->preset = cli->value;
        break;
    default:
        append_log_option(&append->options, cli, key);
        break;
    }
}

static int append_run(const struct cli_command *command, int argc, char **argv)
{
    /* Not on the stack: the queue of acknowledgements is in it. */
    static struct append append = {.threads = 1, .feed.batch_records = APPEND_BATCH};
    struct cli cli;
    int key;

    append.options.size = sizeof append.options;
    cli_start(&cli, command, argc, argv);
    while ((key = cli_next(&cli)) > 0)
        if (!keying_option(&cli, key) && !telling_option(&cli, key))
            append_option(&append, &cli, key);
    if (!cli_operands(&cli, 1, SIZE_MAX))
        return cli.exit_code;
    append.path = cli.operands[0];
    if (!append_apply_preset(&append))
        return say_usage("--preset %s: there is none of that name", append.preset);
    append.options.keys = keying_keys();
    if (cli.operand_count > 1 && append.feed.form != FEED_LINES)
        return say_usage("--null and --framed are for standard input; each FILE is one record");
    if (append.ack_form != ACK_NONE && append.options.durability == VARVE_MEMORY)
        return say_usage("--ack: with --durability memory nothing ever becomes durable");
    if (cli.operand_count > 1) {
        append.feed.form = FEED_FILES;
        append.feed.files = cli.operands + 1;
        append.feed.file_count = cli.operand_count - 1;
    }
    return append_all(&append);
}

const struct cli_command command_append = {
    .name = "append",
    .operands = "DIR [FILE...]",
    .summary = "make records of lines, framed bytes or files",
    .details = "Appends every line of standard input to the log in DIR, without its newline, as\n"
               "a record; or each FILE as one record ('-' is standard input). Makes the log where\n"
               "there is none. When it ends with 0, everything is durable.",
    .options = append_options,
    .run = append_run,
};
