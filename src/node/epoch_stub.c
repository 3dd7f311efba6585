#include "node/internal.h"
void node_change_map(struct node *node, struct map_change *change) {
    node->map.epoch++;
    change->status = change->apply(change, &node->map) ? ST_OK : ST_INVALID;
    if (change->status != ST_OK) node->map.epoch--;
    change->done(change);
    agreement_on_map(node);
}
