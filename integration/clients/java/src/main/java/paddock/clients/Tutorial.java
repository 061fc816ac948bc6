package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.InetSocketAddress;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** What every introduction to ZooKeeper does, with Apache's plain client. */
final class Tutorial {
    private Tutorial() { }

    static void all(Checks checks) {
        checks.check("tutorial: create, read with a watcher, write, delete", Tutorial::life);
        checks.check("tutorial: a stale version is refused", Tutorial::versions);
        checks.check("tutorial: sequential names count up", Tutorial::sequential);
        checks.check("tutorial: an ephemeral goes with its session", Tutorial::ephemeral);
        checks.check("tutorial: a multi happens whole or not at all", Tutorial::multi);
        checks.check("tutorial: a recursive persistent watch", Tutorial::recursive);
        checks.check("plain client: every kind of watch outlives a reconnect", Tutorial::reconnect);
    }

    private static void life(Pair pair) throws Exception {
        try (Plain one = new Plain(pair.server)) {
            String path = one.root + "/MyFirstZnode";
            one.zk.create(path, "first".getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            BlockingQueue<WatchedEvent> seen = Checks.queue();
            Stat read = new Stat();
            Checks.equal("data", "first", new String(one.zk.getData(path, seen::add, read), UTF_8));
            Stat found = one.zk.exists(path, false);
            Checks.equal("stat of getData and exists", read, found);

            Stat written = one.zk.setData(path, "Success".getBytes(UTF_8), found.getVersion());
            Checks.equal("version", found.getVersion() + 1, written.getVersion());
            WatchedEvent event = Checks.next("the watch", seen);
            Checks.equal("event", EventType.NodeDataChanged, event.getType());
            Checks.equal("event's path", path, event.getPath());
            Checks.equal("event's zxid", written.getMzxid(), event.getZxid());

            one.zk.delete(path, one.zk.exists(path, true).getVersion());
            Checks.equal("after the delete", null, one.zk.exists(path, false));
        }
    }

    private static void versions(Pair pair) throws Exception {
        try (Plain one = new Plain(pair.server)) {
            String path = one.create("/config", CreateMode.PERSISTENT);
            int version = one.zk.exists(path, false).getVersion();
            one.zk.setData(path, "new".getBytes(UTF_8), version);
            Checks.fails(KeeperException.BadVersionException.class, () -> one.zk.setData(path, null, version));
            Checks.fails(KeeperException.BadVersionException.class, () -> one.zk.delete(path, version));
            Checks.fails(KeeperException.NoNodeException.class, () -> one.zk.delete(path + "/none", -1));
            Checks.fails(KeeperException.NodeExistsException.class, () -> one.create("/config", CreateMode.PERSISTENT));
            Checks.equal("data", "new", new String(one.zk.getData(path, false, null), UTF_8));
        }
    }

    private static void sequential(Pair pair) throws Exception {
        try (Plain one = new Plain(pair.server)) {
            for (int i = 0; i < 3; i++) {
                String path = one.create("/task-", CreateMode.PERSISTENT_SEQUENTIAL);
                Checks.equal("name", one.root + String.format("/task-%010d", i), path);
            }
            List<String> names = one.zk.getChildren(one.root, false);
            Checks.equal("children", 3, names.size());
        }
    }

    private static void ephemeral(Pair pair) throws Exception {
        try (Plain one = new Plain(pair.server)) {
            Plain two = new Plain(pair.server);
            String path = two.create("/alive", CreateMode.EPHEMERAL);
            BlockingQueue<WatchedEvent> seen = Checks.queue();
            Stat stat = one.zk.exists(path, seen::add);
            Checks.equal("owner", two.zk.getSessionId(), stat.getEphemeralOwner());
            Checks.equal("its ephemerals", List.of(path), two.zk.getEphemerals());
            Checks.fails(KeeperException.NoChildrenForEphemeralsException.class,
                    () -> two.create("/alive/child", CreateMode.PERSISTENT));
            two.close();
            Checks.equal("event", EventType.NodeDeleted, Checks.next("the end", seen).getType());
        }
    }

    private static void multi(Pair pair) throws Exception {
        try (Plain one = new Plain(pair.server)) {
            Op first = Op.create(one.root + "/x", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Op second = Op.create(one.root + "/x/y", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Checks.fails(KeeperException.BadVersionException.class,
                    () -> one.zk.multi(List.of(first, second, Op.check(one.root + "/x", 7))));
            Checks.equal("nothing of it", null, one.zk.exists(one.root + "/x", false));
            Checks.equal("results", 3, one.zk.multi(List.of(first, second, Op.check(one.root + "/x", 0))).size());
            Checks.equal("one zxid for both", one.zk.exists(one.root + "/x", false).getCzxid(),
                    one.zk.exists(one.root + "/x/y", false).getCzxid());
        }
    }

    private static void recursive(Pair pair) throws Exception {
        try (Plain one = new Plain(pair.server); Plain two = new Plain(pair.server)) {
            BlockingQueue<WatchedEvent> seen = Checks.queue();
            two.zk.addWatch(one.root, seen::add, AddWatchMode.PERSISTENT_RECURSIVE);
            String top = one.create("/top", CreateMode.PERSISTENT);
            one.create("/top/below", CreateMode.PERSISTENT);
            one.zk.setData(top + "/below", new byte[1], -1);
            one.zk.delete(top + "/below", -1);
            for (Object[] wanted : new Object[][] {
                {EventType.NodeCreated, top},
                {EventType.NodeCreated, top + "/below"},
                {EventType.NodeDataChanged, top + "/below"},
                {EventType.NodeDeleted, top + "/below"},
            }) {
                WatchedEvent event = Checks.next("event", seen);
                Checks.equal("type", wanted[0], event.getType());
                Checks.equal("path", wanted[1], event.getPath());
            }
        }
    }

    /** What happens while cut off is told afterwards; what happens later, too. */
    private static void reconnect(Pair pair) throws Exception {
        try (Relay relay = new Relay(pair.server); Plain one = new Plain(pair.server);
                Plain two = new Plain(relay.address())) {
            String data = one.create("/data", CreateMode.PERSISTENT);
            String parent = one.create("/parent", CreateMode.PERSISTENT);
            String later = one.root + "/later";
            BlockingQueue<WatchedEvent> seen = Checks.queue();
            two.zk.getData(data, seen::add, null);
            two.zk.exists(later, seen::add);
            two.zk.getChildren(parent, seen::add);
            BlockingQueue<WatchedEvent> persistent = Checks.queue();
            BlockingQueue<WatchedEvent> recursive = Checks.queue();
            two.zk.addWatch(data, persistent::add, AddWatchMode.PERSISTENT);
            two.zk.addWatch(parent, recursive::add, AddWatchMode.PERSISTENT_RECURSIVE);
            long session = two.zk.getSessionId();

            relay.down();
            two.await(KeeperState.Disconnected);
            one.zk.setData(data, new byte[1], -1);
            one.create("/later", CreateMode.PERSISTENT);
            String child = one.create("/parent/child", CreateMode.PERSISTENT);
            relay.up();
            two.await(KeeperState.SyncConnected);
            Checks.equal("session after the reconnect", session, two.zk.getSessionId());

            Set<String> missed = new HashSet<>();
            while (missed.size() < 3) {
                WatchedEvent event = Checks.next("what was missed", seen);
                if (event.getType() != EventType.None) {
                    missed.add(event.getType() + " " + event.getPath());
                }
            }
            Checks.equal("missed", Set.of("NodeDataChanged " + data, "NodeCreated " + later,
                    "NodeChildrenChanged " + parent), missed);
            one.zk.setData(data, new byte[2], -1);
            one.zk.setData(child, new byte[2], -1);
            Checks.eventually("the persistent watch goes on", () -> fired(persistent, EventType.NodeDataChanged, data));
            Checks.eventually("the recursive one as well", () -> fired(recursive, EventType.NodeDataChanged, child));
            one.zk.setData(data, new byte[3], -1); // the one-shot watches are spent
            Checks.eventually("again", () -> fired(persistent, EventType.NodeDataChanged, data));
            Checks.holds("each fired once", seen.stream().allMatch(event -> event.getType() == EventType.None));
        }
    }

    /** Whether such an event is among those that came, which are then gone. */
    private static boolean fired(BlockingQueue<WatchedEvent> events, EventType type, String path) {
        for (WatchedEvent event = events.poll(); event != null; event = events.poll()) {
            if (event.getType() == type && path.equals(event.getPath())) {
                return true;
            }
        }
        return false;
    }

    /** A plain client and a folder of its own to work in. */
    private static final class Plain implements AutoCloseable {
        final ZooKeeper zk;
        final String root;

        private final BlockingQueue<WatchedEvent> states = Checks.queue();

        Plain(InetSocketAddress server) throws Exception {
            this(server.getHostString() + ":" + server.getPort());
        }

        Plain(String server) throws Exception {
            zk = new ZooKeeper(server, 20_000, states::add);
            await(KeeperState.SyncConnected);
            root = zk.create("/tutorial-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
        }

        void await(KeeperState wanted) throws InterruptedException {
            Checks.equal("state", wanted, Checks.next("the connection", states).getState());
        }

        String create(String name, CreateMode mode) throws Exception {
            return zk.create(root + name, new byte[0], Ids.OPEN_ACL_UNSAFE, mode);
        }

        @Override
        public void close() throws InterruptedException {
            zk.close();
        }
    }
}
