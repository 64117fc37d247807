/* SPDX-License-Identifier: Apache-2.0 */
/* options: what the caller gave -> what is in force. */
#include "log/options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/format.h"
#include "format/frame.h"
#include "format/record.h"
#include "format/segment.h"
#include "log/plain.h"
#include "varve/codec.h"
#include "varve/io.h"

#define MIB (UINT64_C(1) << 20)

static int check_range(const char *name, uint64_t value, uint64_t min, uint64_t max,
                       struct varve_error *ret_error)
{
    if (value >= min && value <= max)
        return 0;
    return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                        "option %s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, name, value, min,
                        max);
}

static int copy(const struct varve_options *options, struct varve_options *o, struct varve_error *ret_error)
{
    const uint8_t *bytes = (const uint8_t *)options;

    memset(o, 0, sizeof *o);
    o->size = sizeof *o;
    if (!options)
        return 0;
    if (options->size < sizeof options->size)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "options.size is %zu; set it to sizeof(struct varve_options)", options->size);
    if (options->size > sizeof *o && !vv_is_zero(bytes + sizeof *o, options->size - sizeof *o))
        return vv_error_set(
            ret_error, VARVE_E_INVALID, 0,
            "options has fields that are set and that this version of the library does not know");
    memcpy(o, options, vv_min_u64(options->size, sizeof *o));
    o->size = sizeof *o;
    return 0;
}

void vv_options_copy(const struct varve_options *options, struct varve_options *ret_options)
{
    (void)copy(options, ret_options, NULL);
}

static int check_enums(const struct varve_options *o, struct varve_error *ret_error)
{
    const uint32_t known =
        VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST | VARVE_OPEN_MUST_CREATE | VARVE_OPEN_TIMES;
    const struct {
        const char *name;
        unsigned value, max;
    } enums[] = {
        {"durability", o->durability, VARVE_STRICT},
        {"backend", o->backend, VARVE_BACKEND_MMAP},
        {"policy", o->policy, VARVE_POLICY_SKIP},
        {"backpressure", o->backpressure, VARVE_BACKPRESSURE_FAIL},
        {"check", o->check, VARVE_CHECK_TAIL},
        {"message_level", o->message_level, VARVE_MESSAGE_OFF},
    };

    for (size_t i = 0; i < sizeof enums / sizeof *enums; i++) {
        if (enums[i].value > enums[i].max)
            return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option %s: %u is not one of its values",
                                enums[i].name, enums[i].value);
    }
    if (o->flags & ~known)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option flags: %#" PRIx32 " has unknown bits",
                            o->flags);
    if (o->codec && strnlen(o->codec, VARVE_CODEC_NAME_BYTES) >= VARVE_CODEC_NAME_BYTES)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "option codec: not a name of a codec");
    if ((o->flags & VARVE_OPEN_MUST_CREATE) && (o->flags & (VARVE_OPEN_MUST_EXIST | VARVE_OPEN_READ_ONLY)))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option flags: MUST_CREATE contradicts the others");
    return 0;
}

static void fill_simple(struct varve_options *o, const struct varve_format *format)
{
    if (o->durability == VARVE_DURABILITY_DEFAULT)
        o->durability = format->durability ? format->durability : VARVE_GROUP;
    if (o->policy == VARVE_POLICY_DEFAULT)
        o->policy = VARVE_POLICY_TRUNCATE;
    if (o->segment_bytes == 0)
        o->segment_bytes = format->segment_default;
    if (o->slot_count == 0)
        o->slot_count = 16;
    if (o->sync_interval_ms == 0)
        o->sync_interval_ms = 100;
    if (o->backpressure_ms == 0)
        o->backpressure_ms = 1000;
    if (o->mark_idle_ms == 0)
        o->mark_idle_ms = 50;
    if (o->spare_segments == 0)
        o->spare_segments = 2;
    if (o->retry_count == 0)
        o->retry_count = 8;
    if (o->retry_first_ms == 0)
        o->retry_first_ms = 1;
    if (o->durability == VARVE_STRICT)
        o->writes_in_flight = 1; /* one at a time is what this mode is about */
    if (o->writes_in_flight == 0)
        o->writes_in_flight = sysconf(_SC_NPROCESSORS_ONLN) <= 2 ? 1 : 2;
    if (o->stall_ms == 0)
        o->stall_ms = 1000;
    if (o->slow_sync_ms == 0)
        o->slow_sync_ms = 500;
    if (o->breaker_failures == 0)
        o->breaker_failures = 8;
    if (o->breaker_first_ms == 0)
        o->breaker_first_ms = 100;
    if (o->breaker_max_ms == 0)
        o->breaker_max_ms = o->breaker_first_ms > 5000 ? o->breaker_first_ms : 5000;
    if (o->health_recent_ms == 0)
        o->health_recent_ms = 10000;
    if (o->message_level == VARVE_MESSAGE_DEFAULT)
        o->message_level = VARVE_MESSAGE_INFO;
    if (!o->io)
        o->io = varve_io_system();
}

