/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite for every combination of format, backend and durability mode, and for every preset. What is
 * allowed must do what every log does: append, from several threads too, reopen, rotate, lose a torn tail,
 * judge damage as the format is used to, trim, be read. What is not must be refused, with the right error.
 * Each combination is printed with what became of it.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/format.h"
#include "lib/build.h"
#include "lib/tmp.h"
#include "varve/cursor.h"
#include "varve/format.h"
#include "varve/log.h"

enum {
    RECORDS = 120,
    THREADS = 4,
    EACH = 20,
    CONTENT_MAX = 9000,
    PAYLOAD_MAX = CONTENT_MAX + TEST_BUILD_AROUND,
};

static const char *const modes[] = {NULL, "memory", "buffered", "interval", "group", "strict"};
static const char *const backends[] = {"auto", "direct", "buffered", "mmap"};

struct combo {
    const struct varve_format *format;
    struct varve_options options;
    bool native, one_file, fixed, alone;
    char *root, *path;
};

static void combo_init(struct combo *c, const char *name)
{
    memset(c, 0, sizeof *c);
    c->format = varve_format_get(name);
    assert_non_null(c->format);
    c->native = c->format->traits & VARVE_FORMAT_NATIVE;
    c->one_file = !c->native && c->format->layout == VARVE_LAYOUT_ONE_FILE;
    c->fixed = !c->native && (c->format->traits & VARVE_FORMAT_FIXED);
    c->alone = c->format->traits & VARVE_FORMAT_ALONE;
    c->options = (struct varve_options){.size = sizeof c->options, .format = name, .slot_bytes = 4096};
    /* Small files, so that a few records fill some. */
    if (!c->one_file)
        c->options.segment_bytes = c->native ? 1u << 20 : 4096;
    c->root = test_tmp_new();
    c->path = test_tmp_join(c->root, "log");
}

static void combo_end(struct combo *c)
{
    free(c->path);
    test_tmp_free(c->root);
}

/* Record `number` of thread `thread`: what it holds can be told from the two, and the other way round. */
static size_t make_payload(const struct combo *c, unsigned thread, unsigned number, uint8_t *out)
{
    uint8_t content[CONTENT_MAX];
    size_t bytes = c->native ? 8000 : 40 + number % 50;

    for (size_t i = 0; i < bytes; i++)
        content[i] = (uint8_t)(1 + (i * 7 + number) % 250);
    snprintf((char *)content, 32, "<%02u:%06u>", thread, number);
    if (c->native) {
        memcpy(out, content, bytes);
        return bytes;
    }
    return test_build_payload(c->format, content, bytes, out);
}

static struct varve_log *open_log(struct combo *c, int expected)
{
    struct varve_error error;
    struct varve_log *log = NULL;
    int rc = varve_open(c->path, &c->options, &log, &error);

    if (rc != expected)
        fail_msg("%s: open gives %d, not %d: %s", c->format->name, rc, expected, rc ? error.message : "");
    return log;
}

static void close_log(struct varve_log *log)
{
    struct varve_error error;

    if (varve_close(log, &error) != 0)
        fail_msg("close: %s", error.message);
}

static uint64_t append_one(struct combo *c, struct varve_log *log, unsigned thread, unsigned number)
{
    uint8_t payload[PAYLOAD_MAX];
    struct varve_record record = {.data = payload, .data_bytes = make_payload(c, thread, number, payload)};
    uint64_t lsn = 0;

    assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, &lsn), 0);
    return lsn;
}

/* -- reading -- */

struct tally {
    uint64_t first, last, count;
    unsigned next[THREADS + 1]; /* by thread: the number that comes next */
};

/* Reads to the end. Each record must be one that was appended, and the numbers of each thread go up. */
static struct tally read_all(struct combo *c, struct varve_log *log, enum varve_policy policy)
{
    uint8_t payload[PAYLOAD_MAX];
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct tally t = {0};
    int rc;

    assert_int_equal(varve_cursor_open(log, policy, &cursor, NULL), 0);
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        const char *mark = memchr(entry.data, '<', entry.data_bytes);
        unsigned thread, number;

