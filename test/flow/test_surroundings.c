/* SPDX-License-Identifier: Apache-2.0 */
/* What the world around a log can do to it: full and read-only disks, limits, planted files, other users. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/bytes.h"
#include "lib/child.h"
#include "lib/clock.h"
#include "lib/tmp.h"
#include "varve/cursor.h"

static const struct varve_options plain = {
    .size = sizeof plain, .segment_bytes = 1 << 20, .slot_bytes = 16384, .mark_idle_ms = 3600000};

static char payload[10000];

/* What could not be looked at here; said again at the end, where nobody overlooks it. */
static unsigned skipped;

static _Noreturn void skip_loudly(const char *why)
{
    skipped++;
    print_message("SKIPPED: %s: %s\n", why, strerror(errno));
    skip();
    abort(); /* skip() does not return, and does not say so */
}

/* -- a disk that is full -- */

static int fill_disk(struct varve_log *log, uint64_t *ret_records)
{
    for (int i = 0; i < 2000; i++) {
        uint64_t lsn;
        int rc = varve_append(log, payload, sizeof payload, &lsn);
        if (rc != 0) {
            return rc;
        }
        *ret_records = lsn;
    }
    return 0;
}

static int run_full_disk(void *arg)
{
    char *dir = arg, *path = test_tmp_join(dir, "log"), *ballast = test_tmp_join(dir, "ballast");
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    uint64_t records = 0, more = 0;
    int fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    TEST_CHILD_CHECK(fd >= 0 && posix_fallocate(fd, 0, 3 << 20) == 0);
    close(fd);
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(fill_disk(log, &records) == VARVE_E_NOSPC);
    TEST_CHILD_CHECK(records > 100);
    TEST_CHILD_CHECK(varve_durable_lsn(log) == records && varve_last_lsn(log) == records);
    TEST_CHILD_CHECK(varve_error_first(log, NULL) == 0);
    /* Space is freed, and it goes on by itself. */
    TEST_CHILD_CHECK(unlink(ballast) == 0);
    for (int i = 0; i < 20000 && varve_append(log, payload, sizeof payload, &more) != 0; i++) {
        bed_pause();
    }
    TEST_CHILD_CHECK(more == records + 1);
    TEST_CHILD_CHECK(fill_disk(log, &more) == VARVE_E_NOSPC);
    /* Trimming makes room as well. */
    TEST_CHILD_CHECK(varve_trim(log, more, NULL) == 0);
    for (int i = 0; i < 20000 && varve_append(log, payload, sizeof payload, &records) != 0; i++) {
        bed_pause();
    }
    TEST_CHILD_CHECK(records == more + 1);
    TEST_CHILD_CHECK(fill_disk(log, &records) == VARVE_E_NOSPC);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    /* Full as it is, it can be read and opened again. */
    struct varve_options reading = plain;
    reading.flags = VARVE_OPEN_READ_ONLY;
    TEST_CHILD_CHECK(varve_open(path, &reading, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_last_lsn(log) == records);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    int rc = varve_open(path, &plain, &log, &error);
    TEST_CHILD_CHECK(rc == 0 || rc == VARVE_E_NOSPC);
    if (rc == 0) {
        TEST_CHILD_CHECK(varve_last_lsn(log) == records);
        TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    }
    free(path);
    free(ballast);
    return 0;
}

static void test_surroundings__full_disk(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    if (mount("tmpfs", dir, "tmpfs", 0, "size=8m") != 0) {
        test_tmp_free(dir);
        skip_loudly("no file system can be mounted here");
    }
    int rc = test_child_run(run_full_disk, dir);
    assert_int_equal(umount(dir), 0);
    test_tmp_free(dir);
    assert_int_equal(rc, 0);
}

/* -- a file system that is read-only -- */

/* In a mount namespace of its own, so that nothing outside sees it, and with it goes away; who may not have
 * one may have it in a user namespace. */
static bool make_read_only(const char *dir)
{
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount(dir, dir, NULL, MS_BIND, NULL) == 0 &&
           mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0;
}

static int run_read_only(void *arg)
{
    const char *path = arg;
    if (!make_read_only(path)) {
        return TEST_CHILD_SKIPPED;
    }
    struct varve_error error = {.message = ""};
    struct varve_options reading = plain;
    struct varve_log *log;
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, &error) == VARVE_E_IO);
    TEST_CHILD_CHECK(error.sys_errno == EROFS);
    reading.flags = VARVE_OPEN_READ_ONLY;
    TEST_CHILD_CHECK(varve_open(path, &reading, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_last_lsn(log) == 1);
    TEST_CHILD_CHECK(varve_append(log, "x", 1, NULL) == VARVE_E_READONLY);
    TEST_CHILD_CHECK(varve_trim(log, 1, NULL) == VARVE_E_UNSUPPORTED);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    return 0;
}

