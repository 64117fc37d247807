/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a log without opening it: every segment, frame and record with where it lies and whether it is
 * sound, also in a damaged log and in one file alone. Changes no byte, takes no lock, trusts no byte.
 *
 * Threads: any, each call is on its own.
 */
#ifndef VARVE_INSPECT_H
#define VARVE_INSPECT_H

#include <stddef.h>
#include <stdint.h>

#include "varve/codec.h"
#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/options.h"

#ifdef __cplusplus
extern "C" {
#endif

enum varve_segment_state {
    VARVE_SEGMENT_SOUND = 0,   /* a valid header */
    VARVE_SEGMENT_EMPTY = 1,   /* prepared and not yet used: no header, no frame */
    VARVE_SEGMENT_DAMAGED = 2, /* a header that does not check */
    VARVE_SEGMENT_FOREIGN = 3, /* another log's */
    VARVE_SEGMENT_UNKNOWN = 4, /* a newer version, or flags that must be understood */
};

struct varve_segment_info {
    const char *name; /* the file's name; valid during the call it was given in */
    uint64_t number;
    enum varve_segment_state state;
    uint64_t file_bytes;
    uint32_t format_version;
    uint32_t sector_bytes;
    uint8_t uuid[16];
    uint64_t salt;
    uint64_t capacity_bytes;
    uint64_t created_us;
    uint64_t base_lsn;
    uint32_t codec;
    uint32_t flags;
    uint32_t crc_stored, crc_computed;
    const char *format; /* by its name; static */
    const char *reason; /* in a format of others: what is wrong with the header, static; else NULL */
};

enum varve_frame_state {
    VARVE_FRAME_SOUND = 0,
    VARVE_FRAME_BAD_HEADER = 1, /* the header's checksum, or a field that contradicts where it stands */
    VARVE_FRAME_BAD_BODY = 2,   /* the body's checksum */
    VARVE_FRAME_SUPERSEDED = 3, /* sound, but a later segment starts at or before it: not part of the log */
};

struct varve_frame_info {
    uint64_t segment;
    uint64_t offset; /* bytes, in the file */
    enum varve_frame_state state;
    uint64_t frame_bytes; /* with padding */
    uint32_t stored_bytes, raw_bytes;
    uint32_t records; /* 0 = a mark */
    uint64_t first_lsn, durable_lsn;
    uint64_t time_us;
    uint8_t codec, flags;
    uint32_t header_crc_stored, header_crc_computed;
    uint32_t body_crc_stored, body_crc_computed;
    int unread; /* why the records of a sound frame are not shown: 0, or the code of an error; KEY_MISSING,
                   KEY_WRONG, CODEC, DICTIONARY, or CORRUPT where the codec makes nothing of the body */
};

struct varve_record_info {
    uint64_t lsn;
    uint64_t offset; /* bytes, in the file; in an encoded frame where it would be without the codec */
    uint64_t time_us;
    int sound; /* 0 = its checksum does not match */
    uint8_t type, flags;
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    const void *data; /* NULL where the length cannot be trusted; valid during the call */
    size_t data_bytes;
    uint32_t crc_stored, crc_computed;
    const char *reason; /* in a format of others: what is wrong with it, static; else NULL */
};

/* What is called for each thing found, in order: a segment, then its frames, each followed by its records; in
 * the formats of others, which have no frames, its records.
 * Any may be NULL. A non-zero return ends the walk and is returned by varve_inspect. */
struct varve_visitor {
    size_t size; /* sizeof(struct varve_visitor) */
    void *arg;
    int (*segment)(void *arg, const struct varve_segment_info *segment);
    int (*frame)(void *arg, const struct varve_frame_info *frame);
    int (*record)(void *arg, const struct varve_record_info *record);
    /* Bytes that are no frame, up to the next frame or the end of the segment: what stands there. */
    int (*gap)(void *arg, uint64_t segment, uint64_t offset, uint64_t bytes, enum varve_verdict verdict);
    struct varve_keys *keys; /* for encrypted frames; without, their records are not shown */
    const char *format;      /* what to take it for (varve/format.h); NULL = what is there tells */
};

/*
 * Walks `path`: a log's directory, or one segment file. `io` may be NULL. Damage does not end the walk.
 * Errors: INVALID NOMEM IO NOT_FOUND FORMAT NOT_REGULAR.
 */
VARVE_API int varve_inspect(const char *path, struct varve_io *io, const struct varve_visitor *visitor,
                            struct varve_error *ret_error);

/* What a full check found. */
struct varve_verify_result {
    size_t size;                 /* set by the caller to sizeof(struct varve_verify_result) */
    struct varve_recovery found; /* with the policy skip: everything that is sound is counted */
    uint64_t damages;            /* places with a verdict other than clean end and torn */
    int clean_shutdown;          /* MANIFEST says that the log was closed */
    int writer_alive;            /* somebody had it open for writing: the end was still moving */
    uint64_t superseded_frames;
    uint64_t unread_frames;  /* whose checksums match, and whose records could not be looked at, */
    uint64_t unread_records; /* with so many of them */
    int unread_code; /* for want of a key (KEY_MISSING) or a codec (CODEC): the first of them; 0 = none */
    char unread_why[128];      /* and what it said */
    uint64_t repaired;         /* places that varve_repair (repair.h) has accepted, not in `damages`, */
    uint64_t repaired_records; /* and the records that are gone there, not in found.lost_records */
    char format[32];           /* what the log is in */
};

/* One place that is not as it should be, in order, with a message for a person. */
typedef void (*varve_damage_fn)(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                                uint64_t lsn_first, uint64_t lsn_last, const char *message);

/*
 * Reads every byte that the log in directory `path` holds and checks every checksum, read-only. Returns 0
 * when it could read everything, whatever it found: that is in *ret_result. Without a key or a codec the
 * checksums of frames are checked all the same, and the result says which records were not looked at.
 * `damage` and `options` may be NULL; of the options `io`, `keys`, `format`, `progress` and `message` are
 * used, and in the formats of others `policy`: it tells whether blocks that were written out of order make a
 * torn end. Errors: INVALID NOMEM IO NOT_FOUND FORMAT VERSION NOT_REGULAR KEY_WRONG DICTIONARY INCOMPLETE.
 */
VARVE_API int varve_verify(const char *path, const struct varve_options *options, varve_damage_fn damage,
                           void *damage_arg, struct varve_verify_result *ret_result,
                           struct varve_error *ret_error);

/* What a log holds, from its headers and a pass over its frames; cheap enough to ask often. */
struct varve_info {
    size_t size; /* set by the caller to sizeof(struct varve_info) */
    uint8_t uuid[16];
    uint64_t created_us;
    uint64_t segments;       /* with a header */
    uint64_t segments_ready; /* prepared, empty */
    uint64_t spares;
    uint64_t disk_bytes; /* of all files */
    uint64_t used_bytes; /* of segments, up to their last frame */
    uint64_t first_segment, last_segment;
    uint64_t first_lsn, last_lsn; /* last = 0: no record */
    uint64_t durable_lsn;         /* the highest LSN that a frame or the clean shutdown vouches for */
    uint64_t first_time_us, last_time_us;
    uint64_t frames, marks, records;
    uint64_t body_bytes;    /* raw bytes of all frames: records with their headers */
    uint64_t segment_bytes; /* of the last one; in an empty log of the one that is prepared, 0 if none is */
    uint64_t sector_bytes;
    uint64_t tail_free_bytes; /* room left in the active segment */
    int clean_shutdown;
    int writer_alive;
    int64_t writer_pid; /* -1 = not known or none */
    enum varve_verdict verdict;
    uint64_t stored_bytes;   /* of all bodies, as stored; of body_bytes, before the codec */
    uint64_t encoded_frames; /* that a codec had worked on */
    uint32_t codec;          /* of frames that are written next */
    char codec_name[VARVE_CODEC_NAME_BYTES];
    uint32_t dictionary; /* of that codec; 0 = none */
    char format[32];     /* what the log is in. In the formats of others there are no frames, `body_bytes` are
                            those of records with head and tail, and nothing tells of a clean shutdown */
};

/* Fills *ret_info for the log in directory `path`. `io` may be NULL. Needs no key and no codec. Errors:
 * INVALID NOMEM IO NOT_FOUND FORMAT VERSION NOT_REGULAR INCOMPLETE. */
VARVE_API int varve_info_get(const char *path, struct varve_io *io, struct varve_info *ret_info,
                             struct varve_error *ret_error);

/* The same under options, of which `io` and `format` are used. */
VARVE_API int varve_info_read(const char *path, const struct varve_options *options,
                              struct varve_info *ret_info, struct varve_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
