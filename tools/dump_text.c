/* SPDX-License-Identifier: Apache-2.0 */
/* varve dump, for people. */
#include <inttypes.h>

#include "dump_says.h"
#include "term.h"
#include "when.h"

static void dump_text_state(struct dump *dump, bool sound, const char *state)
{
    out_print(&dump->out, "  %s%s%s\n", term_colour(sound ? TERM_GREEN : TERM_RED), state,
              term_colour(TERM_PLAIN));
}

/* A checksum, and if it does not match the one it should be. */
static void dump_text_crc(struct dump *dump, const char *name, uint32_t stored, uint32_t computed)
{
    out_print(&dump->out, "%s 0x%08" PRIx32, name, stored);
    if (stored != computed)
        out_print(&dump->out, " %sshould be 0x%08" PRIx32 "%s", term_colour(TERM_RED), computed,
                  term_colour(TERM_PLAIN));
}

static void dump_text_uuid(struct dump *dump, const struct varve_segment_info *segment)
{
    for (size_t i = 0; i < sizeof segment->uuid; i++)
        out_print(&dump->out, "%02x%s", segment->uuid[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
}

/* What a file in a format of others has to say. */
static void dump_text_plain(struct dump *dump, const struct varve_segment_info *segment)
{
    char created[WHEN_TEXT];

    out_print(&dump->out, "    %s, first LSN %" PRIu64, segment->format, segment->base_lsn);
    if (segment->created_us != 0)
        out_print(&dump->out, ", created %s", when_print(created, segment->created_us));
    if (dump->format->carries & VARVE_FIELD_UUID) {
        out_string(&dump->out, ", log ");
        dump_text_uuid(dump, segment);
    }
    if (segment->reason)
        out_print(&dump->out, ": %s", segment->reason);
    out_byte(&dump->out, '\n');
}

void dump_text_segment(struct dump *dump, const struct varve_segment_info *segment)
{
    char created[WHEN_TEXT];

    out_print(&dump->out, "%ssegment %" PRIu64 "%s  ", term_colour(TERM_BOLD), segment->number,
              term_colour(TERM_PLAIN));
    out_string(&dump->out, segment->name);
    out_print(&dump->out, "  %" PRIu64 " bytes", segment->file_bytes);
    dump_text_state(dump, segment->state == VARVE_SEGMENT_SOUND || segment->state == VARVE_SEGMENT_EMPTY,
                    dump_segment_state(segment->state));
    if (segment->state == VARVE_SEGMENT_EMPTY)
        return;
    if (!dump_is_native(dump)) {
        dump_text_plain(dump, segment);
        return;
    }
    out_print(&dump->out,
              "    base LSN %" PRIu64 ", capacity %" PRIu64 ", sector %" PRIu32 ", format %" PRIu32
              ", codec %" PRIu32 ", flags 0x%" PRIx32 "\n",
              segment->base_lsn, segment->capacity_bytes, segment->sector_bytes, segment->format_version,
              segment->codec, segment->flags);
    out_print(&dump->out, "    created %s, salt 0x%016" PRIx64 ", log ",
              when_print(created, segment->created_us), segment->salt);
    dump_text_uuid(dump, segment);
    dump_text_crc(dump, ", crc", segment->crc_stored, segment->crc_computed);
    out_byte(&dump->out, '\n');
}

void dump_text_frame(struct dump *dump, const struct varve_frame_info *frame)
{
    bool sound = frame->state == VARVE_FRAME_SOUND;
    char opened[WHEN_TEXT];

    if (frame->records > 0)
        out_print(&dump->out, "  frame @%" PRIu64 "  LSN %" PRIu64 " to %" PRIu64 "  %" PRIu32 " record%s",
                  frame->offset, frame->first_lsn, frame->first_lsn + frame->records - 1, frame->records,
                  frame->records == 1 ? "" : "s");
    else
        out_print(&dump->out, "  frame @%" PRIu64 "  mark before LSN %" PRIu64, frame->offset,
                  frame->first_lsn);
    out_print(&dump->out, "  durable %" PRIu64 "  %s", frame->durable_lsn,
              when_print(opened, frame->time_us));
    dump_text_state(dump, sound || frame->state == VARVE_FRAME_SUPERSEDED, dump_frame_state(frame->state));
    out_print(&dump->out,
              "      %" PRIu64 " bytes, stored %" PRIu32 ", raw %" PRIu32 ", codec %u, flags 0x%02x, ",
              frame->frame_bytes, frame->stored_bytes, frame->raw_bytes, frame->codec, frame->flags);
    dump_text_crc(dump, "header crc", frame->header_crc_stored, frame->header_crc_computed);
    dump_text_crc(dump, ", body crc", frame->body_crc_stored, frame->body_crc_computed);
    out_byte(&dump->out, '\n');
    if (frame->codec != 0)
        out_print(&dump->out, "      codec %u is %s\n", frame->codec, varve_codec_name(frame->codec));
    if (frame->unread)
        out_print(&dump->out, "      %srecords not shown: %s%s\n", term_colour(TERM_YELLOW),
                  varve_error_meaning(frame->unread), term_colour(TERM_PLAIN));
}

/* As hexdump -C has it. */
static void dump_text_hex(struct out *out, const uint8_t *data, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t at = 0; at < bytes; at += 16) {
        char line[16 * 3 + 1 + 1 + 16 + 1 + 1];
        size_t count = bytes - at < 16 ? bytes - at : 16, used = 0;

        for (size_t i = 0; i < 16; i++) {
            line[used++] = i < count ? digits[data[at + i] >> 4] : ' ';
            line[used++] = i < count ? digits[data[at + i] & 15] : ' ';
            line[used++] = ' ';
            if (i == 7)
                line[used++] = ' ';
        }
        line[used++] = '|';
        for (size_t i = 0; i < count; i++)
            line[used++] = data[at + i] >= 0x20 && data[at + i] < 0x7f ? (char)data[at + i] : '.';
        line[used++] = '|';
        out_print(out, "      %08zx  ", at);
        out_bytes(out, line, used);
        out_byte(out, '\n');
    }
}

void dump_text_record(struct dump *dump, const struct varve_record_info *record)
{
    char when[WHEN_TEXT];

    out_print(&dump->out, "    record %" PRIu64 " @%" PRIu64 "  ", record->lsn, record->offset);
    if (dump_carries(dump, VARVE_FIELD_TYPE))
        out_print(&dump->out, "type %u  ", record->type);
    out_print(&dump->out, "%zu byte%s  ", record->data_bytes, record->data_bytes == 1 ? "" : "s");
    if (dump_carries(dump, VARVE_FIELD_TIME))
        out_print(&dump->out, "%s  ", when_print(when, record->time_us));
    if (record->flags & VARVE_RECORD_TXN) {
        out_print(&dump->out, "txn %" PRIu64 " ", record->txn_id);
        if (dump_carries(dump, VARVE_FIELD_ORIGIN))
            out_string(&dump->out, "origin ");
        for (size_t i = 0; dump_carries(dump, VARVE_FIELD_ORIGIN) && i < sizeof record->origin; i++)
            out_print(&dump->out, "%02x", record->origin[i]);
        out_string(&dump->out, dump_carries(dump, VARVE_FIELD_ORIGIN) ? "  " : " ");
    }
    dump_text_crc(dump, "crc", record->crc_stored, record->crc_computed);
    if (record->reason)
        out_print(&dump->out, "  %s", record->reason);
    dump_text_state(dump, record->sound, record->sound ? "sound" : "damaged");
    if (dump->operations)
        dump_says(dump, NULL, record);
    if (dump->hex && record->data)
        dump_text_hex(&dump->out, record->data, record->data_bytes);
}

void dump_text_gap(struct dump *dump, uint64_t offset, uint64_t bytes, enum varve_verdict verdict)
{
    out_print(&dump->out, "  gap @%" PRIu64 "  %" PRIu64 " bytes", offset, bytes);
    dump_text_state(dump, verdict == VARVE_VERDICT_CLEAN_END, varve_verdict_name(verdict));
}