static void make_log(const char *path)
{
    struct varve_log *log;
    assert_int_equal(varve_open(path, &plain, &log, NULL), 0);
    assert_int_equal(varve_append(log, "12345678", 8, NULL), 0);
    assert_int_equal(varve_close(log, NULL), 0);
}

static void test_surroundings__read_only(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    make_log(dir);
    uint64_t before = test_bytes_dir_sum(dir);
    int rc = test_child_run(run_read_only, dir);
    assert_int_equal(test_bytes_dir_sum(dir), before);
    test_tmp_free(dir);
    if (rc == TEST_CHILD_SKIPPED) {
        errno = EPERM;
        skip_loudly("no file system can be made read-only here");
    }
    assert_int_equal(rc, 0);
}

/* -- limits of the process -- */

static int run_file_size(void *arg)
{
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    uint64_t records = 0;
    struct rlimit limit = {3 << 19, 3 << 19};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    TEST_CHILD_CHECK(sigaction(SIGXFSZ, &ignore, NULL) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    TEST_CHILD_CHECK(varve_open(arg, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_append(log, payload, sizeof payload, &records) == 0);
    /* Now no further segment can be made. */
    limit.rlim_cur = 1 << 19;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int rc = fill_disk(log, &records);
    TEST_CHILD_CHECK(rc == VARVE_E_NOSPC || rc == VARVE_E_SYNC || rc == VARVE_E_READONLY);
    TEST_CHILD_CHECK(varve_durable_lsn(log) >= records);
    (void)varve_close(log, &error);
    limit.rlim_cur = limit.rlim_max;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    TEST_CHILD_CHECK(varve_open(arg, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_last_lsn(log) >= records);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    /* Nor the first one of a new log. */
    limit.rlim_cur = 1 << 19;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    char *fresh = test_tmp_join(arg, "fresh");
    TEST_CHILD_CHECK(varve_open(fresh, &plain, &log, &error) == VARVE_E_NOSPC);
    TEST_CHILD_CHECK(error.sys_errno == EFBIG);
    limit.rlim_cur = limit.rlim_max;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    TEST_CHILD_CHECK(varve_open(fresh, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    free(fresh);
    return 0;
}

/* A log that was made without a limit, opened by a process that has one: an error, and not the signal that
 * ends the process. */
static int run_file_size_of_a_log(void *arg)
{
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    char *path = test_tmp_join(arg, "larger");
    uint64_t records = 0;
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_append(log, payload, sizeof payload, &records) == 0);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    struct rlimit limit = {0, RLIM_INFINITY};
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, &error) == VARVE_E_IO && error.sys_errno == EFBIG);
    limit.rlim_cur = 1 << 18;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(fill_disk(log, &records) != 0 && records > 10);
    TEST_CHILD_CHECK(varve_close(log, &error) != 0 && error.sys_errno == EFBIG);
    limit.rlim_cur = RLIM_INFINITY;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_last_lsn(log) >= records);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    free(path);
    return 0;
}

static int run_descriptors(void *arg)
{
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    uint64_t records = 0;
    struct rlimit limit, tight;
    TEST_CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    /* With every number of descriptors left: an error that says so, or a log that works. */
    bool opened = false;
    for (rlim_t n = 3; n < 24 && !opened; n++) {
        tight = (struct rlimit){n, limit.rlim_max};
        TEST_CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
        int rc = varve_open(arg, &plain, &log, &error);
        TEST_CHILD_CHECK(rc == 0 || (rc == VARVE_E_IO && error.sys_errno == EMFILE));
        opened = rc == 0;
    }
    TEST_CHILD_CHECK(opened);
    /* No more for the next segment. */
    int rc = fill_disk(log, &records);
    TEST_CHILD_CHECK(rc == 0 || rc == VARVE_E_IO || rc == VARVE_E_NOSPC);
    TEST_CHILD_CHECK(records > 50);
    TEST_CHILD_CHECK(varve_error_first(log, NULL) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    uint64_t more = 0;
    for (int i = 0; i < 20000 && varve_append(log, payload, sizeof payload, &more) != 0; i++) {
        bed_pause();
    }
    TEST_CHILD_CHECK(more == records + 1);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    return 0;
}

/* What a sanitizer maps for itself is more than any limit would leave. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static uint64_t mapped_bytes(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* From now on the process may map so much more than it has; UINT64_MAX: whatever it likes. */
static bool limit_memory(uint64_t more_bytes)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (more_bytes != UINT64_MAX) {
        limit.rlim_cur = mapped_bytes() + more_bytes;
    }
    return setrlimit(RLIMIT_AS, &limit) == 0;
}

static int run_memory(void *arg)
{
    struct varve_error error = {.message = ""};
    struct varve_log *log = NULL;
    uint64_t records = 1, more = 0;
    unsigned refused = 0;
    /* With whatever is left: an error that says so, or a log that works. */
    for (uint64_t left = 4096; log == NULL; left += left / 4) {
        TEST_CHILD_CHECK(limit_memory(left));
        int rc = varve_open(arg, &plain, &log, &error);
        TEST_CHILD_CHECK(limit_memory(UINT64_MAX));
        TEST_CHILD_CHECK(rc == 0 || (rc == VARVE_E_NOMEM && error.message[0] != '\0'));
        refused += rc != 0;
    }
    TEST_CHILD_CHECK(refused > 0 && varve_last_lsn(log) == 1);
    /* Nothing more at all: committing needs none. Only a further segment may want some. */
    TEST_CHILD_CHECK(limit_memory(0));
    int rc = fill_disk(log, &records);
    TEST_CHILD_CHECK(rc == 0 || rc == VARVE_E_NOMEM || rc == VARVE_E_NOSPC);
    TEST_CHILD_CHECK(records > 50);
    TEST_CHILD_CHECK(varve_error_first(log, NULL) == 0);
    TEST_CHILD_CHECK(limit_memory(UINT64_MAX));
    for (int i = 0; i < 20000 && varve_append(log, payload, sizeof payload, &more) != 0; i++) {
        bed_pause();
    }
    TEST_CHILD_CHECK(more == records + 1);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    TEST_CHILD_CHECK(varve_open(arg, &plain, &log, &error) == 0);
    TEST_CHILD_CHECK(varve_last_lsn(log) == more);
    TEST_CHILD_CHECK(varve_close(log, &error) == 0);
    return 0;
}

static int run_make_log(void *arg)
{
    struct varve_log *log;
    TEST_CHILD_CHECK(varve_open(arg, &plain, &log, NULL) == 0);
    TEST_CHILD_CHECK(varve_append(log, "12345678", 8, NULL) == 0);
    TEST_CHILD_CHECK(varve_close(log, NULL) == 0);
    return 0;
}

/* Before all others: a process that has had a log open keeps memory and stacks that the next one would get.
 */
static void test_surroundings__memory(void **state)
{
    (void)state;
    if (SANITIZED) {
        /* Not loudly: the same build without a sanitizer has it. */
        skip();
    }
    char *dir = test_tmp_new();
    assert_int_equal(test_child_run(run_make_log, dir), 0);
    assert_int_equal(test_child_run(run_memory, dir), 0);
    test_tmp_free(dir);
}

static void test_surroundings__limits(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    assert_int_equal(test_child_run(run_file_size, dir), 0);
    assert_int_equal(test_child_run(run_file_size_of_a_log, dir), 0);
    test_tmp_empty(dir);
    assert_int_equal(test_child_run(run_descriptors, dir), 0);
    test_tmp_free(dir);
}

/* -- the directory goes -- */

static void test_surroundings__directory_removed(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "log");
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    uint64_t records = 0;
    assert_int_equal(varve_open(path, &plain, &log, &error), 0);
    assert_int_equal(varve_append(log, payload, sizeof payload, NULL), 0);
    test_tmp_empty(dir);
    /* What is left of the segment takes some more; then an error comes, and no other directory is touched. */
    int rc = fill_disk(log, &records);
    assert_true(rc == VARVE_E_IO || rc == VARVE_E_NOSPC || rc == VARVE_E_SYNC || rc == VARVE_E_READONLY);
    (void)varve_close(log, &error);
    assert_int_equal(test_bytes_count(dir, ""), 0);
    assert_int_equal(varve_open(path, &plain, &log, &error), 0);
    assert_int_equal(varve_last_lsn(log), 0);
    assert_int_equal(varve_close(log, &error), 0);
    free(path);
    test_tmp_free(dir);
}

