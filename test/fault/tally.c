/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault/words.h"

enum {
    ENOUGH = 20,
    LIMIT_SECONDS = 30
};

unsigned fault_tally_limit(void)
{
    const char *sanitize = getenv("VARVE_SANITIZE");
    return sanitize != NULL && *sanitize != '\0' ? 4 * LIMIT_SECONDS : LIMIT_SECONDS;
}

void fault_tally_init(struct fault_tally *tally, const struct fault_scenario *scenario)
{
    memset(tally, 0, sizeof *tally);
    tally->scenario = scenario;
}

bool fault_tally_is_enough(const struct fault_tally *tally)
{
    return tally->wrong >= ENOUGH;
}

static void tally_rules(struct fault_tally *tally, const struct fault_case *fault)
{
    for (unsigned i = 0; i < fault->rule_count; i++) {
        const struct test_fault_rule *rule = &fault->rule[i];
        if (rule->op >= 0) {
            bool fails = rule->action == TEST_FAULT_FAIL || rule->action == TEST_FAULT_PARTIAL;
            tally->errors[rule->op][fails ? rule->error : 0]++;
        }
    }
}

static void tally_wrong(struct fault_tally *tally, size_t number, const struct fault_case *fault,
                        const char *message)
{
    char text[256];
    bool wanted = tally->expected == NULL || strstr(message, tally->expected) != NULL;
    tally->wrong++;
    if (!tally->found && wanted) {
        tally->found = true;
        tally->first_wrong = number;
        snprintf(tally->message, sizeof tally->message, "%.*s", (int)strcspn(message, "\n"), message);
    }
    if (tally->expected != NULL) {
        return;
    }
    fault_case_say(fault, text, sizeof text);
    if (fault->way == FAULT_TWO) {
        fprintf(stderr, "WRONG: --scenario %s, %s\n%s\n", tally->scenario->name, text, message);
    } else {
        fprintf(stderr, "WRONG: --scenario %s --case %zu, %s\n%s\n", tally->scenario->name, number, text,
                message);
    }
}

/* Nobody was told of something that somebody should have been told of. A log that is damaged says so anyway,
 * and may keep to that. Of two faults the first changes which call the second meets, so there it is not
 * asked. */
static bool tally_is_hushed(const struct fault_tally *tally, const struct fault_case *fault,
                            const struct fault_found *found)
{
    return fault->way != FAULT_TWO && found->struck && found->said == tally->count->said &&
           tally->count->errors == 0 && fault_words_none(fault, tally->scenario->name) == NULL;
}

void fault_tally_add(void *arg, size_t number, const struct fault_case *fault,
                     const struct fault_outcome *outcome)
{
    struct fault_tally *tally = arg;
    const struct fault_found *found = &outcome->found;
    tally->cases++;
    tally->ways[fault->way]++;
    tally_rules(tally, fault);
    if (outcome->wrong) {
        tally_wrong(tally, number, fault, outcome->message);
        return;
    }
    if (tally_is_hushed(tally, fault, found)) {
        tally_wrong(tally, number, fault, "nobody was told");
        return;
    }
    /* Against what a damaged log says anyway. */
    bool said = found->said != tally->count->said, told = said && found->errors > 0;
    tally->unreached += !found->struck;
    tally->told += told;
    tally->warned += said && !told;
    tally->silent += found->struck && !said;
    tally->read_only += found->read_only;
    tally->lies += fault_case_lies(fault);
    tally->detected += found->detected;
    tally->blind += found->blind;
}

static void tally_print_errors(const struct fault_tally *tally)
{
    for (int op = 0; op < TEST_OP_COUNT; op++) {
        uint64_t all = 0;
        for (int error = 0; error < FAULT_ERRNOS; error++) {
            all += tally->errors[op][error];
        }
        if (all == 0) {
            continue;
        }
        printf("  %-16s %6" PRIu64 ":", test_op_name((enum test_op)op), all);
        for (int error = 1; error < FAULT_ERRNOS; error++) {
            if (tally->errors[op][error] != 0) {
                printf(" %s %" PRIu64, strerrorname_np(error), tally->errors[op][error]);
            }
        }
        if (tally->errors[op][0] != 0) {
            printf(" other %" PRIu64, tally->errors[op][0]);
        }
        printf("\n");
    }
}

void fault_tally_print(const struct fault_tally *tally)
{
    printf("%s: %" PRIu64 " faults:", tally->scenario->name, tally->cases);
    for (int way = 0; way < FAULT_WAYS; way++) {
        if (tally->ways[way] != 0) {
            printf(" %s %" PRIu64, fault_way_name((enum fault_way)way), tally->ways[way]);
        }
    }
    printf("\n");
    tally_print_errors(tally);
    printf("  told by a call %" PRIu64 ", by a message %" PRIu64 ", mended %" PRIu64 "; read-only %" PRIu64
           "; lies %" PRIu64 ": disks refused for what is gone %" PRIu64
           ", disks where nothing vouches for it %" PRIu64 "; not reached %" PRIu64 "\n",
           tally->told, tally->warned, tally->silent, tally->read_only, tally->lies, tally->detected,
           tally->blind, tally->unreached);
    printf("  %s: violations %" PRIu64 "\n", tally->scenario->name, tally->wrong);
    (void)fflush(stdout);
}