        while (mark && sscanf(mark, "<%2u:%6u>", &thread, &number) != 2)
            mark = memchr(mark + 1, '<', entry.data_bytes - (size_t)(mark + 1 - (const char *)entry.data));
        assert_non_null(mark);
        assert_true(thread <= THREADS);
        assert_int_equal(entry.data_bytes, make_payload(c, thread, number, payload));
        assert_memory_equal(entry.data, payload, entry.data_bytes);
        assert_true(number >= t.next[thread]);
        t.next[thread] = number + 1;
        if (t.count == 0)
            t.first = entry.lsn;
        else
            assert_true(entry.lsn > t.last);
        t.last = entry.lsn;
        t.count++;
    }
    if (rc != VARVE_END) {
        struct varve_error error;

        varve_cursor_error(cursor, &error);
        fail_msg("%s: cursor: %s", c->format->name, error.message);
    }
    varve_cursor_close(cursor);
    return t;
}

static struct tally read_closed(struct combo *c, enum varve_policy policy)
{
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY, .policy = policy};
    struct varve_log *log;
    struct tally t;

    assert_int_equal(varve_open(c->path, &options, &log, NULL), 0);
    t = read_all(c, log, policy);
    close_log(log);
    return t;
}

/* -- files -- */

struct names {
    char list[256][VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number[256];
    unsigned count;
};

static char *folder(const struct combo *c)
{
    return test_tmp_join(c->path, c->native || !c->format->folder[0] ? "." : c->format->folder);
}

/* The files of records, in order. */
static struct names list_files(const struct combo *c)
{
    struct names names = {.count = 0};
    char *path = folder(c);
    DIR *dir = opendir(path);
    const struct dirent *d;

    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL) {
        uint64_t number = 0;
        unsigned at = names.count;

        if (c->native ? sscanf(d->d_name, "wal-%16" SCNx64 ".seg", &number) != 1
                      : c->format->name_get(d->d_name, &number) != VARVE_NAME_SEGMENT)
            continue;
        assert_true(names.count < 256);
        for (; at > 0 && names.number[at - 1] > number; at--) {
            names.number[at] = names.number[at - 1];
            memcpy(names.list[at], names.list[at - 1], sizeof names.list[at]);
        }
        names.number[at] = number;
        snprintf(names.list[at], sizeof names.list[at], "%.60s", d->d_name);
        names.count++;
    }
    closedir(dir);
    free(path);
    return names;
}

struct place {
    uint64_t offset, bytes;
};

static uint8_t *read_file(const struct combo *c, const char *name, size_t *ret_bytes, char **ret_path)
{
    char *dir = folder(c), *path = test_tmp_join(dir, name);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(1u << 20);

    assert_non_null(file);
    assert_non_null(bytes);
    *ret_bytes = fread(bytes, 1, 1u << 20, file);
    fclose(file);
    free(dir);
    *ret_path = path;
    return bytes;
}

/* Where the file's records lie; returns how many. */
static unsigned find_records(const struct combo *c, const uint8_t *bytes, size_t have, struct place *places,
                             unsigned room)
{
    uint64_t at = c->format->header_bytes;
    struct varve_format_entry entry;
    unsigned count = 0;

    while (at < have &&
           vv_format_decode(c->format, bytes + at, have - at, have - at, &entry) == VARVE_FOUND_RECORD) {
        assert_true(count < room);
        places[count++] = (struct place){at, entry.bytes};
        at += entry.bytes;
    }
    return count;
}

static void write_at(const char *path, uint64_t offset, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), (ssize_t)len);
    close(fd);
}

/* The last record loses its last three bytes, as a crash leaves it. */
static void tear_last(const struct combo *c)
{
    static const uint8_t zeros[3];
    struct names names = list_files(c);
    struct place places[512];
    char *path;
    size_t have;
    uint8_t *bytes = read_file(c, names.list[names.count - 1], &have, &path);
    unsigned count = find_records(c, bytes, have, places, 512);
    const struct place *last = &places[count - 1];

    assert_true(count > 0);
    if (c->fixed)
        write_at(path, last->offset + last->bytes - 3, zeros, 3);
    else
        assert_int_equal(truncate(path, (off_t)(last->offset + last->bytes - 3)), 0);
    free(bytes);
    free(path);
}

/* Where the records of the first file are, which has sound ones behind it; at least three. */
static void places_first(const struct combo *c, struct place places[512])
{
    struct names names = list_files(c);
    char *path;
    size_t have;
    uint8_t *bytes = read_file(c, names.list[0], &have, &path);

    assert_true(find_records(c, bytes, have, places, 512) >= 3);
    free(bytes);
    free(path);
}

