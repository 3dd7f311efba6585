// SPDX-License-Identifier: Apache-2.0
#include "store/order.h"

enum {
    LEAF_FIRST = 8, // entries in the first leaf of a tree; it doubles up to LEAF_MAX
    LEAF_MAX = 64,
    LEAF_SPARSE = LEAF_MAX / 4, // below, a leaf looks for a neighbour to join
    CHILDREN_MAX = 32,
    DEPTH_MAX = 16, // inner nodes have at least 2 children but on the way down from a removal
};

struct node {
    uint16_t count;    // of entries, or of children
    uint16_t sorted;   // of a leaf: so many entries are in order
    uint16_t capacity; // of a leaf
    uint16_t level;    // 0: leaf
    uint32_t items[];  // entries; or CHILDREN_MAX children, then the separators between them
};

static struct node *node_at(const struct tlsf *t, uint32_t block) {
    return tlsf_at(t, block);
}

static uint32_t *separators(struct node *n) {
    must(n->level > 0);
    return n->items + CHILDREN_MAX;
}

static struct slice key_of(const struct tlsf *t, uint32_t entry) {
    return entry_key(entry_at(t, entry));
}

static struct slice separator_key(const struct tlsf *t, uint32_t separator) {
    return (struct slice){tlsf_at(t, separator), tlsf_size(t, separator)};
}

static uint32_t node_new(struct tlsf *t, uint16_t level, uint16_t capacity) {
    size_t items = level == 0 ? capacity : CHILDREN_MAX * 2 - 1;
    uint32_t block = tlsf_take(t, sizeof(struct node) + items * sizeof(uint32_t));
    if (block != 0) *node_at(t, block) = (struct node){.capacity = capacity, .level = level};
    return block;
}