static int check_numbers(const struct varve_options *o, const struct varve_format *format,
                         struct varve_error *ret_error)
{
    const struct {
        const char *name;
        uint64_t value, min, max;
    } numbers[] = {
        {"segment_bytes", o->segment_bytes, format->segment_min, format->segment_max},
        {"record_max", o->record_max, 0, VV_RECORD_PAYLOAD_MAX},
        {"slot_bytes", o->slot_bytes ? o->slot_bytes : 4096, 4096, 64 * MIB},
        {"slot_count", o->slot_count, 4, 256},
        {"sector_bytes", o->sector_bytes ? o->sector_bytes : 512, VV_SECTOR_BYTES_MIN, VV_SECTOR_BYTES_MAX},
        {"writes_in_flight", o->writes_in_flight, 1, o->slot_count / 2},
        {"group_wait_us", o->group_wait_us, 0, 1000000},
        {"sync_interval_ms", o->sync_interval_ms, 1, 3600000},
        {"backpressure_ms", o->backpressure_ms, 1, 86400000},
        {"retry_count", o->retry_count, 1, 1000},
        {"retry_first_ms", o->retry_first_ms, 1, 60000},
        {"breaker_first_ms", o->breaker_first_ms, 1, 3600000},
        {"breaker_max_ms", o->breaker_max_ms, o->breaker_first_ms, 3600000},
        {"health_recent_ms", o->health_recent_ms, 1, 86400000},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int rc = check_range(numbers[i].name, numbers[i].value, numbers[i].min, numbers[i].max, ret_error);

        if (rc != 0)
            return rc;
    }
    if ((format->traits & VARVE_FORMAT_NATIVE) && o->segment_bytes % VV_SEGMENT_HEADER_BYTES != 0)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option segment_bytes: %" PRIu64 " is not a multiple of %u", o->segment_bytes,
                            VV_SEGMENT_HEADER_BYTES);
    if (o->sector_bytes && !vv_is_power_of_two(o->sector_bytes))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option sector_bytes: %" PRIu32 " is not a power of two", o->sector_bytes);
    if (!vv_is_power_of_two(o->slot_count))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option slot_count: %" PRIu32 " is not a power of two", o->slot_count);
    if (o->slot_bytes % 4096 != 0)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option slot_bytes: %" PRIu32 " is not a multiple of 4096", o->slot_bytes);
    return 0;
}

/* What the options ask for that a format of others does not have: a caller who sets it means it. */
static int refuse_plain(const struct varve_options *o, const struct varve_format *f, struct varve_error *e)
{
    const struct {
        const char *name;
        bool set;
    } native[] = {
        {"sector_bytes", o->sector_bytes != 0},
        {"mark_idle_ms", o->mark_idle_ms != 0 && o->mark_idle_ms != UINT32_MAX},
        {"spare_segments", o->spare_segments != 0 && o->spare_segments != UINT32_MAX},
        {"failover_dir", o->failover_dir && *o->failover_dir},
    };

    for (size_t i = 0; i < sizeof native / sizeof *native; i++) {
        if (native[i].set)
            return vv_error_set(e, VARVE_E_UNSUPPORTED, 0, "option %s: the format %s has nothing of the kind",
                                native[i].name, f->name);
    }
    if (o->backend == VARVE_BACKEND_DIRECT)
        return vv_error_set(
            e, VARVE_E_UNSUPPORTED, 0,
            "option backend: records of the format %s are not aligned to sectors; possible %s", f->name,
            f->traits & VARVE_FORMAT_FIXED ? "are buffered and mmap" : "is buffered");
    if (o->backend == VARVE_BACKEND_MMAP && !(f->traits & VARVE_FORMAT_FIXED))
        return vv_error_set(e, VARVE_E_UNSUPPORTED, 0,
                            "option backend: files of the format %s grow, and mmap wants a fixed size",
                            f->name);
    if (o->durability != VARVE_DURABILITY_DEFAULT && o->durability < f->durability)
        return vv_error_set(e, VARVE_E_INVALID, 0,
                            "option durability: the format %s syncs every record, that is strict", f->name);
    if (o->codec && strcmp(o->codec, "identity") != 0)
        return vv_error_set(e, f->carries & VARVE_FIELD_CODEC ? VARVE_E_CODEC : VARVE_E_UNSUPPORTED, 0,
                            "option codec: %s, and the format %s stores payloads as they are", o->codec,
                            f->name);
    return 0;
}

