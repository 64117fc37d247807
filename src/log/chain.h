/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of a log's segments, as the directory shows it: which files there are, what their headers say,
 * and up to which LSN each one counts. Reading starts here; nothing is changed.
 */
#ifndef VV_LOG_CHAIN_H
#define VV_LOG_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/manifest.h"
#include "format/segment.h"
#include "varve/error.h"
#include "varve/io.h"

enum vv_link_state {
    VV_LINK_SOUND = 0,
    VV_LINK_BLANK,   /* no header: prepared, not used */
    VV_LINK_BAD,     /* a header that does not check, or another segment's */
    VV_LINK_FOREIGN, /* another log's */
    VV_LINK_UNKNOWN, /* a newer version, or flags that must be understood */
};

struct vv_link {
    uint64_t number;
    uint64_t file_bytes;
    enum vv_link_state state;
    struct vv_segment_header header; /* to be trusted when SOUND */
    uint64_t end_lsn; /* a later segment starts here: its records win; UINT64_MAX = none does */
};

struct varve_keys;

struct vv_chain {
    struct varve_io *io;
    struct varve_dir *dir;
    struct vv_link *links; /* by number, from manifest.first_segment on */
    size_t count, room;
    int manifest_rc; /* 0, or why `manifest` is only a guess */
    struct varve_error manifest_error;
    struct vv_manifest manifest;
    uint64_t spares;
    uint64_t stale;          /* segments below the first one: trimmed, and not removed yet */
    uint64_t disk_bytes;     /* of all files of the log */
    char only_name[256];     /* of the one file that was loaded by name; else empty */
    struct varve_keys *keys; /* set by who loaded it, for who decodes; may be NULL */
};

/* Lists the directory and reads every header. The caller keeps io and dir. Errors: IO NOMEM NOT_REGULAR. A
 * missing or damaged MANIFEST is told by manifest_rc (NOT_FOUND, CORRUPT, VERSION); a directory without any
 * segment and without MANIFEST is an empty chain. */
int vv_chain_load(struct vv_chain *chain, struct varve_io *io, struct varve_dir *dir,
                  struct varve_error *ret_error);

/* A chain of one file, which may have any name; its header says its number, and if that does not check the
 * name may. The file may be anything: then its link is BAD. Errors: as above. */
int vv_chain_load_file(struct vv_chain *chain, struct varve_io *io, struct varve_dir *dir, const char *name,
                       struct varve_error *ret_error);

/* A segment without a sound header, with what must be assumed of it to look for frames in its file: the
 * sectors that its header names if that is possible, and all of the file. */
struct vv_link vv_chain_guess(const struct vv_link *link);

/* Opens a file of the log for reading. Errors: NOT_REGULAR IO; NOT_FOUND, without a message, when there is
 * none: that is asked twice, for what is there and cannot be opened must not pass for removed. */
int vv_chain_open_file(struct varve_io *io, struct varve_dir *dir, const char *name,
                       struct varve_file **ret_file, struct varve_error *ret_error);

/* Looks again: reads MANIFEST and the headers of segments that are new or were blank. */
int vv_chain_reload(struct vv_chain *chain, struct varve_error *ret_error);

/* Whether the segment at `index` is still the last one in use, as far as that can be told without listing the
 * directory: those behind it are known to be ready, and still have no header; or there was none, and there is
 * still none of the next number. A writer that came after a crash may have taken another number. */
bool vv_chain_at_rest(const struct vv_chain *chain, size_t index);

void vv_chain_free(struct vv_chain *chain);

/* Refuses what no policy goes past: an unknown version, a foreign segment, a copy that was not finished.
 * Errors: VERSION FOREIGN INCOMPLETE. */
int vv_chain_refuse(const struct vv_chain *chain, struct varve_error *ret_error);
/* Refuses a log that has, or had when a segment was begun, a codec that is not in this build: its records
 * could not be read. Errors: CODEC. */
int vv_chain_codecs(const struct vv_chain *chain, struct varve_error *ret_error);

/* The index of the segment in which `lsn` must be, if it is anywhere; count when there is no segment with a
 * header. */
size_t vv_chain_find(const struct vv_chain *chain, uint64_t lsn);

#endif
