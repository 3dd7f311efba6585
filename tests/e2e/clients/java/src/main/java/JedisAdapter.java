// SPDX-License-Identifier: Apache-2.0

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import redis.clients.jedis.AbstractPipeline;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisCluster;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.Protocol;
import redis.clients.jedis.Response;
import redis.clients.jedis.UnifiedJedis;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.resps.ScanResult;

final class JedisAdapter implements Adapter {
    private final UnifiedJedis client;

    JedisAdapter(boolean isCluster, int port) {
        HostAndPort address = new HostAndPort("127.0.0.1", port);
        client = isCluster ? new JedisCluster(address) : new JedisPooled(address);
    }

    public String get(String key) {
        return client.get(key);
    }

    public byte[] getBytes(byte[] key) {
        return client.get(key);
    }

    public String set(String key, String value) {
        return client.set(key, value);
    }

    public String setBytes(byte[] key, byte[] value) {
        return client.set(key, value);
    }

    public long del(String key) {
        return client.del(key);
    }

    public String mset(Map<String, String> values) {
        List<String> words = new ArrayList<>();
        values.forEach((key, value) -> words.addAll(List.of(key, value)));
        return client.mset(words.toArray(new String[0]));
    }

    public List<String> mget(String... keys) {
        return client.mget(keys);
    }

    public long ttl(String key) {
        return client.ttl(key);
    }

    public boolean expire(String key, long seconds) {
        return client.expire(key, seconds) == 1;
    }

    public boolean pexpire(String key, long ms) {
        return client.pexpire(key, ms) == 1;
    }

    public List<String> pipelined(List<String> keys) {
        try (AbstractPipeline pipeline = client.pipelined()) {
            keys.forEach(key -> pipeline.set(key, key));
            pipeline.sync();
            List<Response<String>> read = keys.stream().map(pipeline::get).toList();
            pipeline.sync();
            return read.stream().map(Response::get).toList();
        }
    }

    public Set<String> scan(String pattern) {
        Set<String> found = new HashSet<>();
        if (client instanceof JedisCluster cluster) {
            cluster.getClusterNodes().values().forEach(pool -> {
                try (redis.clients.jedis.Jedis node = new redis.clients.jedis.Jedis(
                        pool.getResource())) {
                    String cursor = ScanParams.SCAN_POINTER_START;
                    do {
                        ScanResult<String> page = node.scan(cursor, new ScanParams().match(pattern));
                        found.addAll(page.getResult());
                        cursor = page.getCursor();
                    } while (!cursor.equals(ScanParams.SCAN_POINTER_START));
                }
            });
            return found;
        }
        String cursor = ScanParams.SCAN_POINTER_START;
        do {
            ScanResult<String> page = client.scan(cursor, new ScanParams().match(pattern));
            found.addAll(page.getResult());
            cursor = page.getCursor();
        } while (!cursor.equals(ScanParams.SCAN_POINTER_START));
        return found;
    }

    public void refused() {
        client.sendCommand(Protocol.Command.GET, "ja:a", "b");
    }

    public void close() {
        client.close();
    }
}
