/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of stretches. The state of a CRC is a polynomial over GF(2), modulo the CRC's own; reading n more
 * bytes multiplies it by x^8n and adds what those bytes give alone. So for states R that began with 0:
 *
 *     R(from to to) = R(base to to) - R(base to from) * x^8(to - from)
 *
 * where minus is exclusive or; the CRC's start and end with all ones come in the same way. R(base to any) is
 * the nearest state that is kept and the few bytes behind it.
 */
#include "format/spans.h"

#include <assert.h>

#include "base/bytes.h"
#include "format/sum.h"

enum {
    SHIFT_MIN = 6,
    SHIFT_MAX = 12
};

#define COUNT_WANTED (UINT64_C(1) << 20)

/* Bit 31 is x^0: the lowest power first, as reflected CRCs have it. */
#define ONE UINT32_C(0x80000000)

static unsigned shift_for(uint64_t file_bytes)
{
    unsigned shift = SHIFT_MIN;

    while (shift < SHIFT_MAX && file_bytes >> shift > COUNT_WANTED)
        shift++;
    return shift;
}

size_t vv_spans_count(uint64_t file_bytes)
{
    return (size_t)(file_bytes >> shift_for(file_bytes)) + 2;
}

static uint32_t multiply(uint32_t polynomial, uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (; a != 0; a <<= 1) {
        product ^= b & (uint32_t)((int32_t)a >> 31);
        b = b >> 1 ^ (polynomial & (0 - (b & 1)));
    }
    return product;
}

/* `state` after n bytes of zeros. */
static uint32_t advance(const struct vv_spans *s, uint32_t state, uint64_t n)
{
    for (unsigned i = 0; n != 0; i++, n >>= 8) {
        if (n & 255)
            state = multiply(s->polynomial, state, s->powers[i][n & 255]);
    }
    return state;
}

void vv_spans_init(struct vv_spans *s, enum varve_format_sum kind, const struct vv_format_source *source,
                   uint32_t *sums)
{
    uint32_t unit;

    s->source = *source;
    s->kind = kind;
    s->polynomial = kind == VARVE_SUM_CRC32C ? UINT32_C(0x82f63b78) : UINT32_C(0xedb88320);
    s->shift = shift_for(source->file_bytes);
    s->sums = sums;
    s->base = s->known = 0;
    s->sums[0] = 0;
    unit = ONE >> 8;
    for (unsigned i = 0; i < sizeof s->powers / sizeof s->powers[0]; i++) {
        s->powers[i][0] = ONE;
        for (unsigned n = 1; n < 256; n++)
            s->powers[i][n] = multiply(s->polynomial, s->powers[i][n - 1], unit);
        unit = multiply(s->polynomial, s->powers[i][255], unit);
    }
}

/* The state of a CRC, without the ones at its start and end, after these bytes too. */
static uint32_t feed(const struct vv_spans *s, uint32_t state, const uint8_t *bytes, size_t n)
{
    return ~vv_sum(s->kind, ~state, bytes, n);
}

void vv_spans_begin(struct vv_spans *s, uint64_t offset)
{
    /* What is summed already stays of use; but there is no use in summing up what nobody asks for. */
    if (s->known == 0 || offset > s->base + (s->known << s->shift)) {
        s->base = offset;
        s->known = 0;
        s->sums[0] = 0;
    }
}

/* Makes sums[index] known. */
static int reach(struct vv_spans *s, uint64_t index)
{
    uint64_t stride = UINT64_C(1) << s->shift;

    while (s->known < index) {
        uint64_t want = vv_min_u64((index - s->known) << s->shift, VV_SPANS_READ);
        const uint8_t *bytes;
        int rc = s->source.read(s->source.arg, s->base + (s->known << s->shift), (size_t)want, &bytes);

        if (rc < 0)
            return rc;
        for (uint64_t done = 0; done < want; done += stride, s->known++)
            s->sums[s->known + 1] = feed(s, s->sums[s->known], bytes + done, stride);
    }
    return 0;
}

/* The state at `offset`. */
static int state_at(struct vv_spans *s, uint64_t offset, uint32_t *ret_state)
{
    uint64_t index = (offset - s->base) >> s->shift, start = s->base + (index << s->shift);
    const uint8_t *bytes;
    int rc = reach(s, index);

    *ret_state = s->sums[rc < 0 ? 0 : index];
    if (rc < 0 || offset == start)
        return rc;
    rc = s->source.read(s->source.arg, start, (size_t)(offset - start), &bytes);
    if (rc >= 0)
        *ret_state = feed(s, *ret_state, bytes, (size_t)(offset - start));
    return rc;
}

int vv_spans_sum(struct vv_spans *s, uint64_t from, uint64_t to, uint32_t *ret_sum)
{
    uint32_t before, whole;
    int rc;

    assert(from >= s->base && from <= to && to <= s->source.file_bytes);
    rc = state_at(s, from, &before);
    if (rc >= 0)
        rc = state_at(s, to, &whole);
    if (rc < 0)
        return rc;
    *ret_sum = ~(whole ^ advance(s, ~before, to - from));
    return 0;
}
