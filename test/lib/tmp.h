/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are a test's own. Failing here ends the program: there is nothing to test then. */
#ifndef TEST_LIB_TMP_H
#define TEST_LIB_TMP_H

/* Makes an empty directory, mode 0700, in $TMPDIR or /tmp, and gives its absolute path, to be given to
 * test_tmp_free. */
char *test_tmp_new(void);

/* Removes the directory with everything in it (links are removed, not followed), and frees the path. NULL is
 * allowed. With VARVE_TEST_KEEP=1 in the environment everything stays, and its path is printed. */
void test_tmp_free(char *path);

/* Removes what is in the directory, not the directory. */
void test_tmp_empty(const char *path);

/* Removes the directory with everything in it, if it is there. */
void test_tmp_remove(const char *path);

/* Makes a copy of a directory under a new name, as far as its files are still there when it comes to them. A
 * file "lock.mdb" is left out: LMDB's locks would be lost with the copy's descriptor. */
void test_tmp_copy(const char *from, const char *to);

/* "path/name", to be freed by free(). */
char *test_tmp_join(const char *path, const char *name);

#endif
