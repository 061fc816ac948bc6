package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.data.Stat;

/** Curator's znodes that are kept in being, and its transaction. */
final class Nodes {
    private static final byte[] DATA = "here".getBytes(UTF_8);

    /** Of a znode that is to go: several times what a thread may be late on a loaded machine. */
    private static final int TTL_MS = 3_000;

    private Nodes() { }

    static void all(Checks checks) {
        checks.check("PersistentNode", Nodes::persistent);
        checks.check("PersistentTtlNode", Nodes::ttl);
        checks.check("GroupMember", Nodes::group);
        checks.check("transaction", Nodes::transaction);
    }

    /** Needs a server that looks often for what is due. */
    static void reaped(Checks checks) {
        checks.check("PersistentTtlNode, its owner stops", Nodes::ttlEnds);
    }

    private static void persistent(Pair pair) throws Exception {
        CuratorFramework b = pair.b.curator;
        try (PersistentNode node = new PersistentNode(pair.a.curator, CreateMode.EPHEMERAL, false, "/kept", DATA)) {
            node.start();
            Checks.holds("it is created", node.waitForInitialCreate(Checks.LIMIT_S, TimeUnit.SECONDS));
            long first = b.checkExists().forPath("/kept").getCzxid();
            b.delete().forPath("/kept");
            Checks.eventually("it returns when deleted", () -> {
                Stat stat = b.checkExists().forPath("/kept");
                return stat != null && stat.getCzxid() > first;
            });
            pair.a.reconnect();
            Checks.equal("its owner", pair.a.sessionId(), b.checkExists().forPath("/kept").getEphemeralOwner());
            pair.a.expire();
            Checks.eventually("it returns with the new session", () -> {
                Stat stat = b.checkExists().forPath("/kept");
                return stat != null && stat.getEphemeralOwner() == pair.a.sessionId();
            });
        }
        Checks.equal("after the close", null, b.checkExists().forPath("/kept"));
    }

    private static void ttl(Pair pair) throws Exception {
        CuratorFramework b = pair.b.curator;
        String touched = "/ttl/" + PersistentTtlNode.DEFAULT_CHILD_NODE_NAME;
        try (PersistentTtlNode node = new PersistentTtlNode(pair.a.curator, "/ttl", 2_000, DATA)) {
            node.start();
            Checks.holds("it is created", node.waitForInitialCreate(Checks.LIMIT_S, TimeUnit.SECONDS));
            Checks.equal("its data", "here", new String(b.getData().forPath("/ttl"), UTF_8));
            Checks.eventually("its TTL child is created", () -> b.checkExists().forPath(touched) != null);
            for (int i = 0; i < 2; i++) {
                long before = b.checkExists().forPath(touched).getMzxid();
                Checks.eventually("it is touched", () -> b.checkExists().forPath(touched).getMzxid() > before);
                pair.a.reconnect();
            }
            Checks.equal("no owner to see", 0L, b.checkExists().forPath(touched).getEphemeralOwner());
        }
    }

    /** On a server that looks often for what is due: kept while its owner runs, and gone when it has stopped. */
    private static void ttlEnds(Pair pair) throws Exception {
        CuratorFramework b = pair.b.curator;
        String touched = "/ttl/" + PersistentTtlNode.DEFAULT_CHILD_NODE_NAME;
        BlockingQueue<EventType> seen = Checks.queue();
        Watcher watcher = event -> {
            if (event.getType() != EventType.None) {
                seen.add(event.getType());
            }
        };
        ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor(Checks::daemon);
        // Touched ten times in each TTL: an owner that is late by less than nine tenths of it loses nothing.
        try (PersistentTtlNode node = new PersistentTtlNode(pair.a.curator, thread, "/ttl", TTL_MS, DATA,
                PersistentTtlNode.DEFAULT_CHILD_NODE_NAME, 10)) {
            node.start();
            Checks.eventually("its TTL child is created", () -> b.checkExists().forPath(touched) != null);
            // Itself it is kept by its child alone: nobody touches it.
            b.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(watcher).forPath("/ttl");
            b.create().withTtl(2 * TTL_MS).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/untouched", DATA);
            pair.b.reconnect();
            Checks.eventually("what nobody touches goes", () -> b.checkExists().forPath("/untouched") == null);
            Checks.equal("what happened while its owner ran", List.of(), List.copyOf(seen));
            Checks.holds("it is touched", b.checkExists().forPath(touched).getVersion() > 0);
        } finally {
            thread.shutdownNow();
        }
        Checks.equal("its child goes", EventType.NodeChildrenChanged, Checks.next("the child's end", seen));
        Checks.equal("and itself", EventType.NodeDeleted, Checks.next("its own end", seen));
        Checks.equal("after that", null, b.checkExists().forPath("/ttl"));
    }

    private static Set<String> members(GroupMember member) {
        return member.getCurrentMembers().keySet();
    }

    private static void group(Pair pair) throws Exception {
        GroupMember a = new GroupMember(pair.a.curator, "/group", "a", DATA);
        try (GroupMember b = new GroupMember(pair.b.curator, "/group", "b", DATA)) {
            a.start();
            b.start();
            Checks.eventually("A sees both", () -> members(a).equals(Set.of("a", "b")));
            Checks.eventually("B sees both", () -> members(b).equals(Set.of("a", "b")));
            pair.b.reconnect(() -> {
                a.setThisData("moved".getBytes(UTF_8));
                Checks.eventually("A sees its own change", () -> "moved".equals(dataOf(a, "a")));
            });
            Checks.eventually("B sees what it missed", () -> "moved".equals(dataOf(b, "a")));
            a.close();
            Checks.eventually("B is alone", () -> members(b).equals(Set.of("b")));
        }
    }

    private static String dataOf(GroupMember seenBy, String member) {
        byte[] data = seenBy.getCurrentMembers().get(member);
        return data == null ? null : new String(data, UTF_8);
    }

    private static void transaction(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        a.create().creatingParentContainersIfNeeded().forPath("/txn/x", DATA);
        pair.a.reconnect();
        int results = a.transaction().forOperations(List.of(
                a.transactionOp().check().withVersion(0).forPath("/txn/x"),
                a.transactionOp().create().forPath("/txn/y", DATA),
                a.transactionOp().setData().withVersion(0).forPath("/txn/x", DATA),
                a.transactionOp().delete().forPath("/txn/y"))).size();
        Checks.equal("results", 4, results);
        Checks.equal("version", 1, pair.b.curator.checkExists().forPath("/txn/x").getVersion());
        Checks.equal("created and deleted", null, pair.b.curator.checkExists().forPath("/txn/y"));
    }
}
