// SPDX-License-Identifier: Apache-2.0
//
// node_redis.js -- the scenario by node-redis: `plain` or `cluster`, in RESP2 or, with a 3 behind
// it, in RESP3.
'use strict';
const { RESP_TYPES, createClient, createCluster } = require('redis');

async function scan(client, match, count) {
    const nodes = client.masters
        ? await Promise.all(client.masters.map((master) => client.nodeClient(master))) : [client];
    const found = [];
    for (const node of nodes) {
        for await (const keys of node.scanIterator({ MATCH: match, COUNT: count })) found.push(...keys);
    }
    return found;
}

async function connect(mode, port) {
    const url = `redis://127.0.0.1:${port}`;
    const isCluster = mode.startsWith('cluster');
    const RESP = mode.endsWith('3') ? 3 : 2;
    const client = isCluster ? createCluster({ rootNodes: [{ url }], RESP })
        : createClient({ url, RESP });
    client.on('error', (error) => console.log(`failed ${error.message}`));
    await client.connect();
    const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    return {
        get: (key) => client.get(key),
        getBuffer: (key) => binary.get(key),
        set: (key, value) => client.set(key, value),
        del: (key) => client.del(key),
        mset: (values) => client.mSet(values),
        mget: (keys) => client.mGet(keys),
        ttl: (key) => client.ttl(key),
        expire: (key, seconds) => client.expire(key, seconds),
        pexpire: (key, ms) => client.pExpire(key, ms),
        // It pipelines what is asked for in one turn.
        pipeline: (commands) => Promise.all(
            commands.map(([name, ...words]) => client[name](...words))),
        scan: (match, count) => scan(client, match, count),
        call: (key, words) => (isCluster ? client.sendCommand(key, false, words)
            : client.sendCommand(words)),
        close: () => client.close(),
    };
}

require('./scenario.js')(connect);
