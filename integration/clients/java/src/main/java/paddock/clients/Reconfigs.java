package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.CuratorWatcher;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;

/** Who the members are, changed by Apache's `ZooKeeperAdmin` and by Curator; each check leaves them as they were. */
final class Reconfigs {
    private static final int SESSION_MS = 20_000;
    private static final byte[] SUPER = "super:test".getBytes(UTF_8);
    /** Nobody is there: an observer need not be. */
    private static final String NOBODY = "server.9=127.0.0.1:1:2:observer;127.0.0.1:3";

    private Reconfigs() { }

    static void all(Checks checks) {
        checks.check("reconfig, one more, one fewer", Reconfigs::incremental);
        checks.check("reconfig, in full", Reconfigs::full);
        checks.check("reconfig, of a version", Reconfigs::conditional);
        checks.check("reconfig, answered by a callback", Reconfigs::callback);
        checks.check("reconfig, no quorum of it", Reconfigs::withoutQuorum);
        checks.check("reconfig, what cannot be", Reconfigs::impossible);
        checks.check("reconfig, by nobody", Reconfigs::unauthorized);
        checks.check("reconfig, Curator's", Reconfigs::curators);
    }

    private static void incremental(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, true)) {
            Config before = admin.config();
            BlockingQueue<EventType> events = Checks.queue();
            admin.zookeeper.getConfig(event -> events.add(event.getType()), null);
            Stat stat = new Stat();
            Config more = new Config(admin.zookeeper.reconfigure(NOBODY, null, null, -1, stat));
            Checks.equal("members", before.with(NOBODY), more.members);
            Checks.holds("a higher version", more.version > before.version);
            Checks.equal("the zxid of the change", more.version, stat.getMzxid());
            Checks.equal("what a watch is told", EventType.NodeDataChanged, Checks.next("the watch", events));
            admin.seen(more);
            Config fewer = new Config(admin.zookeeper.reconfigure(null, "9", null, -1, stat));
            Checks.equal("members", before.members, fewer.members);
            admin.seen(fewer);
        }
    }

    private static void full(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, true)) {
            Config before = admin.config();
            List<String> others = before.with(NOBODY);
            Config after = new Config(admin.zookeeper.reconfigure(null, null, String.join(",", others), -1, new Stat()));
            Checks.equal("members", others, after.members);
            String back = String.join(",", before.members);
            after = new Config(admin.zookeeper.reconfigure(null, null, back, after.version, new Stat()));
            Checks.equal("members", before.members, after.members);
            admin.seen(after);
        }
    }

    private static void conditional(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, true)) {
            Config before = admin.config();
            Config after = new Config(admin.zookeeper.reconfigure(NOBODY, null, null, before.version, new Stat()));
            Checks.fails(KeeperException.BadVersionException.class,
                    () -> admin.zookeeper.reconfigure(null, "9", null, before.version, new Stat()));
            admin.seen(after);
            admin.zookeeper.reconfigure(null, "9", null, after.version, new Stat());
            Checks.fails(KeeperException.BadVersionException.class,
                    () -> admin.zookeeper.reconfigure(NOBODY, null, null, after.version + 100, new Stat()));
        }
    }

    private static void callback(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, true)) {
            Config before = admin.config();
            BlockingQueue<List<String>> answers = Checks.queue();
            admin.zookeeper.reconfigure(NOBODY, null, null, -1,
                    (code, path, context, data, stat) -> answers.add(code == 0 ? new Config(data).members : List.of()), null);
            Checks.equal("members", before.with(NOBODY), Checks.next("the answer", answers));
            admin.zookeeper.reconfigure(null, "9", null, -1,
                    (code, path, context, data, stat) -> answers.add(code == 0 ? new Config(data).members : List.of()), null);
            Checks.equal("members", before.members, Checks.next("the answer", answers));
        }
    }

    private static void withoutQuorum(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, true)) {
            Config before = admin.config();
            List<String> missing = List.of("server.7=127.0.0.1:1:2;3", "server.8=127.0.0.1:4:5;6", "server.9=127.0.0.1:7:8;9");
            Checks.fails(KeeperException.NewConfigNoQuorum.class,
                    () -> admin.zookeeper.reconfigure(missing, List.of(), null, -1, new Stat()));
            admin.seen(before);
        }
    }

    private static void impossible(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, true)) {
            Config before = admin.config();
            Checks.fails(KeeperException.BadArgumentsException.class,
                    () -> admin.zookeeper.reconfigure("nonsense", null, null, -1, new Stat()));
            Checks.fails(KeeperException.MarshallingErrorException.class,
                    () -> admin.zookeeper.reconfigure(null, "one", null, -1, new Stat()));
            Checks.fails(KeeperException.BadArgumentsException.class,
                    () -> admin.zookeeper.reconfigure(null, null, "nonsense", -1, new Stat()));
            admin.seen(before);
        }
    }

    private static void unauthorized(Pair pair) throws Exception {
        try (Admin admin = new Admin(pair.server, false)) {
            Config before = admin.config();
            Checks.fails(KeeperException.NoAuthException.class,
                    () -> admin.zookeeper.reconfigure(NOBODY, null, null, -1, new Stat()));
            admin.seen(before);
        }
    }

    /** Curator's builder, and its tracker, which follows the configuration by itself. */
    private static void curators(Pair pair) throws Exception {
        try (CuratorFramework curator = CuratorFrameworkFactory.builder()
                .connectString(Admin.address(pair.server))
                .authorization("digest", SUPER)
                .retryPolicy(new ExponentialBackoffRetry(50, 10, 1_000))
                .build()) {
            curator.start();
            BlockingQueue<EventType> events = Checks.queue();
            CuratorWatcher watcher = event -> events.add(event.getType());
            Config before = new Config(curator.getConfig().usingWatcher(watcher).forEnsemble());
            Stat stat = new Stat();
            Config more = new Config(curator.reconfig().joining(NOBODY).storingStatIn(stat)
                    .fromConfig(before.version).forEnsemble());
            Checks.equal("members", before.with(NOBODY), more.members);
            Checks.equal("the zxid of the change", more.version, stat.getMzxid());
            Checks.equal("what a watch is told", EventType.NodeDataChanged, Checks.next("the watch", events));
            Checks.eventually("the tracker knows it", () -> curator.getCurrentConfig().getVersion() == more.version);
            Checks.equal("members it knows", more.members.size(), curator.getCurrentConfig().getAllMembers().size());
            Checks.fails(KeeperException.BadVersionException.class,
                    () -> curator.reconfig().leaving("9").fromConfig(before.version).forEnsemble());
            Config fewer = new Config(curator.reconfig().withNewMembers(before.members).forEnsemble());
            Checks.equal("members", before.members, fewer.members);
        }
    }

    /** What `/zookeeper/config` says: a line for each member, here in order, and the version. */
    private static final class Config {
        final List<String> members;
        final long version;

        Config(byte[] data) {
            List<String> lines = new String(data, UTF_8).lines().collect(Collectors.toList());
            String last = lines.remove(lines.size() - 1);
            members = lines.stream().sorted().collect(Collectors.toList());
            version = Long.parseLong(last.substring("version=".length()), 16);
        }

        List<String> with(String line) {
            List<String> lines = new ArrayList<>(members);
            lines.add(line);
            return lines;
        }
    }

    /** A `ZooKeeperAdmin`; the password that the suite's servers have for super is "test". */
    private static final class Admin implements AutoCloseable {
        final ZooKeeperAdmin zookeeper;

        Admin(InetSocketAddress server, boolean isSuper) throws Exception {
            CountDownLatch connected = new CountDownLatch(1);
            zookeeper = new ZooKeeperAdmin(address(server), SESSION_MS, event -> {
                if (event.getState() == KeeperState.SyncConnected) {
                    connected.countDown();
                }
            });
            Checks.holds("it connects", connected.await(Checks.LIMIT_S, TimeUnit.SECONDS));
            if (isSuper) {
                zookeeper.addAuthInfo("digest", SUPER);
            }
        }

        static String address(InetSocketAddress server) {
            return server.getHostString() + ":" + server.getPort();
        }

        Config config() throws Exception {
            return new Config(zookeeper.getConfig(false, new Stat()));
        }

        /** The configuration in force is this one. */
        void seen(Config wanted) throws Exception {
            Config found = config();
            Checks.equal("members", wanted.members, found.members);
            Checks.equal("version", wanted.version, found.version);
        }

        @Override
        public void close() throws Exception {
            zookeeper.close();
        }
    }
}
