/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs that the formats' own programs wrote (golden/data/samples), written again by the engine: to the same
 * format, which must give the same files where the format leaves no freedom, and to every other one and back.
 *
 * Freedom, which is masked here: what a wlog header holds of memory and its two times; when a dbkv file was
 * made; the names of rotated dbkv files, and that numbered lfwal files begin with 1 and not with `wal.log`.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/plain.h"
#include "varve/varve.h"

/* A sample, how large its files were when the next one was begun, and its files; as the engine names them
 * where that is not the same. */
static const struct sample {
    const char *format, *name;
    uint64_t segment_bytes;
    const char *files[4], *ours[2];
} samples[] = {
    {"stra",
     "a-small",
     65536,
     {"MANIFEST", "WAL/wal-000001.seg", "WAL/wal-000002.seg", "WAL/wal-000003.seg"},
     {NULL, NULL}},
    {"stra", "a-snapshot", 4096, {"WAL/wal-000001.seg", "WAL/wal-000002.seg"}, {NULL, NULL}},
    {"wlog", "a-small", 81920, {"wal/wal_000001.log", "wal/wal_000002.log"}, {NULL, NULL}},
    {"wlog",
     "a-exactfit",
     1024,
     {"wal/wal_000001.log", "wal/wal_000002.log", "wal/wal_000003.log"},
     {NULL, NULL}},
    {"wlog", "a-txn", 4096, {"wal/wal_000001.log"}, {NULL, NULL}},
    {"aero", "a-small", 0, {"wal/wal.log"}, {NULL, NULL}},
    {"dbkv", "a-small", 80281, {"wal-1795178697.log", "wal-current.log"}, {"wal-1", NULL}},
    {"dbkv", "a-snapshot", 65536, {"wal-current.log"}, {NULL, NULL}},
    {"dbkv", "a-decimal", 65536, {"wal-current.log"}, {NULL, NULL}},
    {"lfwal", "a-small", 1 << 20, {"wal.log"}, {"wal-00000001.log", NULL}},
};

enum {
    SAMPLES = sizeof samples / sizeof samples[0],
    /* What goes elsewhere and back without a loss: stra/a-small to varve; wlog's three to varve and stra;
     * aero's to varve; lfwal's to varve, stra and wlog; dbkv's three, whose times are nanoseconds, nowhere.
     * The snapshot that stra's MANIFEST names does not go along. */
    PAIRS = 1 + 3 * 2 + 1 + 3,
};

static char told[4096]; /* lines, one behind the other */

static void tell(void *arg, const char *text)
{
    size_t used = strlen(told);

    (void)arg;
    snprintf(told + used, sizeof told - used, "%s\n", text);
}

static int convert(const char *from, const char *to, const char *format, uint64_t segment_bytes, bool lossy)
{
    struct varve_options options = {.size = sizeof options, .format = format, .segment_bytes = segment_bytes};
    struct varve_error error;
    int rc;

    told[0] = 0;
    rc = varve_convert(from, NULL, to, &options, lossy ? VARVE_CONVERT_LOSSY : 0, tell, NULL, NULL, &error);
    if (rc != 0 && rc != VARVE_E_UNSUPPORTED)
        fail_msg("%s to %s: %s", from, to, error.message);
    if (rc != 0)
        tell(NULL, error.message);
    return rc;
}

/* What begins with `start` in the directory. */
static void find_name(const char *dir, const char *start, char *ret_name, size_t room)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    assert_non_null(stream);
    ret_name[0] = 0;
    while ((entry = readdir(stream))) {
        if (strncmp(entry->d_name, start, strlen(start)) == 0)
            snprintf(ret_name, room, "%s", entry->d_name);
    }
    closedir(stream);
    assert_true(ret_name[0] != 0);
}

