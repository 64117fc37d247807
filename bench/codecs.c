/* SPDX-License-Identifier: Apache-2.0 */
/* varve-bench codecs: what each codec makes of text that is given, and what it costs beside no codec. */
#include "codecs.h"

#include "varve/varve.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CODECS       5
#define FILES_MAX    8
#define PIECE_BYTES  1024u
#define BATCH        64
#define SPACE_NEEDED (UINT64_C(6) << 30)

static const char *const names[CODECS] = {"identity", "lz4", "zstd", "aes-256-gcm", "zstd+aes-256-gcm"};

/* A file, and its lines, which are the records. */
struct text {
    const char *path;
    char *bytes;
    size_t length;
    struct line {
        uint32_t length;
        size_t offset;
    } * lines;
    size_t count;
};

struct settings {
    struct bench bench;
    const char *parent;
    const char *only; /* the key of one job; NULL = all */
    const char *paths[FILES_MAX];
    unsigned files;
    int check;
    struct varve_keys *keys;
    int missed;
};

/* What one codec gave in the rounds of one measure. */
struct figures {
    double rate[BENCH_ROUNDS_MAX], beside[BENCH_ROUNDS_MAX]; /* a second; of the identity's in that round */
    double packed[BENCH_ROUNDS_MAX];                         /* bytes of records by bytes on disk */
};

struct feed {
    struct varve_log *log;
    const struct text *text;
    atomic_size_t next;
};

static const char usage_text[] =
    "usage: varve-bench codecs [OPTION...] FILE...\n"
    "\n"
    "Measures what each codec makes of the lines of each FILE, which should be text as the\n"
    "log will hold ('bench/text.py DIR' makes some), and what it costs beside none.\n"
    "\n"
    "  --dir DIR       where the log goes, on the disk to be measured; default: beside this program\n"
    "  --rounds N      1 to 15; default 5\n"
    "  --seconds S     how long each run is; default 1\n"
    "  --only MEASURE  whole, commit32, commit128 or stream\n"
    "  --check         exit with 1 when a goal is missed\n"
    "  --help\n";

/* -- the text -- */

static int find_lines(struct text *text)
{
    size_t room = 0;
    for (size_t at = 0; at < text->length;) {
        char *end = memchr(text->bytes + at, '\n', text->length - at);
        size_t length = (end != NULL ? (size_t)(end - text->bytes) : text->length) - at;
        if (text->count == room) {
            room = room ? 2 * room : 4096;
            struct line *lines = realloc(text->lines, room * sizeof *lines);
            if (lines == NULL)
                return bench_fail(ENOMEM, "%s", text->path);
            text->lines = lines;
        }
        text->lines[text->count++] = (struct line){.length = (uint32_t)length, .offset = at};
        at += length + 1;
    }
    return 0;
}

