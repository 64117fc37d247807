/* SPDX-License-Identifier: Apache-2.0 */
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/event.h"
#include "lib/child.h"
#include "lib/contract.h"
#include "lib/tmp.h"

static void test_system__table_is_full(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    void *const *functions = (void *const *)(const void *)&io->dir_open;
    size_t count = (sizeof *io - offsetof(struct varve_io, dir_open)) / sizeof *functions;
    assert_int_equal(io->size, sizeof *io);
    assert_int_equal(count, 25);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(functions[i]);
    }
    assert_ptr_equal(io, varve_io_system());
}

static void test_system__name_is_plain(void **state)
{
    (void)state;
    char name[NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[NAME_MAX + 1] = '\0';
    assert_false(vv_system_name_is_plain(name));
    name[NAME_MAX] = '\0';
    assert_true(vv_system_name_is_plain(name));
    assert_true(vv_system_name_is_plain("..."));
    assert_true(vv_system_name_is_plain(".hidden"));
    assert_false(vv_system_name_is_plain(NULL));
}

/* With the standard descriptors closed, nothing of ours takes their place. */
static int open_without_stdio(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *file;
    close(0);
    close(1);
    close(2);
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == 0);
    for (int fd = 0; fd <= 2; fd++) {
        TEST_CHILD_CHECK(fcntl(fd, F_GETFD) == -1);
    }
    TEST_CHILD_CHECK((fcntl(dir->fd, F_GETFD) & FD_CLOEXEC) != 0);
    TEST_CHILD_CHECK((fcntl(file->fd, F_GETFD) & FD_CLOEXEC) != 0);
    io->close(io, file);
    io->dir_close(io, dir);
    return 0;
}

static void test_system__keeps_off_stdio(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    assert_int_equal(test_child_run(open_without_stdio, path), 0);
    test_tmp_free(path);
}

static int allocate_past_limit(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *file;
    struct varve_io_stat st;
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 65536}) == 0);
    /* SIGXFSZ would end this process, and the parent would see it. */
    TEST_CHILD_CHECK(io->allocate(io, file, 65537) == -EFBIG);
    TEST_CHILD_CHECK(io->truncate(io, file, 65537) == -EFBIG);
    TEST_CHILD_CHECK(io->stat(io, file, &st) == 0 && st.size_bytes == 0);
    TEST_CHILD_CHECK(io->allocate(io, file, 65536) == 0);
    struct iovec iov = {"x", 1};
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 65535, 1) == 1);
    io->close(io, file);
    io->dir_close(io, dir);
    return 0;
}

/* A file that was made when there was no limit, or a larger one. */
static int write_past_limit(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *file;
    struct iovec iov = {"x", 1}, two[2] = {{"xy", 2}, {"z", 1}};
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "larger", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == 0);
    TEST_CHILD_CHECK(io->allocate(io, file, 100000) == 0);
    io->close(io, file);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 90000}) == 0);
    TEST_CHILD_CHECK(io->open(io, dir, "larger", VARVE_IO_WRITE, &file) == 0);
    for (int dsync = 0; dsync < 2; dsync++) {
        TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 65536, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 99999, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, two, 2, 65534, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, two, 2, 65533, dsync) == 3);
        TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, INT64_MAX, dsync) == -EFBIG);
        TEST_CHILD_CHECK(io->pwritev(io, file, &(struct iovec){"x", SIZE_MAX}, 1, 2, dsync) == -EFBIG);
    }
    /* Raised while the file is open. */
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){90000, 90000}) == 0);
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 89999, 1) == 1);
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 90000, 1) == -EFBIG);
    /* Lowered: after a tick of the clock that is seen before the kernel sees it. */
    TEST_CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){30000, 90000}) == 0);
    nanosleep(&(struct timespec){.tv_nsec = 30 * 1000000}, NULL);
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 65535, 1) == -EFBIG);
    TEST_CHILD_CHECK(io->pwritev(io, file, &iov, 1, 29999, 1) == 1);
    io->close(io, file);
    io->dir_close(io, dir);
    return 0;
}

static void test_system__file_size_limit(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    assert_int_equal(test_child_run(allocate_past_limit, path), 0);
    assert_int_equal(test_child_run(write_past_limit, path), 0);
    test_tmp_free(path);
    assert_int_equal(vv_system_check_size((uint64_t)INT64_MAX + 1), -EFBIG);
}

