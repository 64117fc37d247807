/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/bytes.h"

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

static int setup(void **state)
{
    *state = test_tmp_new();
    return 0;
}

static int teardown(void **state)
{
    char *gone = strdup(*state);
    test_tmp_free(*state);
    assert_int_equal(access(gone, F_OK), -1);
    free(gone);
    return 0;
}

static void expect(const char *dir, const char *name, const char *text)
{
    size_t bytes;
    char *content = test_bytes_read(dir, name, &bytes);
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(content, text);
    assert_int_equal(test_bytes_size(dir, name), bytes);
    free(content);
}

static void test_bytes__change_a_file(void **state)
{
    const char *dir = *state;
    char buf[3] = "";
    test_bytes_write(dir, "a", "long content", 12);
    test_bytes_write(dir, "a", "abcdef", 6);
    expect(dir, "a", "abcdef");
    test_bytes_patch(dir, "a", 2, "XY", 2);
    expect(dir, "a", "abXYef");
    test_bytes_flip(dir, "a", 0, 1);
    expect(dir, "a", "cbXYef");
    test_bytes_fill(dir, "a", 4, 4, '.');
    expect(dir, "a", "cbXY....");
    test_bytes_read_at(dir, "a", 3, buf, 2);
    assert_string_equal(buf, "Y.");
    test_bytes_truncate(dir, "a", 3);
    expect(dir, "a", "cbX");
    assert_int_equal(test_bytes_count(dir, ""), 1);
    assert_int_equal(test_bytes_count(dir, "b"), 0);
}

static void test_bytes__sum_sees_every_change(void **state)
{
    const char *dir = *state;
    char *sub = test_tmp_join(dir, "sub");
    char *file = test_tmp_join(dir, "a");
    assert_int_equal(mkdir(sub, 0700), 0);
    test_bytes_write(dir, "a", "abc", 3);
    test_bytes_write(dir, "b", "def", 3);
    test_bytes_write(sub, "c", "ghi", 3);
    uint64_t sums[8];
    sums[0] = test_bytes_dir_sum(dir);
    assert_true(sums[0] == test_bytes_dir_sum(dir));
    test_bytes_flip(dir, "a", 2, 7);
    sums[1] = test_bytes_dir_sum(dir);
    test_bytes_flip(sub, "c", 0, 0);
    sums[2] = test_bytes_dir_sum(dir);
    test_bytes_write(dir, "d", "", 0);
    sums[3] = test_bytes_dir_sum(dir);
    assert_int_equal(chmod(file, 0640), 0);
    sums[4] = test_bytes_dir_sum(dir);
    test_bytes_truncate(dir, "b", 4);
    sums[5] = test_bytes_dir_sum(dir);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < i; j++) {
            assert_true(sums[i] != sums[j]);
        }
    }
    free(sub);
    free(file);
}

static void test_bytes__copy_dir(void **state)
{
    char *from = test_tmp_join(*state, "from");
    char *sub = test_tmp_join(*state, "from/sub");
    char *to = test_tmp_join(*state, "to");
    assert_int_equal(mkdir(from, 0700), 0);
    assert_int_equal(mkdir(sub, 0700), 0);
    test_bytes_write(from, "a", "abc", 3);
    test_bytes_write(sub, "c", "ghi", 3);
    test_bytes_copy_dir(from, to);
    assert_true(test_bytes_dir_sum(from) == test_bytes_dir_sum(to));
    free(from);
    free(sub);
    free(to);
}

static void test_bytes__tmp_is_private_and_emptied(void **state)
{
    char *path = test_tmp_new();
    struct stat st;
    assert_string_not_equal(path, *state);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    char *link = test_tmp_join(path, "link");
    test_bytes_write(*state, "kept", "x", 1);
    assert_int_equal(symlink(*state, link), 0);
    test_bytes_write(path, "a", "x", 1);
    test_tmp_empty(path);
    assert_int_equal(test_bytes_count(path, ""), 0);
    /* The link went, and not what it points to. */
    expect(*state, "kept", "x");
    free(link);
    test_tmp_free(path);
    test_tmp_free(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_bytes__change_a_file),
        CASE(test_bytes__sum_sees_every_change),
        CASE(test_bytes__copy_dir),
        CASE(test_bytes__tmp_is_private_and_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
