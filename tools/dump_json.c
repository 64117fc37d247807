/* SPDX-License-Identifier: Apache-2.0 */
/* varve dump --json: one object a line, "kind" first. */
#include "dump_says.h"
#include "json.h"

static void dump_json_begin(struct json *json, struct dump *dump, const char *kind)
{
    *json = (struct json){.out = &dump->out};
    json_object(json, NULL);
    json_string(json, "kind", kind);
    json_number(json, "segment", dump->segment);
}

static void dump_json_end(struct json *json)
{
    json_object_end(json);
    json_line_end(json);
}

void dump_json_segment(struct dump *dump, const struct varve_segment_info *segment)
{
    struct json json;

    dump_json_begin(&json, dump, "segment");
    json_string(&json, "name", segment->name);
    json_string(&json, "state", dump_segment_state(segment->state));
    json_number(&json, "file_bytes", segment->file_bytes);
    json_string(&json, "format", segment->format);
    if (segment->state != VARVE_SEGMENT_EMPTY && !dump_is_native(dump)) {
        if (dump_carries(dump, VARVE_FIELD_UUID))
            json_hex_bytes(&json, "uuid", segment->uuid, sizeof segment->uuid);
        if (segment->created_us != 0)
            json_time(&json, "created", segment->created_us);
        json_number(&json, "base_lsn", segment->base_lsn);
        if (segment->reason)
            json_string(&json, "reason", segment->reason);
    } else if (segment->state != VARVE_SEGMENT_EMPTY) {
        json_number(&json, "format_version", segment->format_version);
        json_number(&json, "sector_bytes", segment->sector_bytes);
        json_hex_bytes(&json, "uuid", segment->uuid, sizeof segment->uuid);
        json_hex64(&json, "salt", segment->salt);
        json_number(&json, "capacity_bytes", segment->capacity_bytes);
        json_time(&json, "created", segment->created_us);
        json_number(&json, "base_lsn", segment->base_lsn);
        json_number(&json, "codec", segment->codec);
        json_number(&json, "flags", segment->flags);
        json_hex32(&json, "crc_stored", segment->crc_stored);
        json_hex32(&json, "crc_computed", segment->crc_computed);
    }
    dump_json_end(&json);
}

void dump_json_frame(struct dump *dump, const struct varve_frame_info *frame)
{
    struct json json;

    dump_json_begin(&json, dump, "frame");
    json_number(&json, "offset", frame->offset);
    json_string(&json, "state", dump_frame_state(frame->state));
    json_number(&json, "frame_bytes", frame->frame_bytes);
    json_number(&json, "stored_bytes", frame->stored_bytes);
    json_number(&json, "raw_bytes", frame->raw_bytes);
    json_number(&json, "records", frame->records);
    json_number(&json, "first_lsn", frame->first_lsn);
    json_number(&json, "durable_lsn", frame->durable_lsn);
    json_time(&json, "time", frame->time_us);
    json_number(&json, "time_us", frame->time_us);
    json_number(&json, "codec", frame->codec);
    json_number(&json, "flags", frame->flags);
    json_hex32(&json, "header_crc_stored", frame->header_crc_stored);
    json_hex32(&json, "header_crc_computed", frame->header_crc_computed);
    json_hex32(&json, "body_crc_stored", frame->body_crc_stored);
    json_hex32(&json, "body_crc_computed", frame->body_crc_computed);
    json_string(&json, "codec_name", varve_codec_name(frame->codec));
    if (frame->unread)
        json_string(&json, "unread", varve_error_name(frame->unread));
    else
        json_null(&json, "unread");
    dump_json_end(&json);
}

void dump_json_record(struct dump *dump, const struct varve_record_info *record)
{
    struct json json;

    dump_json_begin(&json, dump, "record");
    if (dump_is_native(dump))
        json_number(&json, "frame_offset", dump->frame_offset);
    json_number(&json, "offset", record->offset);
    json_number(&json, "lsn", record->lsn);
    json_string(&json, "state", record->sound ? "sound" : "damaged");
    if (record->reason)
        json_string(&json, "reason", record->reason);
    if (dump_carries(dump, VARVE_FIELD_TIME)) {
        json_time(&json, "time", record->time_us);
        json_number(&json, "time_us", record->time_us);
    }
    if (dump_carries(dump, VARVE_FIELD_TYPE))
        json_number(&json, "type", record->type);
    json_number(&json, "flags", record->flags);
    if (record->flags & VARVE_RECORD_TXN)
        json_number(&json, "txn_id", record->txn_id);
    if ((record->flags & VARVE_RECORD_TXN) && dump_carries(dump, VARVE_FIELD_ORIGIN)) {
        json_hex_bytes(&json, "origin", record->origin, sizeof record->origin);
    }
    json_number(&json, "bytes", record->data_bytes);
    json_hex32(&json, "crc_stored", record->crc_stored);
    json_hex32(&json, "crc_computed", record->crc_computed);
    if (dump->operations)
        dump_says(dump, &json, record);
    if (dump->hex && record->data)
        json_hex_bytes(&json, "hex", record->data, record->data_bytes);
    dump_json_end(&json);
}

void dump_json_gap(struct dump *dump, uint64_t offset, uint64_t bytes, enum varve_verdict verdict)
{
    struct json json;

    dump_json_begin(&json, dump, "gap");
    json_number(&json, "offset", offset);
    json_number(&json, "bytes", bytes);
    json_string(&json, "verdict", varve_verdict_name(verdict));
    dump_json_end(&json);
}
