package paddock.failover;

import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.curator.RetryPolicy;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.KeeperException.BadVersionException;

/** One Curator client of all members, which must keep its session. */
final class Client implements AutoCloseable {
    /** Seconds any wait may take: far above what a sound ensemble needs. */
    static final int LIMIT_S = 60;

    private static final int SESSION_MS = 20_000;
    private static final int RETRY_MS = 20;

    final String name;
    final CuratorFramework curator;
    /** Counts what the connection became: whatever is suspended or found again. */
    final AtomicInteger changes = new AtomicInteger();
    /** Counts how often the connection was lost. */
    final AtomicInteger losses = new AtomicInteger();

    private final Faults faults;
    private final long session;
    private volatile boolean lost;

    Client(String hosts, String name, Faults faults) throws Exception {
        this(hosts, "failover-java", name, faults, new RetryForever(RETRY_MS));
    }

    Client(String hosts, String namespace, String name, Faults faults, RetryPolicy retry) throws Exception {
        this.name = name;
        this.faults = faults;
        curator = CuratorFrameworkFactory.builder()
                .connectString(hosts)
                .namespace(namespace)
                .sessionTimeoutMs(SESSION_MS)
                .connectionTimeoutMs(SESSION_MS)
                .retryPolicy(retry)
                .build();
        curator.getConnectionStateListenable().addListener((c, state) -> {
            changes.incrementAndGet();
            losses.addAndGet(state == ConnectionState.SUSPENDED ? 1 : 0);
            lost |= state == ConnectionState.LOST;
        });
        curator.start();
        if (!curator.blockUntilConnected(LIMIT_S, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no connection within " + LIMIT_S + " s");
        }
        session = session();
    }

    long session() throws Exception {
        return curator.getZookeeperClient().getZooKeeper().getSessionId();
    }

    boolean keptSession() throws Exception {
        return !lost && session() == session;
    }

    /** Tells if the session was lost, or is another. */
    void lookAtSession() throws Exception {
        if (!keptSession()) {
            faults.add(Claim.SESSION, name + (lost ? " saw LOST" : " has another session"));
        }
    }

    /** Behind a write of its own a client reads all that was written before. */
    void catchUp() throws Exception {
        curator.setData().forPath("/");
    }

    String read(String path) throws Exception {
        return new String(curator.getData().forPath(path));
    }

    /**
     * Writes `token`, which nobody else ever writes, over this version; false if another is there. Curator sends again
     * what it has no answer to, so a bad version may come from our own write.
     */
    boolean write(String path, String token, int version) throws Exception {
        try {
            curator.setData().withVersion(version).forPath(path, token.getBytes());
            return true;
        } catch (BadVersionException e) {
            return read(path).equals(token);
        }
    }

    /** Whether `condition` held in time; looks every 5 ms. */
    static boolean eventually(Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_S);
        while (!condition.call()) {
            if (System.nanoTime() - deadline > 0) {
                return false;
            }
            LockSupport.parkNanos(5_000_000);
        }
        return true;
    }

    @Override
    public void close() {
        curator.close();
    }
}
