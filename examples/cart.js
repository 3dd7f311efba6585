// SPDX-License-Identifier: Apache-2.0
//
// cart -- the shopping cart of cart.py, by ioredis.
//
//     npm install ioredis                      beside it, once
//     node cart.js PORT NAME                   shows the cart
//     node cart.js PORT NAME add ITEM [...]    puts items into it
"use strict";

const usage = `usage: node cart.js PORT NAME                   shows the cart
       node cart.js PORT NAME add ITEM [...]    puts items into it

It needs ioredis: npm install ioredis`;

const [port, name, verb, ...items] = process.argv.slice(2);
if (name === undefined || (verb !== undefined && verb !== "add")) {
    console.error(usage);
    process.exit(1);
}

const Redis = require("ioredis");

// The reply to a map: an object where the connection speaks RESP3, else names and values in turn.
function fieldsOf(map) {
    if (!Array.isArray(map)) return map;
    const fields = {};
    for (let i = 0; i < map.length; i += 2) fields[map[i]] = map[i + 1];
    return fields;
}

// The items of all carts that stand side by side, and the context that stands for them.
async function read(client, key) {
    const { context, values } = fieldsOf(await client.call("KV.GET", key));
    const carts = values.map((value) => fieldsOf(value).value.split("\n"));
    return { items: new Set(carts.flat().filter((item) => item !== "")), context };
}

// Puts the merged cart in place of those that were read. What others write meanwhile stays.
async function add(client, key, item) {
    const { items, context } = await read(client, key);
    items.add(item);
    await client.call("KV.PUT", key, [...items].sort().join("\n"), "CONTEXT", context);
}

async function main() {
    const client = new Redis({ port: Number(port) });
    const key = `cart:${name}`;
    if (verb === "add") {
        for (const item of items) await add(client, key, item);
    } else {
        console.log([...(await read(client, key)).items].sort().join("\n"));
    }
    client.disconnect();
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
