/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs, from outside: what a well-known mistake in a reader would make of a changed log, put between the
 * engine and the checks. That the checks find each of them shows that they can find something.
 */
#ifndef TEST_ROT_TOOTH_H
#define TEST_ROT_TOOTH_H

#include "rot/change.h"

enum rot_tooth {
    ROT_TOOTH_NONE,
    ROT_TOOTH_NO_CHECKSUM,       /* none is looked at: bytes are given as they are */
    ROT_TOOTH_NO_HEADER_CHECK,   /* lengths, counts and LSNs of a frame are trusted */
    ROT_TOOTH_RECORD_UNCHECKED,  /* the first damaged record is given all the same */
    ROT_TOOTH_DAMAGE_IS_END,     /* reading ends in silence where something does not check */
    ROT_TOOTH_DAMAGE_IS_TORN,    /* what was acknowledged is called a torn write */
    ROT_TOOTH_READ_ERROR_IS_END, /* what cannot be read counts as zeros, and so as the end */
    ROT_TOOTH_LSN_COUNTED,       /* behind a gap LSNs are counted on, not read */
    ROT_TOOTH_SKIPS_UNASKED,     /* damage is passed over whatever the policy */
    ROT_TOOTH_ZEROS_ARE_END,     /* a record of zeros counts as the end */
    ROT_TOOTH_SOUND_REFUSED,     /* a log is refused for bytes that carry nothing */
    ROT_TOOTH_MARK_IGNORED,      /* marks vouch for nothing */
    ROT_TOOTH_MANIFEST_IGNORED,  /* nor does MANIFEST */
    ROT_TOOTH_MENDS,             /* reading changes what it reads */
    ROT_TOOTH_COUNT,
};

/* "no_checksum" and so on; the scenario in which it shows, and whether in a closed log. Static. */
const char *rot_tooth_name(enum rot_tooth tooth);
enum rot_tooth rot_tooth_find(const char *name); /* NONE if there is none */
const char *rot_tooth_scenario(enum rot_tooth tooth);
bool rot_tooth_closed(enum rot_tooth tooth);

/* Before reading: what the mistaken reader does not look at is made as it would have to be. */
void rot_tooth_case(enum rot_tooth tooth, struct rot_case *c);

/* The calls, as the mistaken reader answers them. */
int rot_tooth_open(enum rot_tooth tooth, const struct rot_case *c, const struct varve_options *options,
                   struct varve_log **ret_log);
int rot_tooth_verify(enum rot_tooth tooth, const struct varve_options *options,
                     struct varve_verify_result *ret_result);

/* A cursor. */
struct rot_reader {
    enum rot_tooth tooth;
    const struct rot_case *c;
    struct varve_cursor *cursor;
    uint64_t next_lsn;
    bool ended;
    unsigned char *bytes; /* of a record that was given though it is damaged */
};
int rot_reader_open(struct rot_reader *reader, enum rot_tooth tooth, const struct rot_case *c,
                    struct varve_log *log, enum varve_policy policy);
int rot_reader_next(struct rot_reader *reader, struct varve_entry *ret_entry);
void rot_reader_close(struct rot_reader *reader);

#endif