/* One bit of a payload in the first file. */
static void damage_first(const struct combo *c, const struct place *place)
{
    uint64_t offset = place->offset + place->bytes / 2;
    struct names names = list_files(c);
    char *path;
    size_t have;
    uint8_t *bytes = read_file(c, names.list[0], &have, &path), bit = bytes[offset] ^ 0x10;

    write_at(path, offset, &bit, 1);
    free(bytes);
    free(path);
}

/* -- the cases -- */

static void case_append(struct combo *c)
{
    struct varve_log *log = open_log(c, 0);
    uint8_t payloads[3][PAYLOAD_MAX];
    struct varve_record records[3] = {{0}};
    uint64_t lsn = 0;
    struct tally t;

    for (unsigned i = 0; i < RECORDS - 4; i++)
        assert_int_equal(append_one(c, log, 0, i), i + 1);
    for (unsigned i = 0; i < 3; i++) {
        records[i].data = payloads[i];
        records[i].data_bytes = make_payload(c, 0, RECORDS - 4 + i, payloads[i]);
    }
    if (c->native || c->format->durability == VARVE_STRICT) {
        /* Neither is put off: too large together, or against the format's promise. */
        assert_int_equal(varve_append_batch(log, records, 3, VARVE_DURABILITY_DEFAULT, 1, &lsn),
                         c->native ? VARVE_E_TOO_LARGE : VARVE_E_UNSUPPORTED);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(append_one(c, log, 0, RECORDS - 4 + i), RECORDS - 3 + i);
    } else {
        assert_int_equal(varve_append_batch(log, records, 3, VARVE_DURABILITY_DEFAULT, 1, &lsn), 0);
        assert_int_equal(lsn, RECORDS - 3);
    }
    records[0].data_bytes = make_payload(c, 0, RECORDS - 1, payloads[0]);
    assert_int_equal(varve_append_async(log, &records[0], &lsn), 0);
    assert_int_equal(lsn, RECORDS);
    if (c->options.durability == VARVE_MEMORY) {
        assert_int_equal(varve_sync(log), VARVE_E_UNSUPPORTED);
        assert_int_equal(varve_trim(log, 2, NULL), VARVE_E_UNSUPPORTED);
    } else {
        assert_int_equal(varve_sync(log), 0);
        assert_int_equal(varve_durable_lsn(log), RECORDS);
        t = read_all(c, log, VARVE_POLICY_DEFAULT);
        assert_int_equal(t.first, 1);
        assert_int_equal(t.count, RECORDS);
    }
    assert_int_equal(varve_last_lsn(log), RECORDS);
    close_log(log);
}

struct worker {
    struct combo *c;
    struct varve_log *log;
    pthread_t thread;
    unsigned number;
};

static void *work(void *arg)
{
    struct worker *w = arg;

    for (unsigned i = 0; i < EACH; i++)
        append_one(w->c, w->log, w->number, i);
    return NULL;
}

static void case_threads(struct combo *c)
{
    struct varve_log *log = open_log(c, 0);
    struct worker workers[THREADS];
    struct tally t;

    assert_int_equal(varve_last_lsn(log), RECORDS);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.c = c, .log = log, .number = i + 1};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    assert_int_equal(varve_last_lsn(log), RECORDS + THREADS * EACH);
    close_log(log);
    t = read_closed(c, VARVE_POLICY_DEFAULT);
    assert_int_equal(t.first, 1);
    assert_int_equal(t.count, RECORDS + THREADS * EACH);
    for (unsigned i = 1; i <= THREADS; i++)
        assert_int_equal(t.next[i], EACH);
}

static void case_rotate(const struct combo *c)
{
    struct names names = list_files(c);
    char *dir = folder(c);

    if (c->one_file)
        assert_int_equal(names.count, 1);
    else
        assert_true(names.count >= 2);
    for (unsigned i = 0; i < names.count && !c->native; i++) {
        char *path = test_tmp_join(dir, names.list[i]);
        struct stat stat_buf;

        assert_int_equal(stat(path, &stat_buf), 0);
        if (!c->one_file)
            assert_true((uint64_t)stat_buf.st_size <= c->options.segment_bytes);
        if (c->fixed)
            assert_int_equal(stat_buf.st_size, c->options.segment_bytes);
        free(path);
    }
    free(dir);
}

