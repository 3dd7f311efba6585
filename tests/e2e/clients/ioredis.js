// SPDX-License-Identifier: Apache-2.0
//
// ioredis.js -- the scenario by ioredis: `plain` or `cluster`.
'use strict';
const Redis = require('ioredis');

// The answers of a pipeline; the first error is thrown.
function answers(results) {
    return results.map(([error, value]) => {
        if (error) throw error;
        return value;
    });
}

async function scan(client, match, count) {
    const nodes = client.nodes ? client.nodes('master') : [client];
    const found = [];
    for (const node of nodes) {
        for await (const keys of node.scanStream({ match, count })) found.push(...keys);
    }
    return found;
}

// A cluster's pipeline may only hold keys of one node: one each.
async function pipeline(client, commands) {
    if (!client.nodes) return answers(await client.pipeline(commands).exec());
    return Promise.all(commands.map(([name, ...words]) => client[name](...words)));
}

async function connect(mode, port) {
    const client = mode === 'cluster' ? new Redis.Cluster([{ host: '127.0.0.1', port }])
        : new Redis(port, '127.0.0.1');
    client.on('error', (error) => console.log(`failed ${error.message}`));
    return {
        get: (key) => client.get(key),
        getBuffer: (key) => client.getBuffer(key),
        set: (key, value) => client.set(key, value),
        del: (key) => client.del(key),
        mset: (values) => client.mset(values),
        mget: (keys) => client.mget(keys),
        ttl: (key) => client.ttl(key),
        expire: (key, seconds) => client.expire(key, seconds),
        pexpire: (key, ms) => client.pexpire(key, ms),
        pipeline: (commands) => pipeline(client, commands),
        scan: (match, count) => scan(client, match, count),
        call: (key, [name, ...words]) => client.call(name, ...words),
        close: () => client.quit(),
    };
}

require('./scenario.js')(connect);
