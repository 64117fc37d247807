/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for records at any offset, and the judgement that rests on it.
 *
 * Every offset is looked at once; whether a record stands there costs a bounded number of steps, because the
 * checksum of any stretch does (spans.c). What remains are two things that bytes made for the purpose could
 * draw out: following the records behind a candidate to the file's end, over and over, and checking payloads
 * that lie within each other. The first is remembered, as far as there is room; both have an allowance of
 * work that no honest file comes near. When it is used up the verdict is damage, which changes nothing on
 * disk and asks for a person.
 */
#include "format/tail.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "format/sum.h"

enum {
    DIRECT_BYTES = 512, /* up to here a record is summed up as it stands */
    WAYS = 8,
    BUCKETS = 256,
    BLOCK_BYTES = 512, /* what reaches a disk whole or not at all */
};

struct vv_format_search {
    const struct varve_format *format;
    struct vv_format_source source;
    struct vv_spans spans;
    uint64_t content_left; /* bytes of payloads that may still be checked */
    uint64_t steps_left;   /* records that may still be followed */
    bool exhausted;
    uint64_t window_at; /* what is scanned is copied: reads elsewhere do not disturb it */
    size_t window_bytes;
    uint64_t zeros_from; /* all bytes from here on are zero; UINT64_MAX = not known yet */
    /* Places where a run of records that does not reach the end goes on. */
    uint64_t dead[BUCKETS][WAYS];
    uint8_t window[VV_SPANS_READ];
};

size_t vv_format_search_bytes(uint64_t file_bytes)
{
    return sizeof(struct vv_format_search) + vv_spans_count(file_bytes) * sizeof(uint32_t);
}

struct vv_format_search *vv_format_search_init(void *memory, const struct varve_format *format,
                                               const struct vv_format_source *source)
{
    struct vv_format_search *s = memory;
    uint64_t smallest = format->head_bytes + format->payload_min + format->tail_bytes;

    memset(s, 0, offsetof(struct vv_format_search, window));
    s->format = format;
    s->source = *source;
    s->content_left = 16 * source->file_bytes + VV_SPANS_READ;
    s->steps_left = 4 * (source->file_bytes / smallest) + 1024;
    s->zeros_from = UINT64_MAX;
    vv_spans_init(&s->spans, format->sum, source, (uint32_t *)(void *)(s + 1));
    return s;
}

/* Points to `len` bytes at `offset`, valid until the next read. */
static int look(struct vv_format_search *s, uint64_t offset, size_t len, const uint8_t **ret)
{
    if (offset >= s->window_at && offset + len <= s->window_at + s->window_bytes) {
        *ret = s->window + (offset - s->window_at);
        return 0;
    }
    return s->source.read(s->source.arg, offset, len, ret);
}

/* -- is there a record at an offset? -- */

/* The checksum of a record whose head has been read, and then its content. */
static int check_whole(struct vv_format_search *s, uint64_t offset, struct varve_format_entry *entry,
                       bool *ret_valid)
{
    const struct varve_format *f = s->format;
    uint64_t tail_at = offset + entry->bytes - f->tail_bytes;
    const uint8_t *bytes;
    uint32_t stored, sum;
    int rc;

    if (f->sum != VARVE_SUM_NONE) {
        rc = look(s, f->sum_at < 0 ? tail_at : offset + (uint64_t)f->sum_at, 4, &bytes);
        if (rc < 0)
            return rc;
        stored = vv_format_stored_sum(f, bytes);
        rc = vv_spans_sum(&s->spans, offset + f->sum_from, tail_at, &sum);
        if (rc < 0 || stored != sum)
            return rc;
    }
    *ret_valid = true;
    if (!f->check)
        return 0;
    if (entry->payload_bytes > s->content_left) {
        s->exhausted = true; /* what is checked no more counts as a record */
        return 0;
    }
    s->content_left -= entry->payload_bytes;
    rc = look(s, offset, (size_t)entry->bytes, &bytes);
    if (rc >= 0)
        *ret_valid = vv_format_content(f, bytes, entry) == VARVE_FOUND_RECORD;
    return rc;
}

/* *ret_valid: a whole, valid record stands there. *entry and *ret_found tell of its head in any case. */
static int look_record(struct vv_format_search *s, uint64_t offset, struct varve_format_entry *entry,
                       enum varve_found *ret_found, bool *ret_valid)
{
    const struct varve_format *f = s->format;
    uint64_t left = s->source.file_bytes - offset;
    size_t have = vv_min_u64(left, f->head_bytes);
    const uint8_t *bytes = s->window;
    int rc = have > 0 ? look(s, offset, have, &bytes) : 0;

