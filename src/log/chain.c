/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain: the directory -> the segments in order.
 *
 * In: a directory. Out: links. Next: scan (one segment), walk (all of them).
 */
#include "log/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/tooth.h"
#include "codec/codec.h"
#include "log/manifest.h"
#include "log/prepare.h"

struct listing {
    struct vv_chain *chain;
    uint64_t *numbers;
    size_t count, room;
    uint64_t spares, bytes;
};

static int see_name(void *arg, const char *name)
{
    struct listing *l = arg;
    struct varve_io_stat stat;
    uint64_t number;

    if (l->chain->io->stat_name(l->chain->io, l->chain->dir, name, &stat) == 0 &&
        stat.kind == VARVE_IO_KIND_FILE)
        l->bytes += stat.size_bytes;
    if (vv_prepare_is_spare(name)) {
        l->spares++;
        return 0;
    }
    if (!vv_segment_name_parse(name, &number))
        return 0;
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        uint64_t *numbers = vv_realloc(l->numbers, room * sizeof *numbers);

        if (!numbers)
            return -ENOMEM;
        l->numbers = numbers;
        l->room = room;
    }
    l->numbers[l->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static ssize_t read_full(struct varve_io *io, struct varve_file *file, uint8_t *buf, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = io->pread(io, file, buf + got, len - got, got);

        if (n == -EINTR)
            continue;
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static enum vv_link_state judge(const struct vv_chain *chain, enum vv_segment_status status,
                                const struct vv_link *link)
{
    switch (status) {
    case VV_SEGMENT_BLANK:
        return VV_LINK_BLANK;
    case VV_SEGMENT_BAD:
        return VV_LINK_BAD;
    case VV_SEGMENT_NEWER:
    case VV_SEGMENT_FLAGGED:
        return VV_LINK_UNKNOWN;
    case VV_SEGMENT_OK:
        break;
    }
    if (memcmp(link->header.uuid, chain->manifest.uuid, VV_UUID_BYTES) != 0)
        return VV_LINK_FOREIGN;
    /* A file that was asked for by its name may be a copy under any name. */
    return link->header.number == link->number || chain->only_name[0] ? VV_LINK_SOUND : VV_LINK_BAD;
}

int vv_chain_open_file(struct varve_io *io, struct varve_dir *dir, const char *name,
                       struct varve_file **ret_file, struct varve_error *ret_error)
{
    int rc = io->open(io, dir, name, VARVE_IO_READ, ret_file);
    struct varve_io_stat stat;

    if (rc == -ENOENT && io->stat_name(io, dir, name, &stat) == -ENOENT)
        return VARVE_E_NOT_FOUND;
    if (rc == -ELOOP || rc == -EMEDIUMTYPE)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "%s: not a regular file", name);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", name);
    return 0;
}

struct vv_link vv_chain_guess(const struct vv_link *link)
{
    struct vv_link guess = *link;
    uint32_t sector = link->header.sector_bytes;

    if (link->state == VV_LINK_BLANK || sector < VV_SECTOR_BYTES_MIN || sector > VV_SECTOR_BYTES_MAX ||
        !vv_is_power_of_two(sector))
        guess.header.sector_bytes = VV_SECTOR_BYTES_MIN;
    guess.header.capacity = link->file_bytes;
    return guess;
}

static void guess_codec(struct vv_manifest *m, uint32_t codec)
{
    memset(m->codec_name, 0, sizeof m->codec_name);
    m->codec = codec;
    if (codec != 0)
        snprintf(m->codec_name, sizeof m->codec_name, "%s", varve_codec_name(codec));
}

/* Reads one header into `link`. 1: the file is gone again. */
static int read_link(struct vv_chain *chain, struct vv_link *link, struct varve_error *ret_error)
{
    uint8_t bytes[VV_SEGMENT_HEADER_BYTES];
    char name[VV_SEGMENT_NAME_BYTES];
    struct varve_io *io = chain->io;
    struct varve_io_stat stat;
    struct varve_file *file;
    ssize_t n;
    int rc;

    vv_segment_name(link->number, name);
    rc = vv_chain_open_file(io, chain->dir, chain->only_name[0] ? chain->only_name : name, &file, ret_error);
    if (rc != 0)
        return rc == VARVE_E_NOT_FOUND ? 1 : rc;
    rc = io->stat(io, file, &stat);
    n = rc == 0 ? read_full(io, file, bytes, sizeof bytes) : rc;
    /* Else what could not be read would look like a segment that was never used. */
    if (n >= 0 && (uint64_t)n < vv_min_u64(sizeof bytes, stat.size_bytes))
        n = -EIO;
    io->close(io, file);
    if (n < 0)
        return vv_error_set(ret_error, VARVE_E_IO, (int)-n, "%s: its header cannot be read", name);
    link->file_bytes = stat.size_bytes;
    /* Without MANIFEST the first sound segment says whose log this is. */
    enum vv_segment_status status = vv_segment_decode(bytes, (size_t)n, &link->header);
    if (status == VV_SEGMENT_OK && chain->manifest_rc != 0 && chain->manifest.first_lsn == 0) {
        memcpy(chain->manifest.uuid, link->header.uuid, VV_UUID_BYTES);
        chain->manifest.created_us = link->header.created_us;
        chain->manifest.first_segment = link->number;
        chain->manifest.first_lsn = link->header.base_lsn;
    }
    /* The last one says with what it was written: a log that is encrypted must not go on in the clear because
     * MANIFEST is gone. */
    if (status == VV_SEGMENT_OK && chain->manifest_rc != 0)
        guess_codec(&chain->manifest, link->header.codec);
    link->state = judge(chain, status, link);
    return 0;
}

static int take_manifest(struct vv_chain *chain)
{
    struct vv_manifest manifest;

    vv_error_clear(&chain->manifest_error);
    chain->manifest_rc = vv_manifest_read(chain->io, chain->dir, &manifest, &chain->manifest_error);
    if (chain->manifest_rc == 0)
        chain->manifest = manifest;
    return chain->manifest_rc == VARVE_E_IO || chain->manifest_rc == VARVE_E_NOMEM ||
                   chain->manifest_rc == VARVE_E_NOT_REGULAR
               ? chain->manifest_rc
               : 0;
}

static void set_ends(struct vv_chain *chain)
{
    uint64_t end = UINT64_MAX;

    for (size_t i = chain->count; i-- > 0;) {
        struct vv_link *link = &chain->links[i];

        link->end_lsn = end;
        if (link->state == VV_LINK_SOUND && link->header.base_lsn < end && !VV_TOOTH(EARLIER_SEGMENT_WINS))
            end = link->header.base_lsn;
    }
}

/* Puts the listed segments into links, keeping what is known of sound ones. */
static int fill(struct vv_chain *chain, const struct listing *l, struct varve_error *ret_error)
{
    struct vv_link *links = vv_alloc_array(l->count + 1, sizeof *links);
    size_t count = 0, old = 0;

    if (!links)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%zu segments", l->count);
    chain->stale = 0;
    for (size_t i = 0; i < l->count; i++) {
        struct vv_link *link = &links[count];
        int rc = 0;

        if (chain->manifest_rc == 0 && l->numbers[i] < chain->manifest.first_segment) {
            chain->stale++;
            continue;
        }
        while (old < chain->count && chain->links[old].number < l->numbers[i])
            old++;
        if (old < chain->count && chain->links[old].number == l->numbers[i] &&
            chain->links[old].state == VV_LINK_SOUND) {
            *link = chain->links[old];
        } else {
            link->number = l->numbers[i];
            rc = read_link(chain, link, ret_error);
        }
        if (rc < 0) {
            vv_free(links);
            return rc;
        }
        if (rc == 0)
            count++;
    }
    vv_free(chain->links);
    chain->links = links;
    chain->count = count;
    chain->spares = l->spares;
    chain->disk_bytes = l->bytes;
    set_ends(chain);
    return 0;
}

int vv_chain_reload(struct vv_chain *chain, struct varve_error *ret_error)
{
    struct listing l = {.chain = chain};
    int rc;

    rc = take_manifest(chain);
    if (rc != 0) {
        vv_error_copy(ret_error, &chain->manifest_error);
        return rc;
    }
    rc = chain->io->dir_list(chain->io, chain->dir, see_name, &l);
    if (rc == -ENOMEM)
        rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "listing the directory");
    else if (rc < 0)
        rc = vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory cannot be listed");
    if (rc == 0) {
        if (l.count > 0)
            qsort(l.numbers, l.count, sizeof *l.numbers, by_number);
        rc = fill(chain, &l, ret_error);
    }
    vv_free(l.numbers);
    return rc;
}