static int open_past_limit(void *arg)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir = NULL;
    struct varve_dir *other;
    struct varve_file *file;
    TEST_CHILD_CHECK(io->dir_open(io, NULL, arg, 0, &dir, NULL) == 0);
    TEST_CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)dir->fd + 1, (rlim_t)dir->fd + 1}) ==
                     0);
    TEST_CHILD_CHECK(io->open(io, dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &file) == -EMFILE);
    TEST_CHILD_CHECK(io->dir_open(io, dir, "dir", 1, &other, NULL) == -EMFILE);
    TEST_CHILD_CHECK(io->dir_list(io, dir, NULL, NULL) == -EMFILE);
    TEST_CHILD_CHECK(io->dir_sync_parent(io, dir) == -EMFILE);
    /* The directory was made, and could not be opened: it is gone again. */
    TEST_CHILD_CHECK(faccessat(dir->fd, "dir", F_OK, 0) != 0);
    io->dir_close(io, dir);
    return 0;
}

static void test_system__descriptor_limit(void **state)
{
    (void)state;
    char *path = test_tmp_new();
    assert_int_equal(test_child_run(open_past_limit, path), 0);
    test_tmp_free(path);
}

/* -- the system's errors, each as it comes -- */

struct place {
    struct varve_io *io;
    struct varve_dir *dir;
    struct varve_file *file;
};

static int list_nothing(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return 0;
}

static int do_pread(struct place *p)
{
    char c;
    return (int)p->io->pread(p->io, p->file, &c, 1, 0);
}

static int do_write(struct place *p, int dsync)
{
    struct iovec iov = {"x", 1};
    return (int)p->io->pwritev(p->io, p->file, &iov, 1, 0, dsync);
}

static int do_pwritev(struct place *p)
{
    return do_write(p, 0);
}

static int do_pwritev_dsync(struct place *p)
{
    return do_write(p, 1);
}

static int do_sync(struct place *p)
{
    return p->io->sync(p->io, p->file);
}

static int do_truncate(struct place *p)
{
    return p->io->truncate(p->io, p->file, 4096);
}

static int do_allocate(struct place *p)
{
    return p->io->allocate(p->io, p->file, 4096);
}

static int do_lock(struct place *p)
{
    return p->io->lock(p->io, p->file, 1);
}

static int do_stat(struct place *p)
{
    struct varve_io_stat st;
    return p->io->stat(p->io, p->file, &st);
}

static int do_stat_name(struct place *p)
{
    struct varve_io_stat st;
    return p->io->stat_name(p->io, p->dir, "file", &st);
}

static int do_open(struct place *p)
{
    return p->io->open(p->io, p->dir, "file", VARVE_IO_READ, &p->file);
}

static int do_create(struct place *p)
{
    int rc = p->io->open(p->io, p->dir, "new", VARVE_IO_WRITE | VARVE_IO_CREATE, &p->file);
    /* What could not be finished is not left behind. */
    return faccessat(p->dir->fd, "new", F_OK, 0) == 0 ? 1 : rc;
}

static int do_rename(struct place *p)
{
    return p->io->rename(p->io, p->dir, "file", "other", 0);
}

static int do_rename_over(struct place *p)
{
    return p->io->rename(p->io, p->dir, "file", "other", 1);
}

static int do_unlink(struct place *p)
{
    return p->io->unlink(p->io, p->dir, "file");
}

static int do_list(struct place *p)
{
    return p->io->dir_list(p->io, p->dir, list_nothing, NULL);
}

static int do_make_dir(struct place *p)
{
    return p->io->dir_open(p->io, p->dir, "dir", 1, &p->dir, NULL);
}

static int do_dir_sync(struct place *p)
{
    return p->io->dir_sync(p->io, p->dir);
}

static int do_dir_sync_parent(struct place *p)
{
    return p->io->dir_sync_parent(p->io, p->dir);
}

static int do_space(struct place *p)
{
    uint64_t bytes;
    return p->io->space(p->io, p->dir, &bytes);
}

static int do_random(struct place *p)
{
    char c;
    return p->io->random(p->io, &c, 1);
}

static int do_event(struct place *p)
{
    int fd;
    (void)p;
    return vv_event_open(&fd);
}