static int load(struct text *text, const char *path)
{
    struct stat st;
    size_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *text = (struct text){.path = path};
    if (fd < 0 || fstat(fd, &st) < 0)
        return bench_fail(errno, "%s", path);
    text->length = (size_t)st.st_size;
    text->bytes = malloc(text->length + 1);
    while (text->bytes != NULL && got < text->length) {
        ssize_t n = read(fd, text->bytes + got, text->length - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    close(fd);
    if (got < text->length || text->length < 4 * PIECE_BYTES || text->length > UINT32_MAX)
        return bench_fail(0, "%s: cannot be read, or is too small", path);
    return find_lines(text);
}

static void drop(struct text *text)
{
    free(text->bytes);
    free(text->lines);
}

/* -- runs -- */

static int append_line(struct worker *worker)
{
    struct feed *feed = worker->arg;
    const struct text *text = feed->text;
    const struct line *line = &text->lines[atomic_fetch_add(&feed->next, 1) % text->count];
    int code = varve_append(feed->log, text->bytes + line->offset, line->length, NULL);
    return code == VARVE_OK ? 1 : bench_fail(0, "varve_append: %s", varve_error_name(code));
}

static int append_pieces(struct worker *worker)
{
    struct feed *feed = worker->arg;
    size_t pieces = feed->text->length / PIECE_BYTES;
    for (int i = 0; i < BATCH; i++) {
        size_t at = atomic_fetch_add(&feed->next, 1) % pieces * PIECE_BYTES;
        int code = varve_append(feed->log, feed->text->bytes + at, PIECE_BYTES, NULL);
        if (code != VARVE_OK)
            return bench_fail(0, "varve_append: %s", varve_error_name(code));
    }
    return BATCH;
}

static int append_everything(struct feed *feed)
{
    for (size_t i = 0; i < feed->text->count; i++) {
        const struct line *line = &feed->text->lines[i];
        int code = varve_append(feed->log, feed->text->bytes + line->offset, line->length, NULL);
        if (code != VARVE_OK)
            return bench_fail(0, "varve_append: %s", varve_error_name(code));
    }
    return 0;
}

static int open_log(const struct settings *s, const char *path, const char *codec,
                    enum varve_durability durability, struct varve_log **ret_log)
{
    struct varve_options options = {
        .size = sizeof options, .durability = durability, .codec = codec, .keys = s->keys};
    struct varve_error error = {0};
    return varve_open(path, &options, ret_log, &error) == VARVE_OK ? 0 : bench_fail(0, "%s", error.message);
}

static int close_log(struct varve_log *log)
{
    struct varve_error error = {0};
    return varve_close(log, &error) == VARVE_OK ? 0 : bench_fail(0, "%s", error.message);
}

static double part(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* Bytes of records by bytes of frames on disk, headers and padding included. */
static double packed_of(struct varve_log *log)
{
    struct varve_stats stats = {.size = sizeof stats};
    return varve_stats_get(log, &stats) == VARVE_OK
               ? part((double)stats.payload_bytes, (double)stats.written_bytes)
               : 0;
}

/* Durable commits of lines. The log stays, as a log does, and is trimmed after each run. */
static int commits(const struct settings *s, const struct text *text, const char *codec, unsigned threads,
                   double *ret_rate, double *ret_packed)
{
    static struct feed feed;
    struct sample sample = {0};
    char path[BENCH_PATH_BYTES];
    disk_path(&s->bench, "codecs.log", path);
    feed.text = text;
    atomic_store(&feed.next, 0);
    if (open_log(s, path, codec, VARVE_GROUP, &feed.log) < 0)
        return -1;
    int failed = crew_sample(&s->bench, threads, append_line, &feed, &sample);
    *ret_packed = packed_of(feed.log);
    *ret_rate = sample.value;
    if (varve_trim(feed.log, varve_durable_lsn(feed.log), NULL) != VARVE_OK)
        failed = bench_fail(0, "varve_trim");
    return close_log(feed.log) < 0 ? -1 : failed;
}

/* Appends that do not wait, until all of them are durable. */
static int stream(const struct settings *s, const struct text *text, const char *codec, unsigned threads,
                  double *ret_rate, double *ret_packed)
{
    static struct crew_result result;
    static struct feed feed;
    char path[BENCH_PATH_BYTES];
    disk_path(&s->bench, "codecs-stream.log", path);
    feed.text = text;
    atomic_store(&feed.next, 0);
    if (open_log(s, path, codec, VARVE_BUFFERED, &feed.log) < 0)
        return -1;
    struct crew_plan plan = {.threads = threads,
                             .fn = append_pieces,
                             .arg = &feed,
                             .warmup_s = s->bench.warmup_s,
                             .measure_s = s->bench.measure_s};
    int failed = crew_run(&plan, &result);
    if (varve_sync(feed.log) != VARVE_OK)
        failed = bench_fail(0, "varve_sync");
    *ret_rate = (double)result.operations / ((double)(bench_now_ns() - result.started_ns) / 1e9);
    *ret_packed = packed_of(feed.log);
    if (close_log(feed.log) < 0 || disk_remove(&s->bench, "codecs-stream.log") < 0)
        return -1;
    return failed;
}

/* All lines once, in frames as large as they come. */
static int whole(const struct settings *s, const struct text *text, const char *codec, unsigned threads,
                 double *ret_rate, double *ret_packed)
{
    static struct feed feed;
    char path[BENCH_PATH_BYTES];
    (void)threads;
    disk_path(&s->bench, "codecs-whole.log", path);
    feed.text = text;
    if (open_log(s, path, codec, VARVE_BUFFERED, &feed.log) < 0)
        return -1;
    uint64_t began = bench_now_ns();
    int failed = append_everything(&feed);
    if (varve_sync(feed.log) != VARVE_OK)
        failed = bench_fail(0, "varve_sync");
    *ret_rate = (double)text->length / (1 << 20) / ((double)(bench_now_ns() - began) / 1e9);
    *ret_packed = packed_of(feed.log);
    if (close_log(feed.log) < 0 || disk_remove(&s->bench, "codecs-whole.log") < 0)
        return -1;
    return failed;
}

/* -- what is measured -- */

static const struct job {
    const char *key, *title, *unit;
    int (*run)(const struct settings *s, const struct text *text, const char *codec, unsigned threads,
               double *ret_rate, double *ret_packed);
    unsigned threads, rounds;              /* 0 = as many as were asked for */
    double packed[CODECS], beside[CODECS]; /* goals; 0 = none */
} jobs[] = {
    {"whole", "all lines, buffered, 1 thread", "MiB/s", whole, 1, 1, {0, 2.5, 4, 0, 4}, {0}},
    {"commit32", "a line a commit, 32 threads", "commits/s", commits, 32, 0, {0}, {0, 0.9, 0.9, 0, 0}},
    {"commit128", "a line a commit, 128 threads", "commits/s", commits, 128, 0, {0}, {0, 0.9, 0.9, 0, 0}},
    {"stream", "1 KiB, buffered, 2 threads", "appends/s", stream, 2, 0, {0}, {0, 0.7, 0, 0.8, 0}},
};

static const char *verdict(struct settings *s, double is, double goal)
{
    if (goal <= 0)
        return "";
    if (is >= goal)
        return " met";
    s->missed = 1;
    return " MISSED";
}

static void print(struct settings *s, const struct job *job, unsigned codec, struct figures *f,
                  unsigned rounds)
{
    struct spread rate = spread_of(f->rate, rounds), beside = spread_of(f->beside, rounds);
    struct spread packed = spread_of(f->packed, rounds);
    printf("  %-17s %10.0f %-9s %5.2f (%.2f to %.2f)%s%7.2f : 1%s\n", names[codec], rate.median, job->unit,
           beside.median, beside.least, beside.greatest, verdict(s, beside.median, job->beside[codec]),
           packed.median, verdict(s, packed.median, job->packed[codec]));
}

static int measure_job(struct settings *s, const struct job *job, const struct text *text)
{
    static struct figures figures[CODECS];
    unsigned rounds = job->rounds ? job->rounds : s->bench.rounds;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned c = 0; c < CODECS; c++) {
            struct figures *f = &figures[c];
            if (varve_codec_get(names[c]) == NULL)
                continue;
            if (s->bench.progress)
                fprintf(stderr, "\r\033[K%s: round %u of %u: %s", job->title, round + 1, rounds, names[c]);
            if (job->run(s, text, names[c], job->threads, &f->rate[round], &f->packed[round]) < 0)
                return bench_fail(0, "%s, %s: failed", job->title, names[c]);
            f->beside[round] = part(f->rate[round], figures[0].rate[round]);
        }
    }
    if (s->bench.progress)
        fputs("\r\033[K", stderr);
    printf("\n%s: %s\n  %-17s %10s %-9s %s   %s\n", text->path, job->title, "codec", "", "",
           "of identity's (rounds)", "records : disk");
    for (unsigned c = 0; c < CODECS; c++) {
        if (varve_codec_get(names[c]) != NULL)
            print(s, job, c, &figures[c], rounds);
    }
    return fflush(stdout) == 0 ? 0 : bench_fail(errno, "standard output");
}

/* [child] */
static int measure(void *arg)
{
    struct settings *s = arg;
    static const unsigned char key[VARVE_KEY_BYTES] = {1, 2, 3};
    int failed = 0;
    s->bench.progress = isatty(STDERR_FILENO);
    if (varve_keys_new(&s->keys, NULL) != VARVE_OK || varve_keys_add(s->keys, 1, key, NULL) != VARVE_OK)
        return bench_fail(0, "keys");
    for (unsigned i = 0; i < s->files && failed == 0; i++) {
        struct text text;
        failed = load(&text, s->paths[i]);
        for (size_t j = 0; j < sizeof jobs / sizeof jobs[0] && failed == 0; j++) {
            if (s->only == NULL || strcmp(s->only, jobs[j].key) == 0)
                failed = measure_job(s, &jobs[j], &text);
        }
        drop(&text);
    }
    varve_keys_free(s->keys);
    return failed < 0 ? -1 : s->missed && s->check;
}

static int number(const char *text, unsigned most, unsigned *ret)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > most)
        return -1;
    *ret = (unsigned)value;
    return 0;
}

