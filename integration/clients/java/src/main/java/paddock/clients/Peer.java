package paddock.clients;

import java.net.InetSocketAddress;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

/** One Curator client behind a relay of its own. */
final class Peer implements AutoCloseable {
    private static final int SESSION_MS = 20_000;

    final CuratorFramework curator;
    private final InetSocketAddress server;
    private final Relay relay;
    private final BlockingQueue<ConnectionState> states = new LinkedBlockingQueue<>();

    Peer(InetSocketAddress server, String namespace) throws Exception {
        this.server = server;
        relay = new Relay(server);
        curator = CuratorFrameworkFactory.builder()
                .connectString(relay.address())
                .namespace(namespace)
                .sessionTimeoutMs(SESSION_MS)
                .connectionTimeoutMs(SESSION_MS)
                .retryPolicy(new ExponentialBackoffRetry(50, 10, 1_000))
                .build();
        curator.getConnectionStateListenable().addListener((c, state) -> states.add(state));
        curator.start();
        await(ConnectionState.CONNECTED);
    }

    long sessionId() throws Exception {
        return curator.getZookeeperClient().getZooKeeper().getSessionId();
    }

    /** Cuts the connection and returns once the client has it again, on the same session. */
    void reconnect() throws Exception {
        reconnect(() -> { });
    }

    /** Like {@link #reconnect()}; `meanwhile` runs while this client is cut off and knows it. */
    void reconnect(Action meanwhile) throws Exception {
        long before = sessionId();
        relay.down();
        await(ConnectionState.SUSPENDED);
        meanwhile.run();
        relay.up();
        await(ConnectionState.RECONNECTED);
        Checks.equal("session after the reconnect", before, sessionId());
    }

    /** Ends this client's session behind its back and returns once it has a new one. */
    void expire() throws Exception {
        ZooKeeper mine = curator.getZookeeperClient().getZooKeeper();
        long before = mine.getSessionId();
        CountDownLatch attached = new CountDownLatch(1);
        ZooKeeper thief = new ZooKeeper(
                server.getHostString() + ":" + server.getPort(), SESSION_MS,
                event -> {
                    if (event.getState() == KeeperState.SyncConnected) {
                        attached.countDown();
                    }
                },
                before, mine.getSessionPasswd());
        Checks.holds("a second client took the session over", attached.await(Checks.LIMIT_S, TimeUnit.SECONDS));
        thief.close();
        await(ConnectionState.LOST);
        await(ConnectionState.RECONNECTED);
        Checks.holds("a new session after the expiry", before != sessionId());
    }

    private void await(ConnectionState wanted) throws InterruptedException {
        for (ConnectionState state = null; state != wanted; ) {
            state = states.poll(Checks.LIMIT_S, TimeUnit.SECONDS);
            if (state == null) {
                throw new AssertionError("the connection never became " + wanted);
            }
        }
    }

    @Override
    public void close() throws Exception {
        curator.close();
        relay.close();
    }

    interface Action {
        void run() throws Exception;
    }
}
