/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group: a transaction's records.
 *
 * In: its bytes. Out: records under one id and origin, the last of which makes all of them count. Parts are
 * not waited for: the log is durable in the order of its LSNs, so whoever waits for the commit has waited for
 * them. A transaction whose end never comes is passed over by every reader.
 */
#include "txn/group.h"

#include <assert.h>
#include <string.h>

static int append(struct vv_group *group, enum vv_control_type type, const void *data, size_t bytes, int wait,
                  enum varve_durability durability, uint64_t *ret_lsn)
{
    struct varve_record record = {
        .data = data,
        .data_bytes = bytes,
        .type = (uint8_t)(group->type + type),
        .flags = VARVE_RECORD_TXN,
        .txn_id = group->id,
    };

    memcpy(record.origin, group->origin, sizeof record.origin);
    return wait ? varve_append_record(group->log, &record, durability, ret_lsn)
                : varve_append_async(group->log, &record, ret_lsn);
}

int vv_group_whole(struct vv_group *group, const void *data, size_t bytes, int wait,
                   enum varve_durability durability, uint64_t *ret_lsn)
{
    assert(!vv_group_is_begun(group));
    return append(group, VV_CONTROL_WHOLE, data, bytes, wait, durability, ret_lsn);
}

int vv_group_is_begun(struct vv_group *group)
{
    return atomic_load_explicit(&group->begin_lsn, memory_order_relaxed) != 0;
}

int vv_group_begin(struct vv_group *group)
{
    const struct vv_control control = {0};
    uint8_t payload[VV_CONTROL_BYTES_MAX];
    size_t bytes = vv_control_put(VV_CONTROL_BEGIN, &control, payload);
    uint64_t lsn;
    int rc;

    /* Before the record exists: who asks for the floor meanwhile gets one that is too low, never too high. */
    atomic_store(&group->begin_lsn, varve_last_lsn(group->log) + 1);
    rc = append(group, VV_CONTROL_BEGIN, payload, bytes, 0, VARVE_DURABILITY_DEFAULT, &lsn);
    atomic_store(&group->begin_lsn, rc ? 0 : lsn);
    return rc;
}

int vv_group_part(struct vv_group *group, const void *data, size_t bytes, uint64_t units)
{
    uint64_t lsn;
    int rc;

    assert(vv_group_is_begun(group));
    rc = append(group, VV_CONTROL_PART, data, bytes, 0, VARVE_DURABILITY_DEFAULT, &lsn);
    if (rc)
        return rc;
    group->parts++;
    group->units += units;
    group->bytes += bytes;
    return 0;
}

int vv_group_commit(struct vv_group *group, int wait, enum varve_durability durability, uint64_t *ret_lsn)
{
    const struct vv_control control = {
        .begin_lsn = atomic_load(&group->begin_lsn),
        .parts = group->parts,
        .units = group->units,
        .bytes = group->bytes,
    };
    uint8_t payload[VV_CONTROL_BYTES_MAX];
    size_t bytes = vv_control_put(VV_CONTROL_COMMIT, &control, payload);

    assert(vv_group_is_begun(group));
    return append(group, VV_CONTROL_COMMIT, payload, bytes, wait, durability, ret_lsn);
}

int vv_group_abort(struct vv_group *group, enum vv_abort_reason reason)
{
    const struct vv_control control = {.reason = reason, .begin_lsn = atomic_load(&group->begin_lsn)};
    uint8_t payload[VV_CONTROL_BYTES_MAX];
    size_t bytes = vv_control_put(VV_CONTROL_ABORT, &control, payload);
    uint64_t lsn;

    assert(vv_group_is_begun(group));
    return append(group, VV_CONTROL_ABORT, payload, bytes, 0, VARVE_DURABILITY_DEFAULT, &lsn);
}