/* Rules that keep more than the cap allows would end in a log that is full for good. */
static bool cap_holds(const struct varve_options *o, const struct varve_format *format)
{
    uint64_t segments = o->max_log_bytes / o->segment_bytes;

    if (format->layout == VARVE_LAYOUT_ONE_FILE)
        return true;

    return segments >= 3 && (o->keep_segments == 0 || o->keep_segments <= segments - 2) &&
           o->keep_bytes <= (segments - 2) * o->segment_bytes;
}

static int fill_bounds(struct varve_options *o, const struct varve_format *format, uint64_t record_room,
                       struct varve_error *ret_error)
{
    if (o->record_max == 0)
        o->record_max = vv_min_u64(64 * MIB, record_room);
    if (o->record_max > record_room)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option record_max: a segment of %" PRIu64 " bytes holds a record of %" PRIu64
                            " at most, not of %" PRIu64,
                            o->segment_bytes, record_room, o->record_max);
    if (o->max_log_bytes != 0 && !cap_holds(o, format))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "option max_log_bytes: %" PRIu64 " is less than three segments of %" PRIu64
                            " bytes, or than two more than keep_segments and keep_bytes ask for",
                            o->max_log_bytes, o->segment_bytes);
    if (o->sync_bytes == 0)
        o->sync_bytes = vv_min_u64(4 * MIB, (uint64_t)o->slot_bytes * o->slot_count / 2);
    return check_range("sync_bytes", o->sync_bytes, 4096, (uint64_t)o->slot_bytes * o->slot_count / 2,
                       ret_error);
}

/* Sizes that hang together: all slots fit into a segment, so that one segment that is ready is enough for
 * whatever is on its way. */
static int fill_sizes(struct varve_options *o, const struct varve_format *format,
                      struct varve_error *ret_error)
{
    uint64_t room = o->segment_bytes - VV_SEGMENT_HEADER_BYTES, ring_max = room / o->slot_count;
    uint64_t record_room =
        room - VV_SECTOR_BYTES_MAX - VV_FRAME_HEADER_BYTES - VV_RECORD_HEADER_BYTES - VV_RECORD_TXN_BYTES;

    if (o->slot_bytes == 0) {
        o->slot_bytes = MIB;
        while (o->slot_bytes > ring_max && o->slot_bytes > 4096)
            o->slot_bytes /= 2;
    }
    if (o->slot_bytes > ring_max)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "options slot_count and slot_bytes: %" PRIu32 " slots of %" PRIu32
                            " bytes do not fit into a segment of %" PRIu64,
                            o->slot_count, o->slot_bytes, o->segment_bytes);
    return fill_bounds(o, format, record_room, ret_error);
}

/* The same in formats of others. Where files are small, slots are not filled: vv_open_slots sees to that. */
static int fill_plain_sizes(struct varve_options *o, const struct varve_format *format,
                            struct varve_error *ret_error)
{
    uint64_t record_room = vv_min_u64(vv_format_payload_room(format, o->segment_bytes), format->payload_max);

    if (o->slot_bytes == 0) {
        o->slot_bytes = MIB;
        while ((format->traits & VARVE_FORMAT_FIXED) && o->slot_bytes > 4096 &&
               o->slot_bytes > o->segment_bytes / 2 / o->slot_count)
            o->slot_bytes /= 2;
    }
    o->mark_idle_ms = o->spare_segments = UINT32_MAX;
    o->writes_in_flight = 1;
    if (o->backend == VARVE_BACKEND_AUTO)
        o->backend = VARVE_BACKEND_BUFFERED;
    return fill_bounds(o, format, vv_min_u64(record_room, VV_RECORD_PAYLOAD_MAX), ret_error);
}

int vv_options_fill(const struct varve_options *options, struct varve_options *ret_options,
                    struct varve_error *ret_error)
{
    const struct varve_format *format;
    struct varve_options o;
    bool plain;
    int rc = copy(options, &o, ret_error);

    if (rc == 0)
        rc = check_enums(&o, ret_error);
    if (rc != 0)
        return rc;
    rc = vv_plain_named(o.format ? o.format : "varve", &format, ret_error);
    if (rc != 0)
        return rc;
    plain = !(format->traits & VARVE_FORMAT_NATIVE);
    rc = plain ? refuse_plain(&o, format, ret_error) : 0;
    if (rc != 0)
        return rc;
    fill_simple(&o, format);
    rc = check_numbers(&o, format, ret_error);
    if (rc == 0)
        rc = plain ? fill_plain_sizes(&o, format, ret_error) : fill_sizes(&o, format, ret_error);
    if (rc == 0)
        *ret_options = o;
    return rc;
}
