/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a log in a format of others ("plain": records lie end to end in files, without frames), in the
 * order of its records, as the directory shows them. Nothing is changed.
 */
#ifndef VV_LOG_PLAIN_FILES_H
#define VV_LOG_PLAIN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/format.h"
#include "format/side.h"
#include "varve/error.h"
#include "varve/io.h"

struct vv_plain_file {
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number;
    uint64_t bytes;                /* when it was looked at last */
    enum varve_header_state state; /* SOUND where files have no header */
    const char *reason;            /* unless SOUND; static */
    bool blank; /* UNMADE, and nothing but zeros behind it: it counts as never made where it is the last. Who
                   is to write also sets it for a last file without records that a crash left too short */
    struct varve_format_segment header;
    uint64_t first_lsn; /* of its first record; set by who walked there; 0 = not known */
};

struct vv_plain_files {
    struct varve_io *io;
    const struct varve_format *format;
    struct varve_dir *dir;    /* the log's directory: the caller's */
    struct varve_dir *folder; /* where the files lie; `dir` itself where that is it; NULL: not made yet */
    struct vv_plain_file *items;
    size_t count, room;
    uint64_t stale;      /* files below the log's first: trimmed, and not removed yet */
    uint64_t disk_bytes; /* of all files of the log */
    bool unborn;         /* VARVE_LAYOUT_RENAMED: a next file is there beside the active one */
    uint64_t unborn_bytes;
    bool borne;       /* the last item is such a file, under its name: there was no active one */
    uint64_t rotated; /* the number that the active file got between the last two looks; 0 = it did not */

    int meta_rc; /* 0, NOT_FOUND, or why `meta` is empty: meta_error */
    struct varve_format_meta meta;
    struct varve_error meta_error;
    int side_rc; /* the same of VARVE */
    struct vv_side side;
    struct varve_error side_error;
};

/* Lists the log's files and reads their headers, and the two files of facts. The caller keeps io and dir; on
 * failure nothing is to be freed. A directory without any file of the format is an empty log. Errors: IO
 * NOMEM NOT_REGULAR. */
int vv_plain_files_load(struct vv_plain_files *files, const struct varve_format *format, struct varve_io *io,
                        struct varve_dir *dir, struct varve_error *ret_error);

/* The same of one file, which may have any name: its header's number, or its name's, or 0. It is not to be
 * reloaded. Errors: as above, IO (sys_errno ENOENT: there is none). */
int vv_plain_files_load_one(struct vv_plain_files *files, const struct varve_format *format,
                            struct varve_io *io, struct varve_dir *dir, const char *name,
                            struct varve_error *ret_error);

/* Looks again: at what is new, at what was the last file, and at what was not sound. */
int vv_plain_files_reload(struct vv_plain_files *files, struct varve_error *ret_error);

void vv_plain_files_free(struct vv_plain_files *files);

/* Refuses what no policy goes past: files of another log, an unknown version, a codec of payloads, facts of
 * another format. Errors: FOREIGN VERSION CODEC FORMAT. */
int vv_plain_files_refuse(const struct vv_plain_files *files, struct varve_error *ret_error);

/* Refuses damaged files of facts, and an UNBORN file beside the active one that holds records: errors
 * CORRUPT. Not called under the policy skip. */
int vv_plain_files_facts(const struct vv_plain_files *files, struct varve_error *ret_error);

/* Whether the header belongs to another log than the meta file, or than the first file. */
bool vv_plain_files_foreign(const struct vv_plain_files *files, size_t index);

/* Whether there is a log at all: a file, a file of facts, or at least the folder for the files. */
bool vv_plain_files_exist(const struct vv_plain_files *files);

/* How many files count: those without the ones at the end that were never made. */
size_t vv_plain_files_made(const struct vv_plain_files *files);

/* The index of the first file whose number is `number` or above; count when there is none. */
size_t vv_plain_files_find(const struct vv_plain_files *files, uint64_t number);

/* Whether a number is missing between the two, which follow one upon the other in the list. */
bool vv_plain_files_gap(const struct vv_plain_files *files, uint64_t before, uint64_t after);

#endif
