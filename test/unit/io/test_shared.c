/* SPDX-License-Identifier: Apache-2.0 */
#include "io/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/tmp.h"

static void test_shared__life(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "shared"), buf[100];
    struct vv_shared one, two;
    struct stat st;
    size_t len = 0;
    assert_int_equal(vv_shared_read(path, buf, sizeof buf, &len), -ENOENT);
    assert_int_equal(vv_shared_open(&one, path, 8192), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 8192);
    assert_int_equal(vv_shared_write(&one, "hello", 6), 0);
    assert_int_equal(vv_shared_open(&two, path, 8192), -EAGAIN);
    assert_int_equal(vv_shared_read(path, buf, sizeof buf, &len), 0);
    assert_int_equal(len, sizeof buf);
    assert_string_equal(buf, "hello");
    vv_shared_close(&one);
    vv_shared_close(&one);
    assert_int_equal(vv_shared_open(&two, path, 8192), 0);
    assert_int_equal(vv_shared_read(path, buf, sizeof buf, &len), 0);
    assert_string_equal(buf, "hello");
    /* Cut off by somebody: written anew, and the process lives. */
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(vv_shared_write(&two, "again", 6), 0);
    assert_int_equal(vv_shared_read(path, buf, sizeof buf, &len), 0);
    assert_int_equal(len, 6);
    assert_string_equal(buf, "again");
    vv_shared_close(&two);
    free(path);
    test_tmp_free(dir);
}

/* What stands there and is no file of ours is not followed, waited for, or touched. */
static void test_shared__refused(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *fifo = test_tmp_join(dir, "fifo"), *link = test_tmp_join(dir, "link");
    char *target = test_tmp_join(dir, "target"), *below = test_tmp_join(dir, "no/file"), buf[10];
    struct vv_shared shared;
    struct stat st;
    size_t len;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(vv_shared_open(&shared, fifo, 4096), -EMEDIUMTYPE);
    assert_int_equal(vv_shared_read(fifo, buf, sizeof buf, &len), -EMEDIUMTYPE);
    assert_int_equal(vv_shared_open(&shared, link, 4096), -ELOOP);
    assert_int_equal(stat(target, &st), -1);
    assert_int_equal(vv_shared_open(&shared, below, 4096), -ENOENT);
    assert_true(vv_shared_open(&shared, dir, 4096) < 0);
    free(fifo);
    free(link);
    free(target);
    free(below);
    test_tmp_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared__life),
        cmocka_unit_test(test_shared__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
