/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded cursor. In: pieces, of which some may be empty. Out: fields, until the first error. */
#include "format/fb.h"

#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"

/* Stands at the next piece that is not empty. */
static void turn(struct vv_fb *fb)
{
    while (fb->here == 0 && fb->pieces > 0) {
        fb->at = fb->next->iov_base;
        fb->here = fb->next->iov_len;
        fb->next++;
        fb->pieces--;
    }
}

void vv_fb_init(struct vv_fb *fb, const struct iovec *pieces, int count)
{
    *fb = (struct vv_fb){.next = pieces, .pieces = count};
    for (int i = 0; i < count; i++)
        fb->left += pieces[i].iov_len;
    turn(fb);
}

void vv_fb_init_bytes(struct vv_fb *fb, const void *bytes, size_t len)
{
    *fb = (struct vv_fb){.at = bytes, .here = len, .left = len};
}

void vv_fb_fail(struct vv_fb *fb, const char *error)
{
    if (!fb->error)
        fb->error = error;
    fb->left = 0;
    fb->here = 0;
    fb->pieces = 0;
}

/* Whether `n` bytes are there; an error if not. */
static bool holds(struct vv_fb *fb, uint64_t n)
{
    if (n <= fb->left)
        return true;
    vv_fb_fail(fb, "the payload ends inside a field");
    return false;
}

/* Goes on by `n` bytes of this piece. */
static void pass(struct vv_fb *fb, size_t n)
{
    fb->at += n;
    fb->here -= n;
    fb->left -= n;
    if (fb->here == 0)
        turn(fb);
}

void vv_fb_copy(struct vv_fb *fb, void *out, size_t n)
{
    uint8_t *to = out;

    if (!holds(fb, n)) {
        memset(out, 0, n);
        return;
    }
    while (n > 0) {
        size_t some = vv_min_u64(n, fb->here);

        memcpy(to, fb->at, some);
        pass(fb, some);
        to += some;
        n -= some;
    }
}

uint8_t vv_fb_u8(struct vv_fb *fb)
{
    uint8_t v;

    vv_fb_copy(fb, &v, sizeof v);
    return v;
}

uint32_t vv_fb_u32(struct vv_fb *fb)
{
    uint8_t v[4];

    vv_fb_copy(fb, v, sizeof v);
    return vv_get_u32(v);
}

uint64_t vv_fb_u64(struct vv_fb *fb)
{
    uint8_t v[8];

    vv_fb_copy(fb, v, sizeof v);
    return vv_get_u64(v);
}

/* Bytes of nothing are somewhere all the same: a caller may hand them to memcpy. */
static const uint8_t nowhere[1];

static const uint8_t *walk(struct vv_fb *fb, uint64_t n, struct vv_utf8 *text)
{
    const uint8_t *at;

    if (!holds(fb, n))
        return NULL;
    if (n == 0)
        return fb->here > 0 ? fb->at : nowhere;
    at = fb->here >= n ? fb->at : NULL;
    while (n > 0) {
        size_t some = vv_min_u64(n, fb->here);

        if (text && !vv_utf8_feed(text, fb->at, some)) {
            vv_fb_fail(fb, "a text is not UTF-8");
            return NULL;
        }
        pass(fb, some);
        n -= some;
    }
    return at;
}

const uint8_t *vv_fb_bytes(struct vv_fb *fb, uint64_t n)
{
    return walk(fb, n, NULL);
}

const uint8_t *vv_fb_text(struct vv_fb *fb, uint64_t n)
{
    struct vv_utf8 text = {0};
    const uint8_t *at = walk(fb, n, &text);

    if (!fb->error && !vv_utf8_whole(&text)) {
        vv_fb_fail(fb, "a text is not UTF-8");
        return NULL;
    }
    return at;
}

uint64_t vv_fb_count(struct vv_fb *fb, uint64_t count, uint64_t each)
{
    if (count <= fb->left / each)
        return count;
    vv_fb_fail(fb, "a count of more than there is");
    return 0;
}

bool vv_fb_end(struct vv_fb *fb)
{
    if (fb->left > 0)
        vv_fb_fail(fb, "bytes are left behind the last field");
    return fb->error == NULL;
}