/* -- what somebody planted -- */

enum {
    PLANT_LINK,
    PLANT_DANGLING,
    PLANT_FIFO,
    PLANT_DIRECTORY,
    PLANTS
};

static void plant(const char *path, const char *name, int what, const char *target)
{
    char *at = test_tmp_join(path, name);
    (void)unlink(at);
    switch (what) {
    case PLANT_LINK:
        assert_int_equal(symlink(target, at), 0);
        break;
    case PLANT_DANGLING:
        assert_int_equal(symlink("nowhere", at), 0);
        break;
    case PLANT_FIFO:
        assert_int_equal(mkfifo(at, 0600), 0);
        break;
    default:
        assert_int_equal(mkdir(at, 0700), 0);
    }
    free(at);
}

static void test_surroundings__planted(void **state)
{
    (void)state;
    static const char *const names[] = {"LOCK", "MANIFEST", "wal-0000000000000001.seg",
                                        "wal-0000000000000002.seg"};
    alarm(60);
    for (unsigned n = 0; n < 4; n++) {
        for (int what = 0; what < PLANTS; what++) {
            char *dir = test_tmp_new(), *path = test_tmp_join(dir, "log"),
                 *victim = test_tmp_join(dir, "victim");
            struct varve_error error = {.message = ""};
            struct varve_log *log = NULL;
            make_log(path);
            test_bytes_write(dir, "victim", "precious", 8);
            plant(path, names[n], what, victim);
            uint64_t before = test_bytes_dir_sum(dir);
            int rc = varve_open(path, &plain, &log, &error);
            if (rc != VARVE_E_NOT_REGULAR || strstr(error.message, names[n]) == NULL) {
                fail_msg("%s, plant %d: %s: %s", names[n], what, varve_error_name(rc), error.message);
            }
            /* Nothing was changed, but for the number of the process in LOCK. */
            if (n > 0) {
                test_bytes_write(path, "LOCK", "", 0);
                before = test_bytes_dir_sum(dir);
                assert_int_equal(varve_open(path, &plain, &log, &error), VARVE_E_NOT_REGULAR);
                test_bytes_write(path, "LOCK", "", 0);
            }
            assert_int_equal(test_bytes_dir_sum(dir), before);
            free(victim);
            free(path);
            test_tmp_free(dir);
        }
    }
    alarm(0);
}