    *ret_valid = false;
    if (rc < 0)
        return rc;
    *ret_found = vv_format_head(f, bytes, have, left, entry);
    if (*ret_found != VARVE_FOUND_RECORD || entry->head_broken || entry->version_unknown)
        return 0;
    if (entry->bytes > DIRECT_BYTES)
        return check_whole(s, offset, entry, ret_valid);
    have = (size_t)entry->bytes;
    rc = look(s, offset, have, &bytes);
    if (rc >= 0)
        *ret_valid = vv_format_decode(f, bytes, have, left, entry) == VARVE_FOUND_RECORD;
    return rc;
}

/* -- scanning -- */

/* Copies what comes at `offset` into the window. */
static int fill(struct vv_format_search *s, uint64_t offset)
{
    size_t want = vv_min_u64(s->source.file_bytes - offset, sizeof s->window);
    const uint8_t *bytes;
    int rc = s->source.read(s->source.arg, offset, want, &bytes);

    s->window_bytes = 0;
    if (rc < 0)
        return rc;
    memcpy(s->window, bytes, want);
    s->window_at = offset;
    s->window_bytes = want;
    return 0;
}

/* Where zeros begin no record, there is no need to look at each of them: the first offset that can. */
static uint64_t pass_zeros(const struct vv_format_search *s, uint64_t offset)
{
    const uint8_t *at = s->window + (offset - s->window_at);
    const uint8_t *end = s->window + s->window_bytes, *nonzero = at;

    if (!(s->format->traits & VARVE_FORMAT_FIXED))
        return offset;
    while (end - nonzero >= 8 && vv_get_u64(nonzero) == 0)
        nonzero += 8;
    while (nonzero < end && *nonzero == 0)
        nonzero++;
    return nonzero - at < 8 ? offset : offset + (uint64_t)(nonzero - at) - 7;
}

/* The first valid record at `offset` or behind it. VARVE_END: there is none. */
static int scan(struct vv_format_search *s, uint64_t offset, struct varve_format_entry *entry,
                uint64_t *ret_offset)
{
    enum varve_found found;
    bool valid = false;
    int rc = 0;

    while (offset < s->source.file_bytes) {
        uint64_t window_end = s->window_at + s->window_bytes;

        if (offset < s->window_at || offset + VARVE_FORMAT_HEAD_MAX > window_end) {
            if (window_end < s->source.file_bytes || offset < s->window_at || offset >= window_end)
                rc = fill(s, offset);
        }
        if (rc < 0)
            return rc;
        offset = pass_zeros(s, offset);
        rc = look_record(s, offset, entry, &found, &valid);
        if (rc < 0)
            return rc;
        if (valid) {
            *ret_offset = offset;
            return 0;
        }
        offset++;
    }
    return VARVE_END;
}

int vv_format_search_next(struct vv_format_search *s, uint64_t from, uint64_t *ret_offset)
{
    struct varve_format_entry entry;

    if (from >= s->source.file_bytes)
        return VARVE_END;
    vv_spans_begin(&s->spans, from);
    return scan(s, from, &entry, ret_offset);
}

/* -- runs of records -- */