// Which child holds the key: separators at or below it lie to the left.
static uint32_t child_index(const struct tlsf *t, struct node *n, struct slice key) {
    uint32_t low = 0;
    uint32_t high = n->count - 1u;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (slice_compare(separator_key(t, separators(n)[middle]), key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The first place among the sorted entries whose key is past `key` or, if not `is_past`, not before
// it.
static uint32_t bound(const struct tlsf *t, const struct node *leaf, struct slice key,
                      bool is_past) {
    uint32_t low = 0;
    uint32_t high = leaf->sorted;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = slice_compare(key_of(t, leaf->items[middle]), key);
        if (order < 0 || (is_past && order == 0)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void leaf_sort(const struct tlsf *t, struct node *leaf) {
    must(leaf->level == 0);
    if (leaf->sorted == leaf->count) return;
    for (uint32_t i = 0; i < leaf->count; i++) __builtin_prefetch(entry_at(t, leaf->items[i]));
    while (leaf->sorted < leaf->count) {
        uint32_t entry = leaf->items[leaf->sorted];
        uint32_t place = bound(t, leaf, key_of(t, entry), true);
        memmove(leaf->items + place + 1, leaf->items + place,
                (leaf->sorted - place) * sizeof(uint32_t));
        leaf->items[place] = entry;
        leaf->sorted++;
    }
}

// The shortest key that is past `left` and not past `right`.
static uint32_t separator_new(struct tlsf *t, struct slice left, struct slice right) {
    size_t size = 0;
    while (size < left.size && left.data[size] == right.data[size]) size++;
    must(size < right.size);
    uint32_t block = tlsf_take(t, size + 1);
    if (block != 0) memcpy(tlsf_at(t, block), right.data, size + 1);
    return block;
}

static void child_insert(struct node *parent, uint32_t index, uint32_t child, uint32_t separator) {
    must(parent->count < CHILDREN_MAX);
    must(index > 0);
    uint32_t behind = parent->count - index;
    uint32_t *s = separators(parent);
    memmove(parent->items + index + 1, parent->items + index, behind * sizeof(uint32_t));
    memmove(s + index, s + index - 1, behind * sizeof(uint32_t));
    parent->items[index] = child;
    s[index - 1] = separator;
    parent->count++;
}

// Takes a child out, and the separator on its left; of the first child, on its right.
static void child_remove(struct tlsf *t, struct node *parent, uint32_t index) {
    uint32_t *s = separators(parent);
    if (parent->count > 1) {
        uint32_t gone = index > 0 ? index - 1 : 0;
        tlsf_give(t, s[gone]);
        memmove(s + gone, s + gone + 1, (parent->count - 2u - gone) * sizeof(uint32_t));
    }
    memmove(parent->items + index, parent->items + index + 1,
            (parent->count - 1u - index) * sizeof(uint32_t));
    parent->count--;
}

static bool leaf_split(struct tlsf *t, struct node *parent, uint32_t index, struct node *left) {
    leaf_sort(t, left);
    uint16_t half = left->count / 2;
    uint32_t right_block = node_new(t, 0, LEAF_MAX);
    if (right_block == 0) return false;
    uint32_t separator =
        separator_new(t, key_of(t, left->items[half - 1]), key_of(t, left->items[half]));
    if (separator == 0) {
        tlsf_give(t, right_block);
        return false;
    }
    struct node *right = node_at(t, right_block);
    right->count = right->sorted = (uint16_t)(left->count - half);
    memcpy(right->items, left->items + half, right->count * sizeof(uint32_t));
    left->count = left->sorted = half;
    child_insert(parent, index + 1, right_block, separator);
    return true;
}

static bool inner_split(struct tlsf *t, struct node *parent, uint32_t index, struct node *left) {
    uint16_t half = left->count / 2;
    uint32_t right_block = node_new(t, left->level, 0);
    if (right_block == 0) return false;
    struct node *right = node_at(t, right_block);
    right->count = (uint16_t)(left->count - half);
    memcpy(right->items, left->items + half, right->count * sizeof(uint32_t));
    memcpy(separators(right), separators(left) + half, (right->count - 1u) * sizeof(uint32_t));
    uint32_t between = separators(left)[half - 1];
    left->count = half;
    child_insert(parent, index + 1, right_block, between);
    return true;
}

static bool is_full(const struct node *n) {
    return n->count == (n->level == 0 ? LEAF_MAX : CHILDREN_MAX);
}

static bool add_root(struct tlsf *t, uint32_t *root) {
    uint16_t level = *root == 0 ? 0 : (uint16_t)(node_at(t, *root)->level + 1);
    must(level < DEPTH_MAX);
    uint32_t block = node_new(t, level, LEAF_FIRST);
    if (block == 0) return false;
    if (level > 0) {
        struct node *n = node_at(t, block);
        n->items[0] = *root;
        n->count = 1;
    }
    *root = block;
    return true;
}

// Doubles the only leaf of a small tree.
static bool leaf_grow(struct tlsf *t, uint32_t *root) {
    const struct node *old = node_at(t, *root);
    uint32_t block = node_new(t, 0, old->capacity * 2);
    if (block == 0) return false;
    struct node *leaf = node_at(t, block);
    leaf->count = old->count;
    leaf->sorted = old->sorted;
    memcpy(leaf->items, old->items, old->count * sizeof(uint32_t));
    tlsf_give(t, *root);
    *root = block;
    return true;
}

// Full nodes split on the way down, so that a parent always has room for one more child and every
// step leaves a tree that is whole, whether or not memory lasts for the next.
bool order_add(struct tlsf *t, uint32_t *root, uint32_t entry) {
    if (*root == 0 && !add_root(t, root)) return false;
    struct node *n = node_at(t, *root);
    if (n->level == 0 && n->count == n->capacity && n->capacity < LEAF_MAX && !leaf_grow(t, root)) {
        return false;
    }
    if (is_full(node_at(t, *root)) && !add_root(t, root)) return false;
    n = node_at(t, *root);
    struct slice key = key_of(t, entry);
    while (n->level > 0) {
        uint32_t index = child_index(t, n, key);
        struct node *child = node_at(t, n->items[index]);
        if (is_full(child)) {
            bool split = child->level == 0 ? leaf_split(t, n, index, child)
                                           : inner_split(t, n, index, child);
            if (!split) return false;
            index = child_index(t, n, key);
            child = node_at(t, n->items[index]);
        }
        n = child;
    }
    must(n->count < n->capacity);
    n->items[n->count++] = entry;
    if (n->count == 1) n->sorted = 1;
    return true;
}

// The way from the root to a leaf.
struct path {
    uint32_t depth; // inner nodes passed
    struct node *nodes[DEPTH_MAX];
    uint32_t indexes[DEPTH_MAX]; // of the child taken in each
    struct node *leaf;
};

static void path_down(const struct tlsf *t, struct path *path, struct node *n, struct slice key) {
    while (n->level > 0) {
        must(path->depth < DEPTH_MAX);
        uint32_t index = child_index(t, n, key);
        path->nodes[path->depth] = n;
        path->indexes[path->depth++] = index;
        n = node_at(t, n->items[index]);
    }
    path->leaf = n;
}

static uint32_t place_in(const struct node *leaf, uint32_t entry) {
    uint32_t i = 0;
    while (i < leaf->count && leaf->items[i] != entry) i++;
    must(i < leaf->count);
    return i;
}

void order_replace(struct tlsf *t, uint32_t root, uint32_t old, uint32_t entry) {
    struct path path = {0};
    path_down(t, &path, node_at(t, root), key_of(t, entry));
    path.leaf->items[place_in(path.leaf, old)] = entry;
}

// Moves the entries of the child right of `index` into that child when both are small.
static void join_right(struct tlsf *t, struct node *parent, uint32_t index) {
    if (index + 1u >= parent->count) return;
    struct node *left = node_at(t, parent->items[index]);
    const struct node *right = node_at(t, parent->items[index + 1]);
    if (left->count + right->count > LEAF_MAX / 4 * 3) return;
    if (left->sorted == left->count) left->sorted = (uint16_t)(left->count + right->sorted);
    memcpy(left->items + left->count, right->items, right->count * sizeof(uint32_t));
    left->count = (uint16_t)(left->count + right->count);
    tlsf_give(t, parent->items[index + 1]);
    child_remove(t, parent, index + 1);
}

// Takes empty nodes off the path from below, and roots with a single child from above.
static void prune(struct tlsf *t, struct path *path, uint32_t *root) {
    struct node *n = path->leaf;
    while (n->count == 0 && path->depth > 0) {
        struct node *parent = path->nodes[--path->depth];
        uint32_t index = path->indexes[path->depth];
        tlsf_give(t, parent->items[index]);
        child_remove(t, parent, index);
        n = parent;
    }
    while (node_at(t, *root)->level > 0 && node_at(t, *root)->count == 1) {
        uint32_t child = node_at(t, *root)->items[0];
        tlsf_give(t, *root);
        *root = child;
    }
    if (node_at(t, *root)->count > 0) return;
    tlsf_give(t, *root);
    *root = 0;
}

void order_remove(struct tlsf *t, uint32_t *root, uint32_t entry) {
    struct path path = {0};
    path_down(t, &path, node_at(t, *root), key_of(t, entry));
    struct node *leaf = path.leaf;
    uint32_t place = place_in(leaf, entry);
    memmove(leaf->items + place, leaf->items + place + 1,
            (leaf->count - 1u - place) * sizeof(uint32_t));
    leaf->count--;
    if (place < leaf->sorted) leaf->sorted--;
    if (leaf->count > 0 && leaf->count < LEAF_SPARSE && path.depth > 0) {
        struct node *parent = path.nodes[path.depth - 1];
        uint32_t index = path.indexes[path.depth - 1];
        join_right(t, parent, index);
        if (index > 0) join_right(t, parent, index - 1);
        // The leaf may be gone into its left neighbour; there is none that is empty.
        path.leaf = node_at(t, parent->items[0]);
    }
    prune(t, &path, root);
}

// From there down its left edge or its right one.
static void path_edge(const struct tlsf *t, struct path *path, struct node *n, bool is_right) {
    while (n->level > 0) {
        must(path->depth < DEPTH_MAX);
        uint32_t index = is_right ? n->count - 1u : 0;
        path->nodes[path->depth] = n;
        path->indexes[path->depth++] = index;
        n = node_at(t, n->items[index]);
    }
    path->leaf = n;
}

// To the next leaf in the direction: up to the first node with a child further on, then down the
// near edge of that. False: there is none.
static bool path_next(const struct tlsf *t, struct path *path, bool is_reverse) {
    for (; path->depth > 0; path->depth--) {
        const struct node *above = path->nodes[path->depth - 1];
        uint32_t *index = &path->indexes[path->depth - 1];
        if (*index == (is_reverse ? 0 : above->count - 1u)) continue;
        *index = is_reverse ? *index - 1 : *index + 1;
        path_edge(t, path, node_at(t, above->items[*index]), is_reverse);
        return true;
    }
    return false;
}

bool order_each(struct tlsf *t, uint32_t root, const struct order_start *start, order_visit *visit,
                void *context) {
    if (root == 0) return true;
    struct path path = {0};
    bool has_key = start->key.size > 0;
    bool is_reverse = start->is_reverse;
    if (has_key) {
        path_down(t, &path, node_at(t, root), start->key);
    } else {
        path_edge(t, &path, node_at(t, root), is_reverse);
    }
    leaf_sort(t, path.leaf);
    // Entries left of `place` are before the start, the others behind it.
    uint32_t place = is_reverse ? path.leaf->count : 0;
    if (has_key) place = bound(t, path.leaf, start->key, start->is_inclusive == is_reverse);
    for (;;) {
        const struct node *leaf = path.leaf;
        uint32_t left = is_reverse ? place : leaf->count - place;
        for (uint32_t i = 0; i < left; i++) {
            if (!visit(context, leaf->items[is_reverse ? place - 1 - i : place + i])) return false;
        }
        if (!path_next(t, &path, is_reverse)) return true;
        leaf_sort(t, path.leaf);
        place = is_reverse ? path.leaf->count : 0;
    }
}

struct check {
    const struct tlsf *t;
    uint64_t count;
    uint32_t last;
};

static bool on_check(void *context, uint32_t entry) {
    struct check *c = context;
    if (c->count > 0) must(slice_compare(key_of(c->t, c->last), key_of(c->t, entry)) < 0);
    c->last = entry;
    c->count++;
    return true;
}

uint64_t order_check(struct tlsf *t, uint32_t root) {
    struct check c = {.t = t};
    (void)order_each(t, root, &(struct order_start){0}, on_check, &c);
    return c.count;
}