bool vv_chain_at_rest(const struct vv_chain *chain, size_t index)
{
    char name[VV_SEGMENT_NAME_BYTES];

    if (index + 1 >= chain->count) {
        struct varve_io_stat stat;

        vv_segment_name(chain->links[index].number + 1, name);
        return chain->io->stat_name(chain->io, chain->dir, name, &stat) == -ENOENT;
    }
    for (size_t i = index + 1; i < chain->count; i++) {
        uint8_t bytes[VV_SEGMENT_HEADER_BYTES];
        struct vv_segment_header header;
        struct varve_file *file;
        ssize_t n;

        vv_segment_name(chain->links[i].number, name);
        if (chain->links[i].state != VV_LINK_BLANK ||
            vv_chain_open_file(chain->io, chain->dir, name, &file, NULL) != 0)
            return false;
        n = read_full(chain->io, file, bytes, sizeof bytes);
        chain->io->close(chain->io, file);
        if (n < 0 || vv_segment_decode(bytes, (size_t)n, &header) != VV_SEGMENT_BLANK)
            return false;
    }
    return true;
}

int vv_chain_load(struct vv_chain *chain, struct varve_io *io, struct varve_dir *dir,
                  struct varve_error *ret_error)
{
    int rc;

    memset(chain, 0, sizeof *chain);
    chain->io = io;
    chain->dir = dir;
    rc = vv_chain_reload(chain, ret_error);
    if (rc != 0)
        vv_chain_free(chain);
    return rc;
}

