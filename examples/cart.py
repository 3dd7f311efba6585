#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cart -- a shopping cart that loses nothing, whoever fills it at the same time, by redis-py.

    cart.py PORT NAME                   shows the cart
    cart.py PORT NAME add ITEM [...]    puts items into it

Two who add at the same time, maybe through nodes that do not see each other, leave two carts side by
side. KV.GET shows all there are, and a context that stands for them; what to make of several is
for the application to say. A cart is the items of all. KV.PUT with the context puts the merged cart
in place of those that were read, and of no other: what comes meanwhile stays beside it, for the next
who reads.
"""
import sys

import redis


def read(client, key):
    """The items in the cart, and the context to write it with."""
    reply = client.execute_command("KV.GET", key)
    fields = dict(zip(reply[::2], reply[1::2]))  # RESP2 has maps as flat arrays
    carts = [dict(zip(value[::2], value[1::2]))[b"value"] for value in fields[b"values"]]
    items = {item for cart in carts for item in cart.decode().split("\n") if item}
    return items, fields[b"context"]


def add(client, key, new):
    items, context = read(client, key)
    cart = "\n".join(sorted(items | set(new)))
    client.execute_command("KV.PUT", key, cart, "CONTEXT", context)


def main(port, name, *rest):
    client = redis.Redis(port=int(port))
    key = f"cart:{name}"
    if rest[:1] == ("add",):
        for item in rest[1:]:
            add(client, key, [item])
    elif rest:
        sys.exit(__doc__)
    else:
        print("\n".join(sorted(read(client, key)[0])))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
