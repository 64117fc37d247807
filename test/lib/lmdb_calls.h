/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB does its own I/O, past struct varve_io: its calls on "data.mdb" (write, writev, pwrite, fdatasync,
 * fsync) are caught where it asks the C library for them. When armed, each of them is counted, and one fails
 * or ends the process. A program that uses this must link LMDB as a shared library, as tests do.
 *
 * Threads: armed and disarmed while no fold is under way.
 */
#ifndef TEST_LIB_LMDB_CALLS_H
#define TEST_LIB_LMDB_CALLS_H

/* From now on `pass` calls go through; the next fails with `error`, and with `forever` all that follow.
 * `error` = 0: the process is killed instead, before the call. */
void test_lmdb_arm(long pass, int error, int forever);

/* How many calls there were since then. All go through again. */
long test_lmdb_disarm(void);

#endif
