/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats: what a log looks like on disk, as a table. The engine writes and reads any of them; a format only
 * turns fields into bytes and back. It touches no file, allocates nothing, keeps no state, and trusts no
 * length that it reads.
 *
 * A record of such a format is head, payload, tail, laid end to end with the next one, without alignment:
 *
 *     [ head: head_bytes, fixed ][ payload ][ tail: tail_bytes, fixed ]
 *
 * with one checksum over the bytes from sum_from up to the tail, which is kept in the head or is the tail. So
 * size, encoding (also of a record that is written in pieces), checking and the search behind damage are the
 * same code for all of them, and a format brings the few functions that know its fields.
 *
 * The library knows `varve` (its own, with frames, which the engine drives itself), `stra`, `wlog`, `aero`,
 * `dbkv` and `lfwal`. An embedder may register others. docs/FORMATS.md compares them.
 *
 * Threads: every function of a table may be called from any thread at once. Tables never change.
 */
#ifndef VARVE_FORMAT_H
#define VARVE_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VARVE_FORMAT_FILE_NAME_BYTES 64   /* every file name of a format is shorter */
#define VARVE_FORMAT_HEADER_MAX      4096 /* of a file */
#define VARVE_FORMAT_HEAD_MAX        64   /* of a record */
#define VARVE_FORMAT_TAIL_MAX        4
#define VARVE_FORMAT_META_MAX        4096 /* of a meta file */
#define VARVE_FORMAT_CODEC_BYTES     64   /* of a codec's name, with its NUL */

/* The number of the file that is written under a name without one (VARVE_LAYOUT_RENAMED). It is above every
 * number that a name can carry, so that this file comes last, as it must. */
#define VARVE_FORMAT_ACTIVE UINT64_MAX

/* The number of the next such file while it is made, inside a rotation. No name carries either number. */
#define VARVE_FORMAT_UNBORN (UINT64_MAX - 1)

/* What can stand in a record besides its payload, or in its file. */
enum varve_format_fields {
    VARVE_FIELD_LSN = 1 << 0,    /* the record's number; else it is its ordinal */
    VARVE_FIELD_TIME = 1 << 1,   /* in time_unit_ns */
    VARVE_FIELD_TYPE = 1 << 2,   /* type_min to type_max */
    VARVE_FIELD_TXN = 1 << 3,    /* transaction id */
    VARVE_FIELD_ORIGIN = 1 << 4, /* transaction origin */
    VARVE_FIELD_UUID = 1 << 5,   /* files name the log that they belong to */
    VARVE_FIELD_CODEC = 1 << 6,  /* payloads pass a codec that the meta file names */
    VARVE_FIELD_FRAMES = 1 << 7, /* records of one write are bound together, and vouched for by later ones */
};

enum varve_format_traits {
    VARVE_FORMAT_NATIVE = 1 << 0, /* `varve`: no function here is set, the engine drives it itself */
    VARVE_FORMAT_FIXED = 1 << 1,  /* files are made at their full size, all zero; they do not grow. A record's
                                     first 8 bytes are never all zero, and zeros end the file's records */
    VARVE_FORMAT_SIGNED_TIME = 1 << 2, /* times are two's complement: before 1970 as well */
    VARVE_FORMAT_ALONE = 1 << 3, /* a record that is larger than a segment stands alone in one, which then is
                                    larger; without it such a record is refused */
    VARVE_FORMAT_REORDERS = 1 << 4, /* a tail whose blocks reached the disk out of order is removed, as a torn
                                       one, unless the caller says otherwise; without it, it is damage */
    VARVE_FORMAT_BIG_ENDIAN_SUM = 1 << 5, /* byte order of the stored checksum */
    VARVE_FORMAT_GAPS = 1 << 6,           /* numbers of files need not follow one upon the other */
};

/* How files make up a log. */
enum varve_layout {
    VARVE_LAYOUT_NUMBERED = 0, /* files by number, the highest is written */
    VARVE_LAYOUT_ONE_FILE = 1, /* one file that grows for ever; its number is 1 */
    VARVE_LAYOUT_RENAMED = 2,  /* the active file has a name without a number, and gets one when it is full */
};

/* What a name in the log's folder is. */
enum varve_format_name {
    VARVE_NAME_NONE = 0,     /* not the log's: ignored, never removed */
    VARVE_NAME_SEGMENT = 1,  /* a file of records, with its number */
    VARVE_NAME_UNBORN = 2,   /* VARVE_LAYOUT_RENAMED: the next active file, inside a rotation */
    VARVE_NAME_LEFTOVER = 3, /* a temporary file that means nothing and may be removed by a writer */
};

