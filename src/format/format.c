/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of any format <-> bytes, by its table.
 *
 * In: the caller's record, or bytes of unknown worth. Out: bytes, or an entry and what it is worth. Encoding
 * cannot fail, because admit comes before it and refuses all that could.
 */
#include "format/format.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "format/sum.h"

uint64_t vv_format_payload_room(const struct varve_format *f, uint64_t segment_bytes)
{
    uint64_t around = (uint64_t)f->header_bytes + f->head_bytes + f->tail_bytes;

    if (f->traits & VARVE_FORMAT_ALONE)
        return UINT64_MAX;
    return segment_bytes > around ? segment_bytes - around : 0;
}

/* -- admit -- */

static int admit_fields(const struct varve_format *f, const struct varve_record *r, struct varve_error *e)
{
    static const uint8_t no_origin[VARVE_ORIGIN_BYTES];
    bool has_origin = (r->flags & VARVE_RECORD_TXN) && memcmp(r->origin, no_origin, sizeof no_origin) != 0;

    if (r->type != 0 && !(f->carries & VARVE_FIELD_TYPE))
        return vv_error_set(e, VARVE_E_UNSUPPORTED, 0, "%s: its records have no type, and %u was given",
                            f->name, r->type);
    if ((f->carries & VARVE_FIELD_TYPE) && (r->type < f->type_min || r->type > f->type_max) &&
        !(r->type == 0 && (f->derives & VARVE_FIELD_TYPE)))
        return vv_error_set(e, VARVE_E_INVALID, 0,
                            "%s: its records have the types %u to %u, and %u was given", f->name, f->type_min,
                            f->type_max, r->type);
    if ((r->flags & VARVE_RECORD_TIME) && !(f->carries & VARVE_FIELD_TIME))
        return vv_error_set(e, VARVE_E_UNSUPPORTED, 0, "%s: its records have no time, and one was given",
                            f->name);
    if (!(r->flags & VARVE_RECORD_TXN))
        return 0;
    if (!(f->carries & VARVE_FIELD_TXN))
        return vv_error_set(e, VARVE_E_UNSUPPORTED, 0,
                            "%s: its records have no transaction id, and %" PRIu64 " was given", f->name,
                            r->txn_id);
    if (has_origin && !(f->carries & VARVE_FIELD_ORIGIN))
        return vv_error_set(e, VARVE_E_UNSUPPORTED, 0,
                            "%s: its transactions have no origin, and one was given", f->name);
    if (r->txn_id == 0 && !has_origin && !(f->derives & VARVE_FIELD_TXN))
        return vv_error_set(e, VARVE_E_UNSUPPORTED, 0,
                            "%s: transaction 0 with an origin of zeros stands for no transaction", f->name);
    return 0;
}

static int admit_size(const struct varve_format *f, uint64_t bytes, struct varve_error *e)
{
    if (bytes < f->payload_min)
        return vv_error_set(e, VARVE_E_INVALID, 0,
                            "%s: a payload of %" PRIu64 " bytes; the shortest has %" PRIu64, f->name, bytes,
                            f->payload_min);
    if (bytes > f->payload_max)
        return vv_error_set(e, VARVE_E_TOO_LARGE, 0,
                            "%s: a payload of %" PRIu64 " bytes; the longest has %" PRIu64, f->name, bytes,
                            f->payload_max);
    return 0;
}

/* What the payload says of itself, and the caller too. */
static int admit_derived(const struct varve_format *f, const struct varve_record *r,
                         const struct varve_format_entry *said, struct varve_error *e)
{
    if ((f->derives & VARVE_FIELD_TYPE) && r->type != 0 && r->type != said->type)
        return vv_error_set(e, VARVE_E_INVALID, 0, "%s: the payload is of type %u, and %u was given", f->name,
                            said->type, r->type);
    if ((f->derives & VARVE_FIELD_TXN) && (r->flags & VARVE_RECORD_TXN) && r->txn_id != said->txn_id)
        return vv_error_set(e, VARVE_E_INVALID, 0,
                            "%s: the payload is of transaction %" PRIu64 ", and %" PRIu64 " was given",
                            f->name, said->txn_id, r->txn_id);
    if ((f->derives & VARVE_FIELD_TIME) && (r->flags & VARVE_RECORD_TIME) && r->time != said->time)
        return vv_error_set(e, VARVE_E_INVALID, 0,
                            "%s: the payload has the time %" PRIu64 ", and %" PRIu64 " was given", f->name,
                            said->time, r->time);
    return 0;
}