/* Larger than a slot, and than a file. */
static void case_large(struct combo *c)
{
    uint8_t content[CONTENT_MAX], payload[PAYLOAD_MAX];
    struct varve_log *log = open_log(c, 0);
    uint64_t before = varve_last_lsn(log);
    struct varve_record record = {.data = payload};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct iovec pieces[2];

    memset(content, 'x', sizeof content);
    record.data_bytes = test_build_payload(c->format, content, sizeof content, payload);
    if (!c->alone && !c->one_file) {
        assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL),
                         VARVE_E_TOO_LARGE);
        close_log(log);
        return;
    }
    assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
    pieces[0] = (struct iovec){payload, 100};
    pieces[1] = (struct iovec){payload + 100, record.data_bytes - 100};
    record = (struct varve_record){.iov = pieces, .iov_count = 2};
    assert_int_equal(varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL), 0);
    assert_int_equal(varve_sync(log), 0);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_DEFAULT, &cursor, NULL), 0);
    assert_int_equal(varve_cursor_seek_lsn(cursor, before + 1), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(entry.lsn, before + 1 + i);
        assert_int_equal(entry.data_bytes, pieces[0].iov_len + pieces[1].iov_len);
        assert_memory_equal(entry.data, payload, entry.data_bytes);
    }
    varve_cursor_close(cursor);
    close_log(log);
}

static void case_torn(struct combo *c)
{
    enum varve_policy habit = c->options.policy;
    struct varve_log *log;
    struct varve_recovery recovery;
    uint64_t last, lsn;
    unsigned number = 910;

    log = open_log(c, 0);
    last = append_one(c, log, 0, number);
    last = append_one(c, log, 0, number + 1);
    close_log(log);
    tear_last(c);
    if (c->format->policy == VARVE_POLICY_HALT) {
        (void)open_log(c, VARVE_E_TORN);
        c->options.policy = VARVE_POLICY_TRUNCATE;
    }
    log = open_log(c, 0);
    varve_recovery_stats(log, &recovery);
    assert_int_equal(recovery.verdict, VARVE_VERDICT_TORN);
    assert_int_equal(varve_last_lsn(log), last - 1);
    lsn = append_one(c, log, 0, number + 2);
    assert_int_equal(lsn, last);
    close_log(log);
    c->options.policy = habit;
    log = open_log(c, 0);
    varve_recovery_stats(log, &recovery);
    assert_int_equal(recovery.verdict, VARVE_VERDICT_CLEAN_END);
    assert_int_equal(varve_last_lsn(log), last);
    close_log(log);
}

static void case_trim(struct combo *c)
{
    struct varve_log *log = open_log(c, 0);
    uint64_t first = 0, last = varve_last_lsn(log), middle = RECORDS / 2;
    struct tally t;

    if (c->one_file) {
        assert_int_equal(varve_trim(log, middle, &first), VARVE_E_UNSUPPORTED);
        close_log(log);
        return;
    }
    if (c->native) /* some tens of its records fill a file */
        middle = last;
    assert_int_equal(varve_trim(log, middle, &first), 0);
    assert_true(first > 1 && first <= middle);
    assert_int_equal(varve_first_lsn(log), first);
    t = read_all(c, log, VARVE_POLICY_DEFAULT);
    assert_int_equal(t.first, first);
    assert_int_equal(t.last, last);
    close_log(log);
    t = read_closed(c, VARVE_POLICY_DEFAULT);
    assert_int_equal(t.first, first);
    assert_int_equal(t.last, last);
    log = open_log(c, 0);
    assert_int_equal(varve_first_lsn(log), first);
    assert_int_equal(append_one(c, log, 0, 900), last + 1);
    /* All that is closed. */
    assert_int_equal(varve_trim(log, last + 2, &first), 0);
    close_log(log);
    log = open_log(c, 0);
    assert_int_equal(varve_first_lsn(log), first);
    assert_int_equal(varve_last_lsn(log), last + 1);
    close_log(log);
}