enum varve_format_sum {
    VARVE_SUM_NONE = 0,   /* records are not summed; only `check` tells what is one */
    VARVE_SUM_CRC32 = 1,  /* CRC-32/ISO-HDLC, the one of zlib; of "123456789": 0xCBF43926 */
    VARVE_SUM_CRC32C = 2, /* CRC-32C; of "123456789": 0xE3069283 */
};

/* How a torn tail is removed before anything is appended. */
enum varve_format_removal {
    VARVE_REMOVE_CUT = 0,  /* the file is cut there */
    VARVE_REMOVE_ZERO = 1, /* every byte from there to the end of the file is set to zero */
};

/* What stands at a place where a record could. */
enum varve_found {
    VARVE_FOUND_RECORD = 0,
    VARVE_FOUND_NEED = 1, /* `bytes` are needed to tell, and the file has them: come again with as many */
    VARVE_FOUND_END = 2,  /* the file's records end here: nothing is left, or too little for any record */
    VARVE_FOUND_ZEROS =
        3, /* VARVE_FORMAT_FIXED: the end if all bytes to the file's end are zero, else damage */
    VARVE_FOUND_CUT = 4,      /* the file ends before the record does */
    VARVE_FOUND_LENGTH = 5,   /* a length that no record has */
    VARVE_FOUND_CHECKSUM = 6, /* the length is possible, the checksum is another */
    VARVE_FOUND_VERSION = 7, /* the checksum is right, and the version is not known: nothing may be changed */
    VARVE_FOUND_CONTENT = 8, /* the checksum is right, and the content breaks the format's rules */
};

enum varve_header_state {
    VARVE_HEADER_SOUND = 0,
    VARVE_HEADER_UNMADE = 1, /* cut off, or all zero: without records the file counts as never created */
    VARVE_HEADER_BAD = 2,
    VARVE_HEADER_VERSION = 3, /* another version: nothing may be changed */
};

/* A file's header. What a format does not keep is ignored when it is written, and 0 when it was read. */
struct varve_format_segment {
    uint64_t number; /* 0 where the header does not tell */
    uint64_t created_us;
    uint64_t bytes; /* the file's full size, VARVE_FORMAT_FIXED */
    uint8_t uuid[16];
};

/* What the engine gives a record. `time` counts in the format's unit. */
struct varve_format_stamp {
    uint64_t lsn;
    uint64_t time;
};

/* A record as it was read. */
struct varve_format_entry {
    uint64_t bytes; /* with head and tail. NEED: how many are needed. CUT, CHECKSUM, VERSION, CONTENT: what
                       its length field claims; 0 where that is not known */
    uint64_t payload_bytes; /* the payload begins behind the head */
    uint64_t lsn;           /* each field only if the format has it, else 0 */
    uint64_t time;          /* in the format's unit */
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    uint8_t type;
    uint8_t flags;           /* enum varve_record_flags */
    uint8_t version_unknown; /* these two are set by head_get, and believed when the checksum is right */
    uint8_t head_broken;     /* 1: a field of the head breaks the format's rules; `reason` says which */
    uint32_t sum_stored, sum_computed;
    const char *reason; /* what is wrong, in words; static. NULL for RECORD, NEED, END, ZEROS */
};

/* A file of facts in the log's directory, beside its folder of records. */
struct varve_format_meta {
    uint8_t uuid[16];
    char codec[VARVE_FORMAT_CODEC_BYTES]; /* "" = not told */
    uint64_t last_segment;                /* at least as high a number was in use; 0 = not told */
    uint64_t watermark;                   /* highest transaction id in the snapshot; 0 = none */
    uint64_t snapshot;                    /* number of the snapshot; 0 = none */
    uint64_t covered_lsn; /* VARVE_FIELD_LSN: records up to this one may be missing, they are in a snapshot */
};

struct varve_format {
    size_t size; /* sizeof(struct varve_format) */

    const char *name;    /* "wlog": what options and tools call it; lower-case letters and digits */
    const char *summary; /* a line for a person */

    /* -- what it holds -- */
    uint32_t carries;      /* enum varve_format_fields: what an append may set, and reading gives back */
    uint32_t derives;      /* those of `carries` that are part of the payload: an append that sets them must
                              agree with it, and one that does not still has them. Type 0 counts as not set */
    uint32_t traits;       /* enum varve_format_traits */
    uint64_t time_unit_ns; /* 1, 1000, 1000000000; 0 without VARVE_FIELD_TIME */
    uint8_t type_min, type_max;
    uint64_t payload_min, payload_max; /* in bytes */

    /* -- files -- */
    enum varve_layout layout;
    const char *folder; /* where records lie below the log's directory; "" = in it */
    uint64_t segment_default, segment_min,
        segment_max; /* bytes of a file; of a growing one: when it is full */

