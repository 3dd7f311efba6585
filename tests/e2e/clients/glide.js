// SPDX-License-Identifier: Apache-2.0
//
// glide.js -- the scenario by valkey-glide: `plain` or `cluster`.
'use strict';
const glide = require('@valkey/valkey-glide');

async function scanAll(client, isCluster, match, count) {
    const found = [];
    if (isCluster) {
        let cursor = new glide.ClusterScanCursor();
        while (!cursor.isFinished()) {
            const [next, keys] = await client.scan(cursor, { match, count });
            cursor = next;
            found.push(...keys);
        }
        return found;
    }
    let cursor = '0';
    do {
        const [next, keys] = await client.scan(cursor, { match, count });
        cursor = next;
        found.push(...keys);
    } while (cursor !== '0');
    return found;
}

function pipeline(client, isCluster, commands) {
    const batch = isCluster ? new glide.ClusterBatch(false) : new glide.Batch(false);
    for (const command of commands) batch.customCommand(command);
    return client.exec(batch, true);
}

async function connect(mode, port) {
    const isCluster = mode === 'cluster';
    const kind = isCluster ? glide.GlideClusterClient : glide.GlideClient;
    const client = await kind.createClient({
        addresses: [{ host: '127.0.0.1', port }],
        requestTimeout: 15000,
    });
    return {
        get: (key) => client.get(key),
        getBuffer: (key) => client.get(key, { decoder: glide.Decoder.Bytes }),
        set: (key, value) => client.set(key, value),
        del: (key) => client.del([key]),
        mset: (values) => client.mset(values),
        mget: (keys) => client.mget(keys),
        ttl: (key) => client.ttl(key),
        expire: (key, seconds) => client.expire(key, seconds),
        pexpire: (key, ms) => client.pexpire(key, ms),
        pipeline: (commands) => pipeline(client, isCluster, commands),
        scan: (match, count) => scanAll(client, isCluster, match, count),
        call: (key, words) => client.customCommand(words),
        close: () => client.close(),
    };
}

require('./scenario.js')(connect);