static void case_damage(struct combo *c)
{
    enum varve_policy habit = c->options.policy;
    struct varve_log *log;
    struct varve_recovery recovery;
    bool skips = c->format->policy == VARVE_POLICY_SKIP;
    struct place places[512];
    uint64_t last;
    struct tally t;

    log = open_log(c, 0);
    for (unsigned i = 0; i < 60; i++)
        last = append_one(c, log, 0, 1000 + i);
    close_log(log);
    places_first(c, places);
    damage_first(c, &places[1]);
    c->options.policy = VARVE_POLICY_TRUNCATE;
    (void)open_log(c, VARVE_E_CORRUPT);
    c->options.policy = VARVE_POLICY_DEFAULT;
    log = open_log(c, skips ? 0 : VARVE_E_CORRUPT);
    if (log)
        close_log(log);
    c->options.policy = VARVE_POLICY_SKIP;
    log = open_log(c, 0);
    varve_recovery_stats(log, &recovery);
    assert_int_equal(recovery.lost_records, 1);
    assert_int_equal(varve_last_lsn(log), last);
    t = read_all(c, log, VARVE_POLICY_SKIP);
    assert_int_equal(t.last, last);
    assert_int_equal(t.count, last - t.first);
    assert_int_equal(append_one(c, log, 0, 1100), last + 1);
    close_log(log);
    /* That loss was accepted; the next one is not. */
    c->options.policy = VARVE_POLICY_HALT;
    log = open_log(c, 0);
    t = read_all(c, log, VARVE_POLICY_TRUNCATE);
    assert_int_equal(t.last, last + 1);
    assert_int_equal(t.count, last + 1 - t.first);
    close_log(log);
    damage_first(c, &places[2]);
    (void)open_log(c, VARVE_E_CORRUPT);
    c->options.policy = habit;
}

/* What is to come of a combination. */
static int expected(const struct combo *c)
{
    enum varve_backend backend = c->options.backend;

    if (backend == VARVE_BACKEND_MMAP && !c->fixed)
        return VARVE_E_UNSUPPORTED;
    if (backend == VARVE_BACKEND_DIRECT && !c->native)
        return VARVE_E_UNSUPPORTED;
    if (c->options.durability < c->format->durability)
        return VARVE_E_INVALID;
    return 0;
}

static void run_combo(const char *name, enum varve_backend backend, enum varve_durability mode, unsigned *ran,
                      unsigned *refused)
{
    struct combo c;
    struct varve_log *log;
    int rc;

    combo_init(&c, name);
    c.options.backend = backend;
    c.options.durability = mode;
    rc = expected(&c);
    printf("%-6s %-9s %-9s %s\n", name, backends[backend], modes[mode],
           rc == 0 ? "runs" : varve_error_name(rc));
    if (rc == 0 && c.native && backend == VARVE_BACKEND_DIRECT) {
        struct varve_error error;

        rc = varve_open(c.path, &c.options, &log, &error);
        if (rc == VARVE_E_UNSUPPORTED)
            printf("       (this file system cannot bypass the page cache)\n");
        if (rc == 0)
            close_log(log);
    }
    if (rc != 0) {
        (void)open_log(&c, rc);
        ++*refused;
        combo_end(&c);
        return;
    }
    ++*ran;
    case_append(&c);
    if (mode == VARVE_MEMORY) {
        struct stat stat_buf;

        /* Nothing touches the disk; the native format has its lock. */
        if (!c.native)
            assert_int_equal(stat(c.path, &stat_buf), -1);
        combo_end(&c);
        return;
    }
    case_threads(&c);
    case_rotate(&c);
    case_trim(&c);
    if (!c.native) { /* its tears and damages: test/crash, test/rot, test/flow/test_verdict_* */
        case_torn(&c);
        case_damage(&c);
        test_tmp_empty(c.path);
        case_large(&c);
    }
    combo_end(&c);
}

static void test_conform__combinations(void **state)
{
    static const char *const names[] = {"varve", "stra", "wlog", "aero", "dbkv", "lfwal"};
    unsigned ran = 0, refused = 0;

    (void)state;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        for (int b = VARVE_BACKEND_AUTO; b <= VARVE_BACKEND_MMAP; b++) {
            for (int m = VARVE_MEMORY; m <= VARVE_STRICT; m++)
                run_combo(names[f], (enum varve_backend)b, (enum varve_durability)m, &ran, &refused);
        }
    }
    printf("%u combinations ran, %u were refused\n", ran, refused);
    assert_int_equal(ran + refused, 6 * 4 * 5);
}

