/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true when a story is over and nothing fails any more: of the disk as a power cut would leave
 * it at the least, of one of the disks that it could leave by chance, and of the disk as it is.
 *
 * - It opens, everything acknowledged and not trimmed is there, and nothing that was not offered.
 * - Appending goes on, and what was appended is there when the log is opened again, with a clean end.
 * - What is damaged, and was not accepted, is still refused with the same words.
 *
 * A disk that lied can have lost what it said was safe. Then the log must refuse wherever something that did
 * reach the disk vouches for what is gone: a frame's durable LSN, the base LSN of a later segment, MANIFEST.
 */
#ifndef TEST_FAULT_CHECK_H
#define TEST_FAULT_CHECK_H

#include "fault/run.h"

struct fault_found {
    unsigned detected; /* disks that were refused for what is gone from them */
    unsigned blind;    /* disks with something gone that nothing vouches for */
    unsigned errors;   /* calls that failed while the story was told */
    uint64_t said;     /* all that was said meanwhile, as a number */
    bool read_only;    /* the log ended up so */
    bool struck;       /* the fault came to pass */
};

/* Ends the process by fault_die where it is not so. */
void fault_check(struct fault_run *run, uint64_t seed, struct fault_found *ret_found);

/* The highest LSN that something on this disk vouches for. */
uint64_t fault_vouched(struct test_memory *memory);

#endif
