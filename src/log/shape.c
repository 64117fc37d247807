/* SPDX-License-Identifier: Apache-2.0 */
/* shape: the writer knows its segments; a log that is open read-only looks at their headers. */
#include "log/shape.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "log/chain.h"
#include "log/plain_write.h"

static int load_own(struct varve_log *log, struct vv_shape *shape)
{
    struct vv_segment_fact *facts;
    size_t room = 0;

    /* The table may grow between the two looks, by a few segments at most. */
    do {
        pthread_mutex_lock(&log->segments_mutex);
        room = log->fact_count + 16;
        pthread_mutex_unlock(&log->segments_mutex);
        facts = vv_alloc_array(room, sizeof *facts);
        if (!facts)
            return VARVE_E_NOMEM;
        pthread_mutex_lock(&log->segments_mutex);
        shape->count = log->fact_count;
        if (shape->count <= room)
            memcpy(facts, log->facts, shape->count * sizeof *facts);
        pthread_mutex_unlock(&log->segments_mutex);
        if (shape->count > room)
            vv_free(facts);
    } while (shape->count > room);
    shape->facts = facts;
    shape->durable_lsn = atomic_load(&log->durable_lsn);
    shape->first_lsn = atomic_load(&log->first_lsn);
    if (shape->count > 0) {
        uint64_t bytes = facts[shape->count - 1].bytes, room_bytes = atomic_load(&log->room_bytes);

        shape->end_bytes = room_bytes < bytes ? bytes - room_bytes : bytes;
        if (log->plain)
            shape->end_bytes = atomic_load(&log->plain->writer->at);
        if (log->plain && !vv_plain_fixed(log))
            facts[shape->count - 1].bytes = shape->end_bytes;
    }
    return 0;
}

/* Open read-only, in a format of others: what opening found. Files behind a damage that it stopped at are not
 * among them. */
static int load_plain(const struct varve_log *log, struct vv_shape *shape, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = &log->plain->files;

    shape->facts = vv_alloc_array(files->count + 1, sizeof *shape->facts);
    if (!shape->facts)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%zu files", files->count);
    for (size_t i = 0; i < files->count; i++) {
        const struct vv_plain_file *item = &files->items[i];

        if (item->first_lsn != 0)
            shape->facts[shape->count++] = (struct vv_segment_fact){.number = item->number,
                                                                    .base_lsn = item->first_lsn,
                                                                    .bytes = item->bytes,
                                                                    .created_us = item->header.created_us};
    }
    shape->durable_lsn = atomic_load(&log->durable_lsn);
    shape->first_lsn = atomic_load(&log->first_lsn);
    shape->end_bytes = log->look_end_bytes;
    return 0;
}

static int load_other(struct varve_log *log, struct vv_shape *shape, struct varve_error *ret_error)
{
    struct vv_chain chain;
    int rc;

    if (log->plain)
        return load_plain(log, shape, ret_error);
    rc = vv_chain_load(&chain, log->io, log->dir, ret_error);
    if (rc != 0)
        return rc;
    shape->facts = vv_alloc_array(chain.count + 1, sizeof *shape->facts);
    if (!shape->facts) {
        vv_chain_free(&chain);
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%zu segments", chain.count);
    }
    for (size_t i = 0; i < chain.count; i++) {
        const struct vv_link *link = &chain.links[i];

        if (link->state == VV_LINK_SOUND)
            shape->facts[shape->count++] = (struct vv_segment_fact){.number = link->number,
                                                                    .base_lsn = link->header.base_lsn,
                                                                    .bytes = link->file_bytes,
                                                                    .created_us = link->header.created_us};
    }
    shape->durable_lsn = atomic_load(&log->durable_lsn);
    shape->first_lsn = chain.manifest.first_lsn ? chain.manifest.first_lsn : 1;
    shape->end_bytes = log->look_end_bytes;
    vv_chain_free(&chain);
    return 0;
}

int vv_shape_load(struct varve_log *log, struct vv_shape *ret_shape, struct varve_error *ret_error)
{
    struct vv_shape shape = {.count = 0};
    int rc = log->read_only ? load_other(log, &shape, ret_error) : load_own(log, &shape);

    if (rc == VARVE_E_NOMEM && !log->read_only)
        return vv_error_set(ret_error, rc, 0, "the list of segments");
    if (rc == 0)
        *ret_shape = shape;
    return rc;
}

void vv_shape_free(struct vv_shape *shape)
{
    vv_free(shape->facts);
    shape->facts = NULL;
}

uint64_t vv_shape_bytes_from(const struct vv_shape *shape, size_t index)
{
    uint64_t bytes = 0;

    for (size_t i = index; i < shape->count; i++)
        bytes += shape->facts[i].bytes;
    return bytes;
}

uint64_t vv_shape_bytes_behind(const struct vv_shape *shape, uint64_t number, uint64_t offset)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < shape->count; i++) {
        uint64_t used = i + 1 == shape->count ? shape->end_bytes : shape->facts[i].bytes;

        if (shape->facts[i].number > number)
            bytes += used;
        else if (shape->facts[i].number == number && used > offset)
            bytes += used - offset;
    }
    return bytes;
}