    /* Writes the name of file `number` (also VARVE_FORMAT_ACTIVE and VARVE_FORMAT_UNBORN, where the layout
     * has them) to `out`, VARVE_FORMAT_FILE_NAME_BYTES. A new log's first number is 1, or ACTIVE. */
    void (*name_put)(uint64_t number, char *out);
    /* Says what `name` is; *ret_number for a segment, else untouched. */
    enum varve_format_name (*name_get)(const char *name, uint64_t *ret_number);

    uint32_t header_bytes; /* before the first record of each file; 0 = none, then the two are NULL */
    void (*header_put)(const struct varve_format_segment *segment, uint8_t *out);
    /* Reads the first `have` bytes of a file; fewer than header_bytes only if the file is so short.
     * *ret_reason (static) is set unless SOUND. */
    enum varve_header_state (*header_get)(const uint8_t *bytes, size_t have,
                                          struct varve_format_segment *ret_segment, const char **ret_reason);

    /* -- records -- */
    uint32_t head_bytes; /* at least 1 */
    uint32_t tail_bytes; /* 4 when the checksum stands behind the payload, else 0 */
    enum varve_format_sum sum;
    uint32_t sum_from; /* the checksum covers the bytes from here (in the head) to the tail */
    int32_t sum_at;    /* where in the head it is stored, 4 bytes that end at sum_from or before; -1 = it is
                          the tail */

    /* Writes the head, head_bytes, of a record that the format can hold: this cannot fail. What it leaves at
     * sum_at does not matter. */
    void (*head_put)(const struct varve_record *record, uint64_t payload_bytes,
                     const struct varve_format_stamp *stamp, uint8_t *out);
    /* Reads a head, head_bytes of it, into *entry, which is zero: payload_bytes and the fields, and `reason`
     * unless it returns RECORD. Returns RECORD when the length is one that records have, whatever else is
     * wrong; LENGTH; or, VARVE_FORMAT_FIXED only, ZEROS. */
    enum varve_found (*head_get)(const uint8_t *bytes, struct varve_format_entry *entry);
    /* Holds a payload, in pieces, against the format's rules, with the entry's type as set by the head or by
     * the caller, and fills what is derived from it. 0, or -1 and entry->reason. In time linear in the
     * payload. NULL: every payload is good. */
    int (*check)(const struct iovec *pieces, int count, struct varve_format_entry *entry);
    /* Called, where it is set, on the bytes of `count` complete records that will be written together, by the
     * one thread that writes them: for what can be said only of all of them. NULL in all formats of the
     * library. The checksums are there already; a format that changes what they cover completes them. */
    void (*seal)(uint8_t *bytes, uint64_t len, uint32_t count, const struct varve_format_stamp *first);

    /* -- damage -- */
    enum varve_policy policy; /* the format's own habit; a caller's choice goes before it */
    enum varve_format_removal removal;

    /* -- the meta file, in the log's directory -- */
    const char *meta_name,
        *meta_temp; /* NULL: none; meta_temp is what it is written under before it is renamed */
    /* Writes it to `out` (VARVE_FORMAT_META_MAX) and returns its length. NULL: it is only read. */
    size_t (*meta_put)(const struct varve_format_meta *meta, uint8_t *out);
    /* Reads it. Errors: CORRUPT VERSION CODEC (a name that is too long). */
    int (*meta_get)(const uint8_t *bytes, size_t len, struct varve_format_meta *ret_meta,
                    struct varve_error *ret_error);

    /* What that project calls one of our errors; NULL for a name, or where there is none. */
    const char *(*error_alias)(int code);

    /* -- writing -- */
    enum varve_durability durability; /* appends wait for no less than this; DEFAULT = for what was asked */
};

/*
 * Makes a format known under its name, for the life of the process. `format` is the caller's and must stay as
 * it is. Errors: INVALID (the table contradicts itself; the message says how) EXISTS (the name is taken)
 * LIMIT (64 formats are known). Any thread.
 */
VARVE_API int varve_format_register(const struct varve_format *format, struct varve_error *ret_error);

/* The format of that name, or NULL. Any thread. */
VARVE_API const struct varve_format *varve_format_get(const char *name);

/* The formats in the order they became known, `varve` first; NULL past the last. Any thread. */
VARVE_API const struct varve_format *varve_format_at(unsigned index);

/* The format that an open log is in. Static. Any thread. */
VARVE_API const struct varve_format *varve_log_format(const struct varve_log *log);

/* A record's time in microseconds since 1970 UTC: what is earlier is 0, what is later than can be told is
 * UINT64_MAX; and back, rounded down. 0 for a format without times. */
VARVE_API uint64_t varve_format_time_us(const struct varve_format *format, uint64_t time);
VARVE_API uint64_t varve_format_time_of_us(const struct varve_format *format, uint64_t time_us);

#ifdef __cplusplus
}
#endif

#endif
