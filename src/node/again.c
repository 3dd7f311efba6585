// SPDX-License-Identifier: Apache-2.0
#include "node/again.h"

#include "node/internal.h"
#include "node/mint.h"
#include "node/purge_answer.h"

// A look that waits for the disk, in a buffer of the node. The operation may be over before it is.
struct again {
    struct node *node;
    again_looked *looked;
    uint64_t id; // of the operation
    uint32_t place;
    uint32_t round; // of purging, when it began
    struct store_read read;
    uint8_t key[];
};

// Has the operation send what is held now in place of its record, if what was written is in it or
// superseded by it. What a plain write meets beside itself it supersedes in a second round,
// wherever that is.
static bool adopt(struct operation *o, struct slice held) {
    struct record *now = &o->node->records[0];
    if (slice_equal(operation_sent(o), held)) return true;
    if (record_decode(now, held) != ST_OK || !context_covers(&now->context, o->dot)) return false;
    bool is_first = o->kind == REQUEST_REPLACE && o->round == 1 && !operation_is_standing_in(o);
    bool has_met_more = is_first && now->sibling_count > 1;
    uint64_t latest = now->sibling_count > 0 ? record_latest(now)->timestamp : 0;
    if (has_met_more && !mint_supersede(o, &now->context, latest)) return false;
    return operation_set_instead(o, held);
}

static bool find_and_adopt(struct operation *o, const struct store_read *read) {
    struct hint hint = {.record = read->record};
    if (read->status != ST_OK) return false;
    if (operation_is_standing_in(o)) {
        bool is_kept = hint_decode(&hint, read->record) == ST_OK && !hints_is_void(o->node, &hint);
        if (!is_kept || !slice_equal(hint.key, o->key)) return false;
    }
    return adopt(o, hint.record);
}

// Others may have had it found in a later round meanwhile. Who has come to mend since then may have
// forgotten rounds, and knows of none.
static void take_read(struct operation *o, uint32_t round, const struct store_read *read) {
    if (round <= o->purge_round || round > purge_round(o->node, o->partition.slot)) return;
    if (find_and_adopt(o, read)) o->purge_round = round;
}

static void on_read(struct store_read *read) {
    struct again *again = CONTAINER_OF(read, struct again, read);
    struct node *node = again->node;
    struct operation *o = operation_find(node, again->id);
    if (o != NULL) {
        take_read(o, again->round, read);
        o->asked |= 1u << again->place;
        again->looked(o, again->place);
    }
    node->looking_again--;
    buffer_give(node, (uint8_t *)again);
}

bool again_look(struct operation *o, uint32_t place, again_looked *looked) {
    struct node *node = o->node;
    struct store_read read = {.partition = o->write.partition, .key = o->write.key};
    uint32_t round = purge_round(node, o->partition.slot);
    if (round <= o->purge_round) return true;
    if (store_peek(node->store, &read) != ST_BUSY) {
        take_read(o, round, &read);
        return true;
    }
    struct again *again = (void *)buffer_take(node, sizeof(*again) + read.key.size);
    if (again == NULL) return true;
    *again = (struct again){
        .node = node, .looked = looked, .id = o->id, .place = place, .round = round, .read = read};
    again->read.done = on_read;
    (void)buffer_keep(again->key, &again->read.key);
    o->asked &= ~(1u << place);
    node->looking_again++;
    bool is_known = store_get(node->store, &again->read);
    must(!is_known); // it was not just now
    return false;
}