/* Up to three calls that fail, and what the operation says then. */
static const struct denial {
    struct {
        long call;
        int error;
    } denied[3];
    int (*operation)(struct place *place);
    int expected;
} denials[] = {
    {{{SYS_pread64, EIO}}, do_pread, -EIO},
    {{{SYS_pwritev, EDQUOT}}, do_pwritev, -EDQUOT},
    {{{SYS_pwritev2, ENOSYS}, {SYS_pwritev, EIO}}, do_pwritev_dsync, -EIO},
    {{{SYS_pwritev2, ENOSYS}, {SYS_fdatasync, ENOSPC}}, do_pwritev_dsync, -ENOSPC},
    {{{SYS_fdatasync, EDQUOT}}, do_sync, -EDQUOT},
    {{{SYS_ftruncate, EIO}}, do_truncate, -EIO},
    {{{SYS_ftruncate, EIO}}, do_allocate, -EIO},
    {{{SYS_fallocate, EDQUOT}}, do_allocate, -EDQUOT},
    {{{SYS_fallocate, ENOSYS}, {SYS_pwritev, ENOSPC}}, do_allocate, -ENOSPC},
    {{{SYS_fcntl, ENOLCK}}, do_lock, -ENOLCK},
    {{{SYS_fcntl, EACCES}}, do_lock, -EAGAIN},
    {{{SYS_statx, EIO}}, do_stat, -EIO},
    {{{SYS_statx, EIO}}, do_stat_name, -EIO},
    {{{SYS_newfstatat, EIO}}, do_open, -EIO},
    {{{SYS_openat, EIO}}, do_open, -EIO},
    {{{SYS_fchmod, EPERM}}, do_create, -EPERM},
    {{{SYS_renameat2, EROFS}}, do_rename, -EROFS},
    {{{SYS_renameat2, EINVAL}, {SYS_linkat, EIO}}, do_rename, -EIO},
    {{{SYS_renameat2, EINVAL}, {SYS_linkat, EPERM}, {SYS_newfstatat, EIO}}, do_rename, -EIO},
    {{{SYS_renameat2, ENOSYS}, {SYS_unlinkat, EROFS}}, do_rename, -EROFS},
    {{{SYS_renameat, EROFS}}, do_rename_over, -EROFS},
    {{{SYS_unlinkat, EROFS}}, do_unlink, -EROFS},
    {{{SYS_openat, EIO}}, do_list, -EIO},
    {{{SYS_fcntl, EIO}}, do_list, -EIO},
    {{{SYS_mkdirat, ENOSPC}}, do_make_dir, -ENOSPC},
    {{{SYS_mkdirat, EEXIST}}, do_make_dir, -ENOENT}, /* made by somebody else, and gone again */
    {{{SYS_fsync, EIO}}, do_dir_sync, -EIO},
    {{{SYS_fsync, EIO}}, do_dir_sync_parent, -EIO},
    {{{SYS_openat, EACCES}, {SYS_syncfs, EIO}}, do_dir_sync_parent, -EIO},
    {{{SYS_openat, EACCES}}, do_dir_sync_parent, 0}, /* the whole file system is synced instead */
    {{{SYS_fstatfs, EIO}}, do_space, -EIO},
    {{{SYS_getrandom, ENOSYS}}, do_random, -ENOSYS},
    {{{SYS_eventfd2, EMFILE}}, do_event, -EMFILE},
};

struct denied_place {
    const char *path;
    const struct denial *denial;
};

static int try_denied(void *arg)
{
    const struct denied_place *d = arg;
    struct place p = {.io = varve_io_system()};
    TEST_CHILD_CHECK(p.io->dir_open(p.io, NULL, d->path, 0, &p.dir, NULL) == 0);
    TEST_CHILD_CHECK(p.io->open(p.io, p.dir, "file", VARVE_IO_WRITE | VARVE_IO_CREATE, &p.file) == 0);
    for (int i = 0; i < 3 && d->denial->denied[i].error != 0; i++) {
        if (!test_child_deny(d->denial->denied[i].call, d->denial->denied[i].error)) {
            return TEST_CHILD_SKIPPED;
        }
    }
    int rc = d->denial->operation(&p);
    if (rc != d->denial->expected) {
        fprintf(stderr, "denial %td: %d, not %d\n", d->denial - denials, rc, d->denial->expected);
        return 1;
    }
    return 0;
}

static void test_system__errors_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof denials / sizeof *denials; i++) {
        char *path = test_tmp_new();
        int rc = test_child_run(try_denied, &(struct denied_place){path, &denials[i]});
        test_tmp_free(path);
        if (rc == TEST_CHILD_SKIPPED) {
            skip();
        }
        assert_int_equal(rc, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system__table_is_full),    cmocka_unit_test(test_system__name_is_plain),
        cmocka_unit_test(test_system__keeps_off_stdio),  cmocka_unit_test(test_system__file_size_limit),
        cmocka_unit_test(test_system__descriptor_limit), cmocka_unit_test(test_system__errors_are_told),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char *tmp = test_tmp_new();
    char *path = test_tmp_join(tmp, "");
    failed += test_contract_run("the system's table", varve_io_system(), path);
    free(path);
    test_tmp_free(tmp);
    return failed;
}