int vv_format_admit(const struct varve_format *f, const struct varve_record *record, uint64_t payload_bytes,
                    struct varve_error *ret_error)
{
    struct iovec whole = {(void *)(uintptr_t)record->data, record->data_bytes};
    struct varve_format_entry said = {.type = record->type, .flags = record->flags & VARVE_RECORD_TXN};
    int rc = admit_fields(f, record, ret_error);

    if (rc == 0)
        rc = admit_size(f, payload_bytes, ret_error);
    if (rc != 0 || !f->check)
        return rc;
    said.txn_id = record->txn_id;
    said.payload_bytes = payload_bytes;
    if (f->check(record->iov_count > 0 ? record->iov : &whole, record->iov_count > 0 ? record->iov_count : 1,
                 &said) != 0)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "%s: the payload cannot be one of its own: %s",
                            f->name, said.reason);
    return admit_derived(f, record, &said, ret_error);
}

/* -- encode -- */

static void put_sum(const struct varve_format *f, uint32_t sum, uint8_t *out)
{
    if (f->traits & VARVE_FORMAT_BIG_ENDIAN_SUM)
        vv_put_u32_be(out, sum);
    else
        vv_put_u32(out, sum);
}

uint32_t vv_format_stored_sum(const struct varve_format *f, const uint8_t *at)
{
    return f->traits & VARVE_FORMAT_BIG_ENDIAN_SUM ? vv_get_u32_be(at) : vv_get_u32(at);
}

void vv_format_encode(const struct varve_format *f, const struct varve_record *record, uint64_t payload_bytes,
                      const struct varve_format_stamp *stamp, uint8_t *out)
{
    uint8_t *at = out + f->head_bytes;
    uint32_t sum;

    f->head_put(record, payload_bytes, stamp, out);
    sum = vv_sum(f->sum, 0, out + f->sum_from, f->head_bytes - f->sum_from);
    if (record->iov_count == 0) {
        sum = vv_sum_copy(f->sum, sum, at, record->data, record->data_bytes);
        at += record->data_bytes;
    }
    for (int i = 0; i < record->iov_count; i++) {
        sum = vv_sum_copy(f->sum, sum, at, record->iov[i].iov_base, record->iov[i].iov_len);
        at += record->iov[i].iov_len;
    }
    if (f->sum != VARVE_SUM_NONE)
        put_sum(f, sum, f->sum_at < 0 ? at : out + f->sum_at);
}

void vv_format_ends(const struct varve_format *f, const struct varve_record *record, uint64_t payload_bytes,
                    const struct varve_format_stamp *stamp, struct vv_format_ends *ret_ends)
{
    uint32_t sum;

    f->head_put(record, payload_bytes, stamp, ret_ends->head);
    sum = vv_sum(f->sum, 0, ret_ends->head + f->sum_from, f->head_bytes - f->sum_from);
    if (record->iov_count == 0)
        sum = vv_sum(f->sum, sum, record->data, record->data_bytes);
    for (int i = 0; i < record->iov_count; i++)
        sum = vv_sum(f->sum, sum, record->iov[i].iov_base, record->iov[i].iov_len);
    if (f->sum != VARVE_SUM_NONE)
        put_sum(f, sum, f->sum_at < 0 ? ret_ends->tail : ret_ends->head + f->sum_at);
}

/* -- decode -- */

enum varve_found vv_format_head(const struct varve_format *f, const uint8_t *bytes, size_t have,
                                uint64_t left, struct varve_format_entry *entry)
{
    enum varve_found found;

    memset(entry, 0, sizeof *entry);
    if (left < f->head_bytes) {
        if (left == 0 || (f->traits & VARVE_FORMAT_FIXED))
            return VARVE_FOUND_END;
        entry->reason = "the file ends inside a record's head";
        return VARVE_FOUND_CUT;
    }
    if (have < f->head_bytes) {
        entry->bytes = f->head_bytes;
        return VARVE_FOUND_NEED;
    }
    found = f->head_get(bytes, entry);
    if (found != VARVE_FOUND_RECORD)
        return found;
    if (entry->payload_bytes > f->payload_max) {
        entry->reason = "a length above that of any record";
        return VARVE_FOUND_LENGTH;
    }
    entry->bytes = vv_format_record_bytes(f, entry->payload_bytes);
    if (entry->bytes <= left)
        return VARVE_FOUND_RECORD;
    entry->reason = "the record goes on past the end of the file";
    return f->traits & VARVE_FORMAT_FIXED ? VARVE_FOUND_LENGTH : VARVE_FOUND_CUT;
}