int vv_chain_load_file(struct vv_chain *chain, struct varve_io *io, struct varve_dir *dir, const char *name,
                       struct varve_error *ret_error)
{
    int rc;

    memset(chain, 0, sizeof *chain);
    chain->io = io;
    chain->dir = dir;
    chain->manifest_rc = VARVE_E_NOT_FOUND;
    if (strlen(name) >= sizeof chain->only_name)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "%s: the name is too long", name);
    memcpy(chain->only_name, name, strlen(name) + 1);
    chain->links = vv_alloc_array(1, sizeof *chain->links);
    if (!chain->links)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    chain->count = 1;
    rc = read_link(chain, chain->links, ret_error);
    if (rc == 1)
        rc = vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "%s: there is no such file", name);
    if (chain->links[0].state != VV_LINK_BAD || !vv_segment_name_parse(name, &chain->links[0].number))
        chain->links[0].number = chain->links[0].header.number;
    set_ends(chain);
    if (rc != 0)
        vv_chain_free(chain);
    return rc;
}

void vv_chain_free(struct vv_chain *chain)
{
    vv_free(chain->links);
    chain->links = NULL;
    chain->count = 0;
}

int vv_chain_refuse(const struct vv_chain *chain, struct varve_error *ret_error)
{
    char name[VV_SEGMENT_NAME_BYTES];

    if (chain->manifest_rc == VARVE_E_VERSION) {
        vv_error_copy(ret_error, &chain->manifest_error);
        return VARVE_E_VERSION;
    }
    if (chain->manifest_rc == 0 && chain->manifest.incomplete)
        return vv_error_set(ret_error, VARVE_E_INCOMPLETE, 0,
                            "MANIFEST: a copy that was begun here was not finished");
    for (size_t i = 0; i < chain->count; i++) {
        const struct vv_link *link = &chain->links[i];

        vv_segment_name(link->number, name);
        if (link->state == VV_LINK_FOREIGN)
            return vv_error_set(ret_error, VARVE_E_FOREIGN, 0, "%s: belongs to another log", name);
        if (link->state == VV_LINK_UNKNOWN)
            return vv_error_set(ret_error, VARVE_E_VERSION, 0,
                                "%s: format version %" PRIu32 ", flags %#" PRIx32, name, link->header.version,
                                link->header.flags);
    }
    return 0;
}

int vv_chain_codecs(const struct vv_chain *chain, struct varve_error *ret_error)
{
    const struct vv_manifest *m = &chain->manifest;
    const struct varve_codec *codec = varve_codec_by_id(m->codec);
    char name[VV_SEGMENT_NAME_BYTES];

    /* An id that was registered means what MANIFEST says, and not what somebody else called by it. */
    if (!codec || (m->codec_name[0] && strcmp(codec->name, m->codec_name) != 0))
        return vv_error_set(ret_error, VARVE_E_CODEC, 0, "MANIFEST: there is no codec '%s' (%" PRIu32 ")",
                            m->codec_name, m->codec);
    for (size_t i = 0; i < chain->count; i++) {
        const struct vv_link *link = &chain->links[i];

        if (link->state != VV_LINK_SOUND || varve_codec_by_id(link->header.codec))
            continue;
        vv_segment_name(link->number, name);
        return vv_error_set(ret_error, VARVE_E_CODEC, 0, "%s: there is no codec '%s' (%" PRIu32 ")", name,
                            varve_codec_name(link->header.codec), link->header.codec);
    }
    return 0;
}

size_t vv_chain_find(const struct vv_chain *chain, uint64_t lsn)
{
    size_t first = chain->count;

    for (size_t i = chain->count; i-- > 0;) {
        const struct vv_link *link = &chain->links[i];

        if (link->state != VV_LINK_SOUND)
            continue;
        first = i;
        if (link->header.base_lsn <= lsn)
            return i;
    }
    return first;
}