static int parse(int argc, char **argv, struct settings *s)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"rounds", required_argument, NULL, 'r'},
        {"only", required_argument, NULL, 'o'},
        {"seconds", required_argument, NULL, 's'},
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    unsigned seconds = 1;
    int option, failed = 0;
    s->bench = (struct bench){.rounds = 5, .warmup_s = 0.2};
    while (failed == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(usage_text, stdout) < 0 ? -1 : 1;
        if (option == 'd')
            s->parent = optarg;
        else if (option == 'o')
            s->only = optarg;
        else if (option == 'r')
            failed = number(optarg, BENCH_ROUNDS_MAX, &s->bench.rounds);
        else if (option == 's')
            failed = number(optarg, 60, &seconds);
        else if (option == 'c')
            s->check = 1;
        else
            failed = -1;
    }
    s->bench.measure_s = seconds;
    for (; optind < argc && s->files < FILES_MAX; optind++)
        s->paths[s->files++] = argv[optind];
    if (failed == 0 && (s->files == 0 || optind < argc))
        failed = -1;
    if (failed < 0)
        fputs(usage_text, stderr);
    return failed;
}

int codecs_main(int argc, char **argv)
{
    static struct settings settings;
    int parsed = parse(argc, argv, &settings);
    if (parsed != 0)
        return parsed < 0 ? 2 : 0;
    int code = shelter_run(&settings.bench, settings.parent, SPACE_NEEDED, measure, &settings);
    return code < 0 ? 3 : code;
}