enum varve_found vv_format_content(const struct varve_format *f, const uint8_t *bytes,
                                   struct varve_format_entry *entry)
{
    struct iovec payload = {(void *)(uintptr_t)(bytes + f->head_bytes), entry->payload_bytes};

    if (entry->version_unknown) {
        entry->reason = "a version of the record that is not known";
        return VARVE_FOUND_VERSION;
    }
    if (entry->head_broken)
        return VARVE_FOUND_CONTENT;
    if (f->check && f->check(&payload, 1, entry) != 0)
        return VARVE_FOUND_CONTENT;
    return VARVE_FOUND_RECORD;
}

enum varve_found vv_format_decode(const struct varve_format *f, const uint8_t *bytes, size_t have,
                                  uint64_t left, struct varve_format_entry *entry)
{
    enum varve_found found = vv_format_head(f, bytes, have, left, entry);
    uint64_t tail_at;

    if (found != VARVE_FOUND_RECORD)
        return found;
    if (entry->bytes > have)
        return VARVE_FOUND_NEED;
    tail_at = entry->bytes - f->tail_bytes;
    if (f->sum != VARVE_SUM_NONE) {
        entry->sum_stored = vv_format_stored_sum(f, bytes + (f->sum_at < 0 ? tail_at : (uint64_t)f->sum_at));
        entry->sum_computed = vv_sum(f->sum, 0, bytes + f->sum_from, tail_at - f->sum_from);
        if (entry->sum_stored != entry->sum_computed) {
            entry->reason = "the checksum does not match";
            return VARVE_FOUND_CHECKSUM;
        }
    }
    return vv_format_content(f, bytes, entry);
}

const char *vv_format_found_name(enum varve_found found)
{
    switch (found) {
    case VARVE_FOUND_RECORD:
        return "a record";
    case VARVE_FOUND_NEED:
        return "more bytes needed";
    case VARVE_FOUND_END:
        return "end";
    case VARVE_FOUND_ZEROS:
        return "zeros";
    case VARVE_FOUND_CUT:
        return "incomplete record";
    case VARVE_FOUND_LENGTH:
        return "bad length";
    case VARVE_FOUND_CHECKSUM:
        return "checksum mismatch";
    case VARVE_FOUND_VERSION:
        return "unsupported version";
    case VARVE_FOUND_CONTENT:
        return "undecodable record";
    }
    return "?";
}

/* -- recognise -- */

/* The first record of a file, as far as its bytes go. */
static bool first_record(const struct varve_format *f, const uint8_t *bytes, size_t have, uint64_t file_bytes)
{
    struct varve_format_entry entry;
    enum varve_found found;

    if (have < f->header_bytes || file_bytes < f->header_bytes)
        return false;
    found = vv_format_decode(f, bytes + f->header_bytes, have - f->header_bytes, file_bytes - f->header_bytes,
                             &entry);
    return found == VARVE_FOUND_RECORD;
}

enum vv_format_likeness vv_format_matches(const struct varve_format *f, const char *name,
                                          const uint8_t *bytes, size_t have, uint64_t file_bytes)
{
    struct varve_format_segment segment;
    const char *reason;
    uint64_t number;
    bool named;

    if (f->traits & VARVE_FORMAT_NATIVE)
        return VV_FORMAT_UNLIKE;
    named = name && f->name_get(name, &number) != VARVE_NAME_NONE;
    if (f->header_bytes > 0) {
        switch (f->header_get(bytes, have, &segment, &reason)) {
        case VARVE_HEADER_SOUND:
        case VARVE_HEADER_VERSION:
            return VV_FORMAT_LIKE_BYTES;
        case VARVE_HEADER_UNMADE:
            return named ? VV_FORMAT_LIKE_NAME : VV_FORMAT_UNLIKE;
        case VARVE_HEADER_BAD:
            break;
        }
        return named ? VV_FORMAT_LIKE_NAME : VV_FORMAT_UNLIKE;
    }
    if (first_record(f, bytes, have, file_bytes))
        return VV_FORMAT_LIKE_BYTES;
    return named ? VV_FORMAT_LIKE_NAME : VV_FORMAT_UNLIKE;
}