static uint64_t *bucket_of(struct vv_format_search *s, uint64_t offset)
{
    return s->dead[(offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

/* Whether a run that is known not to reach the end goes on at this offset. */
static bool is_dead(struct vv_format_search *s, uint64_t offset)
{
    const uint64_t *bucket = bucket_of(s, offset);

    for (unsigned i = 0; i < WAYS; i++) {
        if (bucket[i] == offset)
            return true;
    }
    return false;
}

/* Remembers that, in the place of one that the scan has passed. */
static void set_dead(struct vv_format_search *s, uint64_t offset, uint64_t scanned)
{
    uint64_t *bucket = bucket_of(s, offset);

    if (is_dead(s, offset))
        return;
    for (unsigned i = 0; i < WAYS; i++) {
        if (bucket[i] <= scanned) {
            bucket[i] = offset;
            return;
        }
    }
}

/* Whether all bytes from `offset` to the end of the file are zero. */
static int zero_to_end(struct vv_format_search *s, uint64_t offset, bool *ret_zero)
{
    if (s->zeros_from == UINT64_MAX) {
        uint64_t at = s->source.file_bytes;

        while (at > 0) {
            size_t len = vv_min_u64(at, VV_SPANS_READ);
            const uint8_t *bytes;
            int rc = s->source.read(s->source.arg, at - len, len, &bytes);

            if (rc < 0)
                return rc;
            if (!vv_is_zero(bytes, len)) {
                while (bytes[len - 1] == 0) {
                    len--;
                    at--;
                }
                break;
            }
            at -= len;
        }
        s->zeros_from = at;
    }
    *ret_zero = offset >= s->zeros_from;
    return 0;
}

/* Follows the records from `offset` on. *ret_end: they go on to exactly the end. */
static int follow(struct vv_format_search *s, uint64_t offset, bool *ret_end)
{
    struct varve_format_entry entry;
    enum varve_found found;
    bool valid = true;

    *ret_end = false;
    while (!is_dead(s, offset)) {
        int rc;

        if (s->steps_left == 0) {
            s->exhausted = true;
            return 0;
        }
        s->steps_left--;
        rc = look_record(s, offset, &entry, &found, &valid);
        if (rc < 0)
            return rc;
        if (found == VARVE_FOUND_END) {
            *ret_end = true;
            return 0;
        }
        if (found == VARVE_FOUND_ZEROS)
            return zero_to_end(s, offset, ret_end);
        if (!valid)
            return 0;
        offset += entry.bytes;
    }
    return 0;
}

/* -- the judgement -- */

/* The first record behind `offset` that is evidence; VARVE_END: there is none. */
static int find_evidence(struct vv_format_search *s, uint64_t offset, uint64_t claimed, uint64_t *ret_offset)
{
    struct varve_format_entry entry;
    uint64_t at = offset;
    enum varve_found found;
    bool valid = false, to_end;
    int rc = 0;

    if (claimed != 0 && claimed < s->source.file_bytes) {
        rc = look_record(s, claimed, &entry, &found, &valid);
        *ret_offset = claimed;
        if (rc < 0 || valid)
            return rc;
    }
    for (;;) {
        rc = scan(s, at + 1, &entry, &at);
        if (rc != 0)
            return rc;
        *ret_offset = at;
        if (claimed != 0 && at >= claimed)
            return 0;
        if (!is_dead(s, at)) {
            rc = follow(s, at + entry.bytes, &to_end);
            if (rc < 0 || to_end)
                return rc;
        }
        if (s->exhausted)
            return 0;
        set_dead(s, at + entry.bytes, at);
    }
}

/* Whether a whole block between the two reads as zeros. */
static int has_zero_block(struct vv_format_search *s, uint64_t from, uint64_t to, bool *ret_zero)
{
    *ret_zero = false;
    from = vv_round_up(from, BLOCK_BYTES);
    while (from + BLOCK_BYTES <= to) {
        size_t len = vv_min_u64(vv_round_down(to - from, BLOCK_BYTES), VV_SPANS_READ);
        const uint8_t *bytes;
        int rc = s->source.read(s->source.arg, from, len, &bytes);

        if (rc < 0)
            return rc;
        for (size_t at = 0; at < len; at += BLOCK_BYTES) {
            if (vv_is_zero(bytes + at, BLOCK_BYTES)) {
                *ret_zero = true;
                return 0;
            }
        }
        from += len;
    }
    return 0;
}

/* Counts the valid records from `offset` on, over further breaks too. */
static int count_beyond(struct vv_format_search *s, uint64_t offset, uint64_t *ret_count)
{
    struct varve_format_entry entry;
    enum varve_found found;
    bool valid;
    int rc = 0;

    while (rc == 0) {
        rc = look_record(s, offset, &entry, &found, &valid);
        if (rc == 0 && !valid && offset < s->source.file_bytes) {
            rc = scan(s, offset + 1, &entry, &offset);
            valid = rc == 0;
        }
        if (rc == 0 && !valid)
            break;
        if (rc == 0) {
            ++*ret_count;
            offset += entry.bytes;
        }
    }
    return rc < 0 ? rc : 0;
}

int vv_format_judge(struct vv_format_search *s, uint64_t offset, bool last,
                    struct vv_format_judgement *ret_judgement)
{
    struct vv_format_judgement j = {.verdict = VARVE_VERDICT_CORRUPT};
    struct varve_format_entry entry;
    enum varve_found found;
    uint64_t claimed = 0;
    bool valid;
    int rc;

    assert(offset <= s->source.file_bytes);
    if (last) {
        vv_spans_begin(&s->spans, offset);
        rc = look_record(s, offset, &entry, &found, &valid);
        if (rc < 0)
            return rc;
        if (found == VARVE_FOUND_RECORD)
            claimed = offset + entry.bytes;
        rc = find_evidence(s, offset, claimed, &j.beyond);
        if (rc == VARVE_END)
            j.verdict = VARVE_VERDICT_TORN;
        else if (rc == 0)
            rc = has_zero_block(s, offset, j.beyond, &j.reordered);
        if (rc == 0)
            rc = count_beyond(s, j.beyond, &j.records_beyond);
        if (rc < 0)
            return rc;
    }
    if (j.verdict == VARVE_VERDICT_TORN)
        j.beyond = 0;
    *ret_judgement = j;
    return 0;
}
