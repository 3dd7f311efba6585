// SPDX-License-Identifier: Apache-2.0

import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * What every client must get right: the scenario of scenario.js.
 *
 * <pre>Scenario jedis|lettuce plain|cluster PORT,PORT,PORT</pre>
 */
final class Scenario {
    private static final long TIMEOUT = 20_000; // ms that an operation may need while a node is dead
    private static final int SOME = 1000; // keys of a pipeline

    private static void same(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) throw new AssertionError(got + " instead of " + wanted);
    }

    private static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    private static void values(Adapter one, Adapter two) {
        same(one.get("ja:none"), null);
        same(one.set("ja:a", "1"), "OK");
        same(two.get("ja:a"), "1");
        same(one.del("ja:a"), 1L);
        same(two.del("ja:a"), 0L);
        Map<String, String> pairs = new LinkedHashMap<>();
        pairs.put("{m}:1", "one");
        pairs.put("{m}:2", "zwei");
        pairs.put("{m}:3", "");
        same(one.mset(pairs), "OK");
        same(two.mget("{m}:1", "{m}:2", "{m}:3", "{m}:none"), Arrays.asList("one", "zwei", "", null));
        String name = "ключ:\uD83D\uDD11:鍵:é";
        same(one.set(name, "値 \u0000 ende"), "OK");
        same(two.get(name), "値 \u0000 ende");
        byte[] bytes = new byte[1024 * 1024];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (i * 7);
        byte[] key = Arrays.copyOf(bytes, 256);
        same(one.setBytes(key, bytes), "OK");
        check(Arrays.equals(two.getBytes(key), bytes), "bytes");
    }

    private static void expiry(Adapter one, Adapter two) {
        one.set("ja:brief", "x");
        same(two.ttl("ja:brief"), -1L);
        check(one.expire("ja:brief", 100), "expire");
        long left = two.ttl("ja:brief");
        check(left > 90 && left <= 100, "ttl " + left);
        check(two.pexpire("ja:brief", 30), "pexpire");
        long end = System.currentTimeMillis() + 5000;
        while (one.get("ja:brief") != null) {
            check(System.currentTimeMillis() < end, "it never expires");
        }
        same(two.ttl("ja:brief"), -2L);
        check(!one.expire("ja:brief", 100), "expire of nothing");
    }

    private static void pipelines(Adapter one, Adapter two) {
        List<String> keys = IntStream.range(0, SOME).mapToObj(i -> "ja:p:" + i).toList();
        same(one.pipelined(keys), keys);
        for (Adapter adapter : List.of(one, two)) same(adapter.scan("ja:p:*"), new HashSet<>(keys));
    }

    private static void refusals(Adapter one) {
        try {
            one.refused();
        } catch (RuntimeException error) {
            check(error.getMessage().contains("wrong number of arguments"), error.getMessage());
            same(one.get("ja:none"), null); // and the connection goes on
            return;
        }
        throw new AssertionError("GET takes two keys");
    }

    /**
     * Writes that were in flight when a node died may fail, and are done again. What was
     * acknowledged must be read.
     */
    private static void trouble(Adapter one) throws InterruptedException {
        boolean[] isOver = {false};
        Thread watcher = new Thread(() -> {
            try {
                while (System.in.read() >= 0) continue;
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            } finally {
                isOver[0] = true;
            }
        });
        watcher.setDaemon(true);
        watcher.start();
        System.out.println("running");
        for (int i = 0, left = 300; left > 0; i++) {
            long begin = System.currentTimeMillis();
            try {
                one.set("ja:t:" + i % 100, "" + i);
                same(one.get("ja:t:" + i % 100), "" + i);
                if (!watcher.isAlive() && isOver[0]) left--;
            } catch (RuntimeException error) {
                System.out.println("failed " + error.getMessage());
                Thread.sleep(20);
            }
            check(System.currentTimeMillis() - begin < TIMEOUT, "no answer");
        }
    }

    public static void main(String[] words) throws InterruptedException {
        String[] ports = words[2].split(",");
        Adapter[] two = new Adapter[2];
        for (int i = 0; i < 2; i++) {
            int port = Integer.parseInt(ports[i]);
            boolean isCluster = words[1].equals("cluster");
            two[i] = words[0].equals("jedis") ? new JedisAdapter(isCluster, port)
                : new LettuceAdapter(isCluster, port);
        }
        values(two[0], two[1]);
        expiry(two[0], two[1]);
        pipelines(two[0], two[1]);
        refusals(two[0]);
        two[1].close();
        trouble(two[0]);
        two[0].close();
        System.out.println("done");
    }
}