static void mask(const struct sample *s, uint8_t *bytes, size_t len)
{
    if (strcmp(s->format, "wlog") == 0) {
        assert_true(len > 48);
        memset(bytes + 12, 0, 4);
        memset(bytes + 28, 0, 20);
    } else if (strcmp(s->format, "dbkv") == 0) {
        assert_true(len >= 20);
        memset(bytes + 12, 0, 8);
    }
}

static void check_same(const struct sample *s, const char *original, const char *again)
{
    for (unsigned i = 0; i < 4 && s->files[i]; i++) {
        const char *ours = i < 2 && s->ours[i] ? s->ours[i] : s->files[i];
        size_t was_len, is_len;
        uint8_t *was = test_bytes_read(original, s->files[i], &was_len), *is;
        char name[256];

        if (strcmp(ours, "wal-1") == 0) {
            find_name(again, ours, name, sizeof name);
            ours = name;
        }
        is = test_bytes_read(again, ours, &is_len);
        mask(s, was, was_len);
        mask(s, is, is_len);
        if (was_len != is_len || memcmp(was, is, was_len) != 0)
            fail_msg("%s/%s: %s is not as it was: %zu bytes, %zu before", s->format, s->name, ours, is_len,
                     was_len);
        free(was);
        free(is);
    }
}

static const struct test_plain *plain_of(const struct sample *s)
{
    for (const struct test_plain *p = test_plains; p->format; p++) {
        if (strcmp(p->format, s->format) == 0 && strcmp(p->name, s->name) == 0)
            return p;
    }
    fail_msg("no sample %s/%s", s->format, s->name);
    return NULL;
}

/* Facts of other programs are not copied, so such a sample goes with a word. */
static bool has_snapshot(const struct sample *s)
{
    return strcmp(s->format, "stra") == 0 && strcmp(s->name, "a-snapshot") == 0;
}

static void test_convert__the_same_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        char original[32], again[32];

        snprintf(original, sizeof original, "original-%u", i);
        snprintf(again, sizeof again, "again-%u", i);
        test_plain_copy(plain_of(s), original);
        assert_int_equal(convert(original, again, s->format, s->segment_bytes, has_snapshot(s)), 0);
        assert_int_equal(told[0] != 0, has_snapshot(s));
        check_same(s, original, again);
    }
}

static bool has_times(const char *format)
{
    return varve_format_get(format)->carries & VARVE_FIELD_TIME;
}

static void test_convert__there_and_back(void **state)
{
    const struct varve_format *to;
    unsigned pairs = 0;

    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        char original[32], there[48], back[48];

        snprintf(original, sizeof original, "sample-%u", i);
        test_plain_copy(plain_of(s), original);
        for (unsigned n = 0; (to = varve_format_at(n)); n++) {
            struct stat st;

            snprintf(there, sizeof there, "there-%u-%s", i, to->name);
            snprintf(back, sizeof back, "back-%u-%s", i, to->name);
            if (strcmp(to->name, s->format) == 0)
                continue;
            if (convert(original, there, to->name, 0, false) != 0) {
                /* Refused with a reason, and nothing was made. */
                print_message("%s/%s, not to %s: %s", s->format, s->name, to->name, told);
                assert_true(told[0] != 0);
                assert_int_equal(stat(there, &st), -1);
                snprintf(there, sizeof there, "there-%u-%s.converting", i, to->name);
                assert_int_equal(stat(there, &st), -1);
                continue;
            }
            print_message("%s/%s to %s and back\n", s->format, s->name, to->name);
            /* The times that records got on the way are all that is lost on the way back. */
            assert_int_equal(convert(there, back, s->format, s->segment_bytes, true), 0);
            if (!has_times(s->format) && has_times(to->name))
                assert_non_null(strstr(told, "a time that it has no room for\n"));
            else
                assert_string_equal(told, "");
            check_same(s, original, back);
            pairs++;
        }
    }
    assert_int_equal(pairs, PAIRS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert__the_same_bytes),
        cmocka_unit_test(test_convert__there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
