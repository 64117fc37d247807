/* SPDX-License-Identifier: Apache-2.0 */
#include "io/keyfile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/tmp.h"

static void test_keyfile__modes(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0400, 0700, 0640, 0604, 0620, 0602, 0666, 0610, 0601};
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "keys");
    test_bytes_write(dir, "keys", "abc", 3);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct vv_keyfile file;
        char buf[8];
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(vv_keyfile_open(path, &file), 0);
        assert_true(file.regular);
        assert_true(file.own);
        assert_int_equal(file.private, i < 3);
        assert_int_equal(vv_keyfile_read(file.fd, buf, sizeof buf), 3);
        assert_memory_equal(buf, "abc", 3);
        vv_keyfile_close(&file);
    }
    free(path);
    test_tmp_free(dir);
}

/* Neither waited for nor taken for a file. */
static void test_keyfile__not_regular(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *fifo = test_tmp_join(dir, "fifo"), *none = test_tmp_join(dir, "none");
    char *link = test_tmp_join(dir, "link");
    struct vv_keyfile file;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(vv_keyfile_open(fifo, &file), 0);
    assert_false(file.regular);
    vv_keyfile_close(&file);
    assert_int_equal(vv_keyfile_open(dir, &file), 0);
    assert_false(file.regular);
    vv_keyfile_close(&file);
    assert_int_equal(vv_keyfile_open(none, &file), -ENOENT);
    /* A link leads to the file that counts. */
    test_bytes_write(dir, "keys", "abc", 3);
    assert_int_equal(symlink("keys", link), 0);
    assert_int_equal(vv_keyfile_open(link, &file), 0);
    assert_true(file.regular);
    vv_keyfile_close(&file);
    free(fifo);
    free(none);
    free(link);
    test_tmp_free(dir);
}

/* In pieces, to the end, and no more than there is room for. */
static void test_keyfile__read(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 12; bytes++) {
        int fds[2];
        char buf[10];
        assert_int_equal(pipe(fds), 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(write(fds[1], "x", 1), 1);
        }
        close(fds[1]);
        assert_int_equal(vv_keyfile_read(fds[0], buf, sizeof buf),
                         bytes <= sizeof buf ? (ssize_t)bytes : -EFBIG);
        close(fds[0]);
    }
    char buf[4];
    assert_int_equal(vv_keyfile_read(-1, buf, sizeof buf), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyfile__modes),
        cmocka_unit_test(test_keyfile__not_regular),
        cmocka_unit_test(test_keyfile__read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
