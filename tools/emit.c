/* SPDX-License-Identifier: Apache-2.0 */
#include "emit.h"

#include "json.h"

void emit_init(struct emit *emit)
{
    *emit = (struct emit){.limit = UINT64_MAX};
    emit->format = varve_format_get("varve");
}

static void emit_set_form(struct emit *emit, struct cli *cli, enum emit_form form)
{
    if (emit->form != EMIT_LINES && emit->form != form && !cli->stop) {
        cli->stop = true;
        cli->exit_code = say_usage("--%s: another form was chosen before", cli->option->name);
    }
    emit->form = form;
}

bool emit_option(struct emit *emit, struct cli *cli, int key)
{
    uint64_t type;

    switch (key) {
    case '0':
        emit_set_form(emit, cli, EMIT_NUL);
        return true;
    case EMIT_KEY_FRAMED:
        emit_set_form(emit, cli, EMIT_FRAMED);
        return true;
    case EMIT_KEY_RAW:
        emit_set_form(emit, cli, EMIT_RAW);
        return true;
    case EMIT_KEY_JSON:
        emit_set_form(emit, cli, EMIT_JSON);
        return true;
    case EMIT_KEY_LIMIT:
        emit->limit = cli_number(cli, 0, UINT64_MAX);
        return true;
    case EMIT_KEY_TYPE:
        type = cli_number(cli, 0, UINT8_MAX);
        emit->filter = true;
        emit->types[type / 8] |= (uint8_t)(1u << type % 8);
        return true;
    default:
        return false;
    }
}

/* What the format does not hold is left out. */
static void emit_json(struct emit *emit, const struct varve_entry *entry)
{
    struct json json = {.out = &emit->out};
    uint32_t carries = emit->format->carries;

    json_object(&json, NULL);
    json_number(&json, "lsn", entry->lsn);
    if (carries & VARVE_FIELD_TIME) {
        json_time(&json, "time", entry->time_us);
        json_number(&json, "time_us", entry->time_us);
    }
    if (carries & VARVE_FIELD_TYPE)
        json_number(&json, "type", entry->type);
    if (entry->flags & VARVE_RECORD_TXN)
        json_number(&json, "txn_id", entry->txn_id);
    if ((entry->flags & VARVE_RECORD_TXN) && (carries & VARVE_FIELD_ORIGIN))
        json_hex_bytes(&json, "origin", entry->origin, sizeof entry->origin);
    json_number(&json, "bytes", entry->data_bytes);
    json_payload(&json, entry->data, entry->data_bytes);
    json_object_end(&json);
    json_line_end(&json);
}

static void emit_payload(struct emit *emit, const struct varve_entry *entry)
{
    uint32_t bytes = (uint32_t)entry->data_bytes; /* at most 4 GiB less a few */

    if (emit->form == EMIT_FRAMED) {
        uint8_t length[4] = {(uint8_t)bytes, (uint8_t)(bytes >> 8), (uint8_t)(bytes >> 16),
                             (uint8_t)(bytes >> 24)};

        out_bytes(&emit->out, length, sizeof length);
    }
    out_bytes(&emit->out, entry->data, entry->data_bytes);
    if (emit->form == EMIT_LINES)
        out_byte(&emit->out, '\n');
    else if (emit->form == EMIT_NUL)
        out_byte(&emit->out, '\0');
}

bool emit_entry(struct emit *emit, const struct varve_entry *entry)
{
    if (emit->count >= emit->limit)
        return false;
    if (emit->filter && !(emit->types[entry->type / 8] & 1u << entry->type % 8))
        return true;
    if (emit->form == EMIT_JSON)
        emit_json(emit, entry);
    else
        emit_payload(emit, entry);
    emit->count++;
    return emit->count < emit->limit && !emit->out.failed;
}