/* The log's own directory, and the temporary names that it uses: never followed, never hung upon. */
static void test_surroundings__planted_temporaries(void **state)
{
    (void)state;
    static const char *const names[] = {"MANIFEST.tmp", "new-0000000000000002.tmp", "new-probe.tmp",
                                        "spare-0000000000000001.seg"};
    alarm(60);
    for (unsigned n = 0; n < 4; n++) {
        for (int what = 0; what < PLANTS; what++) {
            char *dir = test_tmp_new(), *path = test_tmp_join(dir, "log"),
                 *victim = test_tmp_join(dir, "victim");
            struct varve_error error = {.message = ""};
            struct varve_log *log = NULL;
            uint64_t records = 0;
            make_log(path);
            test_bytes_write(dir, "victim", "precious", 8);
            plant(path, names[n], what, victim);
            int rc = varve_open(path, &plain, &log, &error);
            if (rc == 0) {
                for (int i = 0; i < 250 && rc == 0; i++) {
                    rc = varve_append(log, payload, sizeof payload, &records);
                }
                if (rc != 0) {
                    fail_msg("%s, plant %d: %s", names[n], what, varve_error_name(rc));
                }
                assert_int_equal(varve_close(log, NULL), 0);
            } else {
                assert_string_not_equal(error.message, "");
                /* Only a directory cannot be put out of the way. */
                if (what != PLANT_DIRECTORY) {
                    fail_msg("%s, plant %d: %s: %s", names[n], what, varve_error_name(rc), error.message);
                }
            }
            size_t bytes;
            void *content = test_bytes_read(dir, "victim", &bytes);
            assert_int_equal(bytes, 8);
            assert_memory_equal(content, "precious", 8);
            free(content);
            free(victim);
            free(path);
            test_tmp_free(dir);
        }
    }
    alarm(0);
}

