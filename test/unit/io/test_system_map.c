/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/tmp.h"

static void test_system_map__stores_are_read(void **state)
{
    struct varve_io *io = varve_io_system();
    char *path = test_tmp_new(), bytes[4];
    struct varve_io_stat stat;
    struct varve_file *file;
    struct varve_dir *dir;
    void *map = NULL;

    (void)state;
    assert_int_equal(io->dir_open(io, NULL, path, 0, &dir, NULL), 0);
    assert_int_equal(io->open(io, dir, "a", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    assert_int_equal(io->allocate(io, file, 100000), 0);
    assert_int_equal(io->map(io, file, 0, &map), -EINVAL);
    assert_int_equal(io->map(io, file, 100000, &map), 0);
    memcpy((char *)map + 99996, "abcd", 4);
    assert_int_equal(io->pread(io, file, bytes, 4, 99996), 4);
    assert_memory_equal(bytes, "abcd", 4);
    assert_int_equal(io->sync(io, file), 0);
    /* The mapping outlives the descriptor. */
    io->close(io, file);
    ((char *)map)[0] = 'x';
    io->unmap(io, map, 100000);
    assert_int_equal(io->open(io, dir, "a", VARVE_IO_WRITE, &file), 0);
    assert_int_equal(io->pread(io, file, bytes, 1, 0), 1);
    assert_int_equal(bytes[0], 'x');
    /* Owning blocks takes nothing away; and a file system may not know how. */
    int rc = io->own(io, file, 100000);
    assert_true(rc == 0 || rc == -EOPNOTSUPP);
    assert_int_equal(io->own(io, file, 0), 0);
    assert_int_equal(io->pread(io, file, bytes, 4, 99996), 4);
    assert_memory_equal(bytes, "abcd", 4);
    assert_int_equal(io->stat(io, file, &stat), 0);
    assert_int_equal(stat.size_bytes, 100000);
    io->close(io, file);
    io->dir_close(io, dir);
    test_tmp_free(path);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_system_map__stores_are_read)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
