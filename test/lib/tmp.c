/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tmp.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static _Noreturn void tmp_die(const char *what, const char *path)
{
    perror(path);
    fprintf(stderr, "test directory: cannot %s\n", what);
    exit(1);
}

char *test_tmp_join(const char *path, const char *name)
{
    char *joined;
    if (asprintf(&joined, "%s/%s", path, name) < 0) {
        tmp_die("allocate", path);
    }
    return joined;
}

char *test_tmp_new(void)
{
    const char *where = getenv("TMPDIR");
    where = where != NULL && where[0] != '\0' ? where : "/tmp";
    char *absolute = realpath(where, NULL);
    if (absolute == NULL) {
        tmp_die("find", where);
    }
    char *path = test_tmp_join(absolute, "varve-XXXXXX");
    free(absolute);
    if (mkdtemp(path) == NULL) {
        tmp_die("make", path);
    }
    return path;
}

static int tmp_remove(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static int tmp_remove_below(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return walk->level == 0 ? 0 : tmp_remove(path, st, type, walk);
}

void test_tmp_empty(const char *path)
{
    if (nftw(path, tmp_remove_below, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        tmp_die("empty", path);
    }
}

void test_tmp_remove(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && nftw(path, tmp_remove, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        tmp_die("remove", path);
    }
}

static void tmp_copy_file(const char *from, const char *to)
{
    static char buffer[1 << 16];
    FILE *in = fopen(from, "rb"), *out;
    size_t n;
    if (in == NULL) {
        return;
    }
    out = fopen(to, "wb");
    if (out == NULL) {
        tmp_die("create", to);
    }
    while ((n = fread(buffer, 1, sizeof buffer, in)) > 0) {
        if (fwrite(buffer, 1, n, out) != n) {
            tmp_die("write", to);
        }
    }
    (void)fclose(in);
    if (fclose(out) != 0 || chmod(to, 0600) != 0) {
        tmp_die("write", to);
    }
}

void test_tmp_copy(const char *from, const char *to)
{
    struct dirent *entry;
    DIR *dir = opendir(from);
    if (dir == NULL || mkdir(to, 0700) != 0) {
        tmp_die("copy", from);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strcmp(entry->d_name, "lock.mdb") == 0) {
            continue;
        }
        char *source = test_tmp_join(from, entry->d_name), *target = test_tmp_join(to, entry->d_name);
        if (entry->d_type == DT_DIR) {
            test_tmp_copy(source, target);
        } else {
            tmp_copy_file(source, target);
        }
        free(source);
        free(target);
    }
    (void)closedir(dir);
}

void test_tmp_free(char *path)
{
    if (path == NULL) {
        return;
    }
    const char *keep = getenv("VARVE_TEST_KEEP");
    if (keep != NULL && strcmp(keep, "1") == 0) {
        fprintf(stderr, "kept: %s\n", path);
    } else if (nftw(path, tmp_remove, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        tmp_die("remove", path);
    }
    free(path);
}