static void test_surroundings__path_is_no_directory(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "log"), *above = test_tmp_join(dir, "no/log");
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    test_bytes_write(dir, "log", "x", 1);
    assert_int_equal(varve_open(path, &plain, &log, &error), VARVE_E_NOT_REGULAR);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(varve_open(path, &plain, &log, &error), VARVE_E_NOT_REGULAR);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(dir, path), 0);
    assert_int_equal(varve_open(path, &plain, &log, &error), VARVE_E_NOT_REGULAR);
    assert_int_equal(varve_open(above, &plain, &log, &error), VARVE_E_NOT_FOUND);
    assert_int_equal(varve_open("", &plain, &log, &error), VARVE_E_INVALID);
    assert_int_equal(varve_open(NULL, &plain, &log, &error), VARVE_E_INVALID);
    struct varve_options options = plain;
    options.flags = VARVE_OPEN_MUST_EXIST;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(varve_open(path, &options, &log, &error), VARVE_E_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(varve_open(dir, &options, &log, &error), VARVE_E_NOT_FOUND);
    make_log(path);
    options.flags = VARVE_OPEN_MUST_CREATE;
    assert_int_equal(varve_open(path, &options, &log, &error), VARVE_E_EXISTS);
    free(above);
    free(path);
    test_tmp_free(dir);
}

/* -- rights and strangers -- */

static int run_modes(void *arg)
{
    char *path = test_tmp_join(arg, "log");
    static const char *const names[] = {"LOCK", "MANIFEST", "wal-0000000000000001.seg"};
    struct varve_log *log;
    struct stat st;
    umask(0);
    TEST_CHILD_CHECK(varve_open(path, &plain, &log, NULL) == 0);
    TEST_CHILD_CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
    for (int i = 0; i < 3; i++) {
        char *at = test_tmp_join(path, names[i]);
        TEST_CHILD_CHECK(stat(at, &st) == 0 && (st.st_mode & 07777) == 0600);
        free(at);
    }
    TEST_CHILD_CHECK(varve_close(log, NULL) == 0);
    free(path);
    return 0;
}

