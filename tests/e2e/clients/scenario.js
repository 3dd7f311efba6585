// SPDX-License-Identifier: Apache-2.0
//
// scenario.js -- what every client must get right, whichever it is.
//
//     NODE_PATH=... node ioredis.js MODE PORT,PORT,PORT
//
// A client file makes adapters, one through the first port and one through the second, with the
// functions that are used here. All runs first; then the client works until it is told, by the end
// of its input, that the trouble is over. Its last line is `done`; anything else is a failure.
'use strict';
const assert = require('node:assert');

const TROUBLE_TIMEOUT = 20000; // ms that one operation may need while a node is dead
const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function values(one, two) {
    assert.strictEqual(await one.get('js:none'), null);
    assert.strictEqual(await one.set('js:a', '1'), 'OK');
    assert.strictEqual(await two.get('js:a'), '1');
    assert.strictEqual(await two.set('js:a', '2'), 'OK');
    assert.strictEqual(await one.get('js:a'), '2');
    assert.strictEqual(await one.del('js:a'), 1);
    assert.strictEqual(await two.del('js:a'), 0);
    assert.strictEqual(await two.get('js:a'), null);

    const names = { '{m}:1': 'one', '{m}:2': 'zwei', '{m}:3': '' };
    assert.strictEqual(await one.mset(names), 'OK');
    assert.deepStrictEqual(await two.mget([...Object.keys(names), '{m}:none']),
        ['one', 'zwei', '', null]);

    const unicode = 'ключ:\u{1F511}:鍵:é';
    assert.strictEqual(await one.set(unicode, '値 \u{10FFFF} \u0000 ende'), 'OK');
    assert.strictEqual(await two.get(unicode), '値 \u{10FFFF} \u0000 ende');

    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => i * 7 & 255));
    assert.strictEqual(await one.set('js:bytes', bytes), 'OK');
    assert.ok(bytes.equals(await two.getBuffer('js:bytes')));

    const large = Buffer.alloc(1024 * 1024, 'abcdefghijklmnopqrstuvwxyz\r\n');
    for (let i = 0; i < 4; i++) assert.strictEqual(await one.set(`js:large:${i}`, large), 'OK');
    for (let i = 0; i < 4; i++) assert.ok(large.equals(await two.getBuffer(`js:large:${i}`)));
}

async function expiry(one, two) {
    await one.set('js:brief', 'x');
    assert.strictEqual(await two.ttl('js:brief'), -1);
    assert.ok(await one.expire('js:brief', 100));
    const left = await two.ttl('js:brief');
    assert.ok(left > 90 && left <= 100, `ttl ${left}`);
    assert.ok(await two.pexpire('js:brief', 30));
    const end = Date.now() + 5000;
    while (await one.get('js:brief') !== null) assert.ok(Date.now() < end, 'it never expires');
    assert.strictEqual(await two.ttl('js:brief'), -2);
    assert.ok(!await one.expire('js:brief', 100));
}

async function pipelines(one, two) {
    const keys = Array.from({ length: 1000 }, (_, i) => `js:p:${i}`);
    const stored = await one.pipeline(keys.map((key, i) => ['set', key, `value ${i}`]));
    assert.deepStrictEqual(stored, keys.map(() => 'OK'));
    const read = await two.pipeline(keys.map((key) => ['get', key]));
    assert.deepStrictEqual(read, keys.map((_, i) => `value ${i}`));
    for (const adapter of [one, two]) {
        const found = new Set((await adapter.scan('js:p:*', 37)).map(String));
        assert.deepStrictEqual([...found].sort(), [...keys].sort());
    }
    // Not as one pipeline, but at once: the client makes one of it, or several.
    await Promise.all(keys.map((key) => two.del(key)));
    assert.deepStrictEqual(await one.scan('js:p:*', 1000), []);
}

async function errors(one) {
    await assert.rejects(one.call('js:a', ['GET', 'js:a', 'b']), /wrong number of arguments/);
    await assert.rejects(one.call('js:a', ['SET', 'js:a', '1', 'PX', '-5']), /invalid expire time/);
    assert.strictEqual(await one.get('js:none'), null); // and the connection goes on
}

function timed(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer to ${what}`)), TROUBLE_TIMEOUT);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Writes that were in flight when a node died may fail, and are done again. What was acknowledged
// must be read.
async function trouble(one) {
    let isOver = false;
    process.stdin.on('end', () => { isOver = true; }).resume();
    console.log('running');
    const acknowledged = new Map();
    for (let i = 0, left = 300; left > 0; i++) {
        const key = `js:t:${i % 100}`;
        try {
            await timed(one.set(key, String(i)), 'SET');
            acknowledged.set(key, i);
            if (isOver) left--;
        } catch (error) {
            if (/no answer/.test(error.message)) throw error;
            console.log(`failed ${error.message.split('\n')[0]}`);
            await after(20);
            continue;
        }
        assert.strictEqual(Number(await timed(read(one, key), 'GET')), acknowledged.get(key));
    }
    for (const [key, i] of acknowledged) assert.strictEqual(Number(await one.get(key)), i);
}

async function read(one, key) {
    for (;;) {
        try {
            return await one.get(key);
        } catch (error) {
            console.log(`failed ${error.message.split('\n')[0]}`);
            await after(20);
        }
    }
}

async function run(connect) {
    const mode = process.argv[2];
    const ports = process.argv[3].split(',').map(Number);
    const one = await connect(mode, ports[0]);
    const two = await connect(mode, ports[1]);
    await values(one, two);
    await expiry(one, two);
    await pipelines(one, two);
    await errors(one);
    await two.close();
    await trouble(one);
    await one.close();
    console.log('done');
}

module.exports = (connect) => run(connect).catch((error) => {
    console.error(error);
    process.exit(1);
});