static void test_conform__presets(void **state)
{
    static const struct {
        const char *name;
        enum varve_durability durability;
        enum varve_backend backend;
        uint64_t segment_bytes;
    } presets[] = {
        {"varve", VARVE_GROUP, VARVE_BACKEND_AUTO, 64u << 20},
        {"stra", VARVE_STRICT, VARVE_BACKEND_BUFFERED, 64u << 20},
        {"wlog", VARVE_BUFFERED, VARVE_BACKEND_MMAP, 1u << 20},
        {"aero", VARVE_STRICT, VARVE_BACKEND_BUFFERED, 0},
        {"dbkv", VARVE_INTERVAL, VARVE_BACKEND_BUFFERED, 1u << 30},
        {"lfwal", VARVE_GROUP, VARVE_BACKEND_BUFFERED, 64u << 20},
    };
    struct varve_options none = {.size = 8};

    (void)state;
    assert_int_equal(varve_options_preset(NULL, "stra"), VARVE_E_INVALID);
    assert_int_equal(varve_options_preset(&none, "stra"), VARVE_E_INVALID);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct varve_stats stats = {.size = sizeof stats};
        struct varve_log *log;
        struct combo c;

        combo_init(&c, presets[i].name);
        c.options = (struct varve_options){.size = sizeof c.options, .keep_segments = 7};
        assert_int_equal(varve_options_preset(&c.options, "nothing"), VARVE_E_INVALID);
        assert_int_equal(varve_options_preset(&c.options, presets[i].name), 0);
        assert_int_equal(c.options.keep_segments, 7);
        for (unsigned life = 0; life < 2; life++) {
            log = open_log(&c, 0);
            assert_int_equal(varve_stats_get(log, &stats), 0);
            assert_int_equal(stats.durability, presets[i].durability);
            if (presets[i].backend != VARVE_BACKEND_AUTO)
                assert_int_equal(stats.backend, presets[i].backend);
            if (presets[i].segment_bytes != 0)
                assert_int_equal(stats.segment_bytes, presets[i].segment_bytes);
            for (unsigned n = 0; n < 10; n++)
                assert_int_equal(append_one(&c, log, 0, 10 * life + n), 10 * life + n + 1);
            close_log(log);
        }
        assert_int_equal(read_closed(&c, VARVE_POLICY_DEFAULT).count, 20);
        printf("preset %s runs\n", presets[i].name);
        combo_end(&c);
    }
}

/* What a format does not have is refused when it is set, and nothing is appended. */
static void test_conform__fields(void **state)
{
    (void)state;
    for (unsigned f = 1; f < 6; f++) {
        struct varve_record record = {.flags = VARVE_RECORD_TXN, .txn_id = 77, .origin = {1}};
        uint8_t payload[PAYLOAD_MAX];
        struct varve_log *log;
        struct combo c;
        int rc;

        combo_init(&c, varve_format_at(f)->name);
        log = open_log(&c, 0);
        record.data = payload;
        record.data_bytes = make_payload(&c, 0, 1, payload);
        rc = varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL);
        assert_int_equal(rc, c.format->carries & VARVE_FIELD_ORIGIN ? 0 : VARVE_E_UNSUPPORTED);
        record = (struct varve_record){.data = payload, .data_bytes = record.data_bytes, .type = 200};
        rc = varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL);
        assert_int_equal(rc, c.format->carries & VARVE_FIELD_TYPE ? VARVE_E_INVALID : VARVE_E_UNSUPPORTED);
        record = (struct varve_record){0};
        rc = varve_append_record(log, &record, VARVE_DURABILITY_DEFAULT, NULL);
        assert_int_equal(rc, c.format->payload_min > 0 ? VARVE_E_INVALID : 0);
        close_log(log);
        combo_end(&c);
    }
}

static void expect_refusal(const char *format, struct varve_options options, int code)
{
    struct combo c;

    combo_init(&c, "stra");
    options.size = sizeof options;
    options.format = format;
    c.options = options;
    (void)open_log(&c, code);
    combo_end(&c);
}

static void test_conform__refusals(void **state)
{
    (void)state;
    expect_refusal("stra", (struct varve_options){.sector_bytes = 512}, VARVE_E_UNSUPPORTED);
    expect_refusal("wlog", (struct varve_options){.spare_segments = 2}, VARVE_E_UNSUPPORTED);
    expect_refusal("dbkv", (struct varve_options){.mark_idle_ms = 50}, VARVE_E_UNSUPPORTED);
    expect_refusal("lfwal", (struct varve_options){.codec = "lz4"}, VARVE_E_UNSUPPORTED);
    expect_refusal("stra", (struct varve_options){.codec = "lz4"}, VARVE_E_CODEC);
    expect_refusal("wlog", (struct varve_options){.segment_bytes = 1023}, VARVE_E_INVALID);
    expect_refusal("nothing", (struct varve_options){0}, VARVE_E_INVALID);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conform__combinations),
        cmocka_unit_test(test_conform__presets),
        cmocka_unit_test(test_conform__fields),
        cmocka_unit_test(test_conform__refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
