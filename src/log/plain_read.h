/* SPDX-License-Identifier: Apache-2.0 */
/* One file of records, read forward through a window, and a few bytes of it at any place. */
#ifndef VV_LOG_PLAIN_READ_H
#define VV_LOG_PLAIN_READ_H

#include "format/tail.h"
#include "log/plain_files.h"

struct vv_plain_reader {
    struct varve_io *io;
    struct varve_file *file; /* NULL: none is open */
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t bytes;      /* of the file, when it was asked last */
    uint64_t bytes_read; /* of all files */
    uint8_t *window;
    size_t room, have;
    uint64_t window_at;

    /* For what lies behind a damage, made when it is first asked for. */
    struct vv_format_source source;
    struct vv_format_search *search;
    uint8_t *piece; /* what the search was given last */
    size_t piece_room;
    int failed; /* errno of a read that the search made */
};

void vv_plain_reader_init(struct vv_plain_reader *reader, struct varve_io *io);
void vv_plain_reader_free(struct vv_plain_reader *reader);

/* Errors: IO (sys_errno ENOENT: it is gone) NOT_REGULAR. */
int vv_plain_reader_open(struct vv_plain_reader *reader, struct varve_dir *dir, const char *name,
                         struct varve_error *ret_error);
void vv_plain_reader_close(struct vv_plain_reader *reader);

/* Asks for the size again, and forgets what was read: a writer may have gone on. Errors: IO. */
int vv_plain_reader_refresh(struct vv_plain_reader *reader, struct varve_error *ret_error);

/*
 * Points *ret_bytes to *ret_have bytes from `offset` on, at least `want` of them, valid until the next call;
 * fewer only where the file ends, or turns out to have been cut: then reader->bytes says where. Errors: IO
 * NOMEM.
 */
int vv_plain_reader_at(struct vv_plain_reader *reader, uint64_t offset, size_t want,
                       const uint8_t **ret_bytes, size_t *ret_have, struct varve_error *ret_error);

/* Whether nothing but zeros comes from `offset` to the end of the file. Errors: as above. */
int vv_plain_reader_zeros(struct vv_plain_reader *reader, uint64_t offset, bool *ret_zeros,
                          struct varve_error *ret_error);

/* format/tail.h, over this file. Errors: IO NOMEM. */
int vv_plain_reader_judge(struct vv_plain_reader *reader, const struct varve_format *format, uint64_t offset,
                          bool last, struct vv_format_judgement *ret_judgement,
                          struct varve_error *ret_error);
/* The first valid record from `offset` on; VARVE_END when there is none. */
int vv_plain_reader_next(struct vv_plain_reader *reader, const struct varve_format *format, uint64_t offset,
                         uint64_t *ret_offset, struct varve_error *ret_error);

#endif
