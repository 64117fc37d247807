/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that is really full: a small tmpfs in a mount namespace of the test's own, filled and freed a
 * hundred times under one open log. Where no namespace can be had the test says so and is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "log/log.h"

enum {
    ROUNDS = 100,
    RECORD_BYTES = 100000,
};

static _Atomic unsigned near_told, again_told;

static void on_message(void *arg, const struct varve_message *message)
{
    (void)arg;
    if (message->event == VARVE_EVENT_SPACE_LOW) {
        atomic_fetch_add(&near_told, 1);
    } else if (message->event == VARVE_EVENT_SPACE_AGAIN) {
        atomic_fetch_add(&again_told, 1);
    }
}

static int write_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, line, strlen(line));
    if (fd >= 0) {
        close(fd);
    }
    return n == (ssize_t)strlen(line) ? 0 : -1;
}

/* As root a namespace of mounts is enough; anybody else needs one of users around it, where that is allowed.
 */
static int enter_namespace(void)
{
    char map[64];
    snprintf(map, sizeof map, "0 %u 1\n", (unsigned)geteuid());
    if (geteuid() == 0) {
        return unshare(CLONE_NEWNS);
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return -1;
    }
    return write_line("/proc/self/setgroups", "deny") == 0 && write_line("/proc/self/uid_map", map) == 0 ? 0
                                                                                                         : -1;
}

static int mount_disk(const char *size)
{
    char options[64];
    snprintf(options, sizeof options, "size=%s,mode=0700", size);
    if (enter_namespace() != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return -1;
    }
    return mkdir("disk", 0700) == 0 ? mount("varve-test", "disk", "tmpfs", MS_NODEV, options) : -1;
}

/* Takes all that is free. */
static void fill_up(void)
{
    static const char block[4096] = {1};
    int fd = open("disk/filler", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0) {
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(close(fd), 0);
}

static void append_until_full(struct test_bed *bed)
{
    int rc;
    unsigned count = 0;
    do {
        rc = test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL);
    } while (rc == 0 && ++count < 10000);
    assert_int_equal(rc, VARVE_E_NOSPC);
    assert_int_equal(varve_error_space(bed->log, &bed->error), VARVE_E_NOSPC);
    assert_non_null(strstr(bed->error.message, "it needs 1048576 bytes, and "));
}

static void one_round(struct test_bed *bed, unsigned round)
{
    /* What was freed before this has been noticed. */
    BED_UNTIL(atomic_load(&bed->log->space_error) == 0 && atomic_load(&bed->log->space_near) == 0);
    unsigned before = atomic_load(&again_told), near = atomic_load(&near_told);
    if (round % 2 == 0) {
        /* The log fills it: said while it could still go on. */
        append_until_full(bed);
        assert_true(atomic_load(&near_told) > near);
        assert_int_equal(varve_trim(bed->log, varve_last_lsn(bed->log) + 1, NULL), 0);
    } else {
        /* Somebody else does, and goes away again without a word to the log. */
        fill_up();
        append_until_full(bed);
        assert_int_equal(unlink("disk/filler"), 0);
    }
    BED_UNTIL(test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    BED_UNTIL(atomic_load(&again_told) > before);
    assert_int_equal(varve_error_first(bed->log, NULL), 0);
    if (round % 2 != 0) {
        assert_int_equal(varve_trim(bed->log, varve_last_lsn(bed->log) + 1, NULL), 0);
    }
    if (round % 10 == 9) {
        assert_int_equal(varve_sync(bed->log), 0);
        assert_int_equal(test_ledger_check(&bed->ledger, bed->log), varve_last_lsn(bed->log));
    }
}

static void run(enum varve_durability durability, unsigned rounds)
{
    struct test_bed bed;
    const struct varve_options options = {.durability = durability,
                                          .slot_bytes = 16384,
                                          .slot_count = 16,
                                          .spare_segments = 1,
                                          .message = on_message};
    bed_init(&bed, BED_DISK, &options, RECORD_BYTES);
    snprintf(bed.path, strlen(bed.path) + 1, "disk/l"); /* shorter than what it replaces */
    assert_int_equal(bed_open(&bed), 0);
    for (unsigned round = 0; round < rounds; round++) {
        alarm(60);
        one_round(&bed, round);
    }
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_disk_full__a_hundred_times(void **state)
{
    (void)state;
    run(VARVE_GROUP, ROUNDS);
}

static void test_disk_full__buffered(void **state)
{
    (void)state;
    run(VARVE_BUFFERED, ROUNDS / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_full__a_hundred_times),
        cmocka_unit_test(test_disk_full__buffered),
    };
    if (mount_disk("7m") != 0) {
        printf("skipped: a small file system cannot be mounted here: %s\n", strerror(errno));
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
