// SPDX-License-Identifier: Apache-2.0

import java.util.List;
import java.util.Map;
import java.util.Set;

/** What the scenario uses of a client. A failed operation throws a RuntimeException. */
interface Adapter {
    String get(String key);

    byte[] getBytes(byte[] key);

    String set(String key, String value);

    String setBytes(byte[] key, byte[] value);

    long del(String key);

    String mset(Map<String, String> values);

    /** null for a key without a value. */
    List<String> mget(String... keys);

    long ttl(String key);

    boolean expire(String key, long seconds);

    boolean pexpire(String key, long ms);

    /** Sets every key to its own name, as many at once as the client can, and reads them likewise. */
    List<String> pipelined(List<String> keys);

    /** The keys that match, on all nodes. */
    Set<String> scan(String pattern);

    /** GET with an argument too many. */
    void refused();

    void close();
}