static void test_surroundings__modes(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    assert_int_equal(test_child_run(run_modes, dir), 0);
    test_tmp_free(dir);
}

static void test_surroundings__strangers(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *room = test_tmp_join(dir, "room");
    struct varve_log *log;
    uint64_t records;
    make_log(dir);
    test_bytes_write(dir, "notes", "mine", 4);
    test_bytes_write(dir, "wal-2.seg", "mine", 4);
    test_bytes_write(dir, ".new-1.tmp", "mine", 4);
    assert_int_equal(mkdir(room, 0755), 0);
    test_bytes_write(room, "notes", "mine", 4);
    plant(dir, "link", PLANT_DANGLING, NULL);
    plant(dir, "pipe", PLANT_FIFO, NULL);
    uint64_t before = test_bytes_dir_sum(room);
    assert_int_equal(varve_open(dir, &plain, &log, NULL), 0);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(varve_append(log, payload, sizeof payload, &records), 0);
    }
    assert_int_equal(varve_trim(log, records, NULL), 0);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(test_bytes_size(dir, "notes"), 4);
    assert_int_equal(test_bytes_size(dir, "wal-2.seg"), 4);
    assert_int_equal(test_bytes_size(dir, ".new-1.tmp"), 4);
    assert_int_equal(test_bytes_count(dir, "link"), 1);
    assert_int_equal(test_bytes_count(dir, "pipe"), 1);
    assert_int_equal(test_bytes_dir_sum(room), before);
    free(room);
    test_tmp_free(dir);
}

/* -- clocks -- */

static void test_surroundings__clock_jumps(void **state)
{
    (void)state;
    struct test_memory memory;
    struct test_clock clock;
    struct varve_options options = plain;
    struct varve_log *log;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    const uint64_t start = UINT64_C(1700000000000000), hour = UINT64_C(3600000000);
    test_memory_init(&memory, 512);
    test_clock_init(&clock, &memory.io, start, 1, 7);
    options.io = &clock.pass.io;
    uint64_t last_us = 0, records = 0;
    for (int life = 0; life < 4; life++) {
        /* Each life begins an hour before the last one ended, and jumps about. */
        assert_int_equal(varve_open("log", &options, &log, NULL), 0);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(varve_append(log, "12345678", 8, NULL), 0);
            records++;
            if (i % 10 == 3) {
                test_clock_set_realtime(&clock, start + (uint64_t)life * hour + (i % 20 == 3 ? hour : 0));
            } else if (i % 10 == 7) {
                test_clock_set_realtime(&clock, start - hour);
            } else if (i % 10 == 9) {
                test_clock_advance(&clock, 1000000);
            }
        }
        assert_int_equal(varve_close(log, NULL), 0);
    }
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_HALT, &cursor, NULL), 0);
    for (uint64_t i = 0; i < records; i++) {
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_true(entry.time_us >= last_us);
        last_us = entry.time_us;
    }
    assert_true(last_us >= start + 4 * hour);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
    test_clock_close(&clock);
    test_memory_close(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_surroundings__memory),
        cmocka_unit_test(test_surroundings__full_disk),
        cmocka_unit_test(test_surroundings__read_only),
        cmocka_unit_test(test_surroundings__limits),
        cmocka_unit_test(test_surroundings__directory_removed),
        cmocka_unit_test(test_surroundings__planted),
        cmocka_unit_test(test_surroundings__planted_temporaries),
        cmocka_unit_test(test_surroundings__path_is_no_directory),
        cmocka_unit_test(test_surroundings__modes),
        cmocka_unit_test(test_surroundings__strangers),
        cmocka_unit_test(test_surroundings__clock_jumps),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    return rc == 0 && skipped > 0 ? 77 : rc;
}
