// SPDX-License-Identifier: Apache-2.0

import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanIterator;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.api.async.RedisClusterAsyncCommands;
import io.lettuce.core.cluster.api.sync.RedisClusterCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

final class LettuceAdapter implements Adapter {
    private final io.lettuce.core.AbstractRedisClient client;
    private final RedisClusterCommands<String, String> texts;
    private final RedisClusterAsyncCommands<String, String> asynchronous;
    private final RedisClusterCommands<byte[], byte[]> bytes;

    LettuceAdapter(boolean isCluster, int port) {
        // What was sent to a node that died waits for it, as long as it is told; that is a minute.
        String address = "redis://127.0.0.1:" + port + "?timeout=2s";
        if (isCluster) {
            RedisClusterClient cluster = RedisClusterClient.create(address);
            // It looks for a new topology only when it is told to; that is its documented default.
            cluster.setOptions(ClusterClientOptions.builder()
                .topologyRefreshOptions(ClusterTopologyRefreshOptions.builder()
                    .enableAllAdaptiveRefreshTriggers()
                    .enablePeriodicRefresh(Duration.ofSeconds(1)).build())
                .build());
            StatefulRedisClusterConnection<String, String> connection = cluster.connect();
            client = cluster;
            texts = connection.sync();
            asynchronous = connection.async();
            bytes = cluster.connect(ByteArrayCodec.INSTANCE).sync();
        } else {
            RedisClient plain = RedisClient.create(address);
            StatefulRedisConnection<String, String> connection = plain.connect();
            client = plain;
            texts = connection.sync();
            asynchronous = connection.async();
            bytes = plain.connect(ByteArrayCodec.INSTANCE).sync();
        }
    }

    public String get(String key) {
        return texts.get(key);
    }

    public byte[] getBytes(byte[] key) {
        return bytes.get(key);
    }

    public String set(String key, String value) {
        return texts.set(key, value);
    }

    public String setBytes(byte[] key, byte[] value) {
        return bytes.set(key, value);
    }

    public long del(String key) {
        return texts.del(key);
    }

    public String mset(Map<String, String> values) {
        return texts.mset(values);
    }

    public List<String> mget(String... keys) {
        return texts.mget(keys).stream().map(value -> value.getValueOrElse(null)).toList();
    }

    public long ttl(String key) {
        return texts.ttl(key);
    }

    public boolean expire(String key, long seconds) {
        return texts.expire(key, seconds);
    }

    public boolean pexpire(String key, long ms) {
        return texts.pexpire(key, ms);
    }

    public List<String> pipelined(List<String> keys) {
        wait(keys.stream().map(key -> asynchronous.set(key, key)).toList());
        return wait(keys.stream().map(asynchronous::get).toList());
    }

    private static List<String> wait(List<RedisFuture<String>> futures) {
        LettuceFutures.awaitAll(20, TimeUnit.SECONDS, futures.toArray(new RedisFuture[0]));
        return futures.stream().map(future -> future.toCompletableFuture().join()).toList();
    }

    public Set<String> scan(String pattern) {
        Set<String> found = new HashSet<>();
        ScanIterator<String> keys = ScanIterator.scan(texts, ScanArgs.Builder.matches(pattern));
        while (keys.hasNext()) found.add(keys.next());
        return found;
    }

    public void refused() {
        texts.dispatch(CommandType.GET, new StatusOutput<>(StringCodec.UTF8),
            new CommandArgs<>(StringCodec.UTF8).addKey("ja:a").add("b"));
    }

    public void close() {
        client.shutdown(Duration.ZERO, Duration.ofSeconds(2));
    }
}
