/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "lib/bytes.h"
#include "lib/tmp.h"

/* The alignment that is reported must be one that works, and the same by name and by file. */
static void test_system_stat__direct_align(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    char *path = test_tmp_new();
    struct varve_dir *dir;
    struct varve_file *file;
    struct varve_io_stat by_name;
    struct varve_io_stat by_file;
    unsigned char *buf;
    test_bytes_write(path, "a", "", 0);
    assert_int_equal(io->dir_open(io, NULL, path, 0, &dir, NULL), 0);
    assert_int_equal(io->stat_name(io, dir, "a", &by_name), 0);
    int rc = io->open(io, dir, "a", VARVE_IO_WRITE | VARVE_IO_DIRECT, &file);
    if (rc == 0) {
        assert_int_equal(io->stat(io, file, &by_file), 0);
        assert_int_equal(by_name.direct_align, by_file.direct_align);
        if (by_file.direct_align != 0) {
            assert_true(vv_is_power_of_two(by_file.direct_align));
            assert_int_equal(posix_memalign((void **)&buf, 4096, by_file.direct_align), 0);
            struct iovec iov = {buf, by_file.direct_align};
            for (size_t i = 0; i < iov.iov_len; i++) {
                buf[i] = (unsigned char)i;
            }
            assert_int_equal(io->pwritev(io, file, &iov, 1, by_file.direct_align, 1), iov.iov_len);
            free(buf);
        }
        io->close(io, file);
    } else {
        assert_int_equal(rc, -EINVAL);
        assert_int_equal(by_name.direct_align, 0);
    }
    io->dir_close(io, dir);
    test_tmp_free(path);
}

static void test_system_stat__untouched_on_failure(void **state)
{
    (void)state;
    struct varve_io_stat st = {VARVE_IO_KIND_OTHER, 77, 88};
    assert_int_equal(vv_system_stat_at(-1, "a", &st), -EBADF);
    assert_int_equal(st.size_bytes, 77);
    assert_int_equal(st.direct_align, 88);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system_stat__direct_align),
        cmocka_unit_test(test_system_stat__untouched_on_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
