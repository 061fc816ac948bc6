package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher.Event.EventType;

/** Curator's views of a subtree, kept by persistent watches; what happens while cut off must show as well. */
final class Watching {
    private Watching() { }

    static void all(Checks checks) {
        checks.check("CuratorCache", Watching::cache);
        checks.check("CuratorCache, one znode", Watching::single);
        checks.check("TreeCache", Watching::tree);
        checks.check("PathChildrenCache", Watching::children);
        checks.check("NodeCache", Watching::node);
        checks.check("PersistentWatcher", Watching::watcher);
    }

    private static String data(CuratorCache cache, String path) {
        return cache.get(path).map(ChildData::getData).map(bytes -> new String(bytes, UTF_8)).orElse(null);
    }

    private static void put(CuratorFramework curator, String path, String data) throws Exception {
        curator.create().orSetData().creatingParentsIfNeeded().forPath(path, data.getBytes(UTF_8));
    }

    private static CuratorCache start(Peer peer, String path, CuratorCache.Options... options) throws Exception {
        CuratorCache cache = CuratorCache.build(peer.curator, path, options);
        CountDownLatch filled = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(filled::countDown).build());
        cache.start();
        Checks.holds("the cache is filled", filled.await(Checks.LIMIT_S, TimeUnit.SECONDS));
        return cache;
    }

    private static void cache(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        put(a, "/tree/old", "1");
        put(a, "/tree/gone", "1");
        try (CuratorCache cache = start(pair.b, "/tree")) {
            Checks.equal("found at the start", "1", data(cache, "/tree/old"));
            put(a, "/tree/new/leaf", "2");
            put(a, "/tree/old", "3");
            Checks.eventually("a created leaf", () -> "2".equals(data(cache, "/tree/new/leaf")));
            Checks.eventually("a changed one", () -> "3".equals(data(cache, "/tree/old")));
            pair.b.reconnect(() -> {
                put(a, "/tree/unseen", "4");
                put(a, "/tree/old", "5");
                a.delete().forPath("/tree/gone");
            });
            Checks.eventually("created while cut off", () -> "4".equals(data(cache, "/tree/unseen")));
            Checks.eventually("changed while cut off", () -> "5".equals(data(cache, "/tree/old")));
            Checks.eventually("deleted while cut off", () -> data(cache, "/tree/gone") == null);
            put(a, "/tree/later", "6");
            a.delete().deletingChildrenIfNeeded().forPath("/tree/new");
            Checks.eventually("created afterwards", () -> "6".equals(data(cache, "/tree/later")));
            Checks.eventually("deleted afterwards", () -> data(cache, "/tree/new/leaf") == null);
            pair.b.expire();
            put(a, "/tree/last", "7");
            Checks.eventually("created after the expiry", () -> "7".equals(data(cache, "/tree/last")));
            Checks.eventually("all of it", () -> cache.size() == 5);
        }
    }

    private static void single(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        put(a, "/one", "1");
        try (CuratorCache cache = start(pair.b, "/one", CuratorCache.Options.SINGLE_NODE_CACHE)) {
            put(a, "/one/child", "x");
            put(a, "/one", "2");
            Checks.eventually("changed", () -> "2".equals(data(cache, "/one")));
            pair.b.reconnect(() -> put(a, "/one", "3"));
            Checks.eventually("changed while cut off", () -> "3".equals(data(cache, "/one")));
            Checks.equal("no child", 1, cache.size());
        }
    }

    /** The older cache, which lives on one-shot watches that it sets again and again. */
    @SuppressWarnings("deprecation") // much is still built on it
    private static void tree(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        put(a, "/old/kept", "1");
        put(a, "/old/gone", "1");
        CountDownLatch filled = new CountDownLatch(1);
        try (TreeCache cache = new TreeCache(pair.b.curator, "/old")) {
            cache.getListenable().addListener((curator, event) -> {
                if (event.getType() == TreeCacheEvent.Type.INITIALIZED) {
                    filled.countDown();
                }
            });
            cache.start();
            Checks.holds("the cache is filled", filled.await(Checks.LIMIT_S, TimeUnit.SECONDS));
            for (int i = 2; i < 5; i++) {
                String wanted = "" + i;
                put(a, "/old/kept", wanted);
                put(a, "/old/new/leaf", wanted);
                Checks.eventually("changed", () -> wanted.equals(data(cache, "/old/kept")));
                Checks.eventually("created or changed below", () -> wanted.equals(data(cache, "/old/new/leaf")));
            }
            pair.b.reconnect(() -> {
                put(a, "/old/unseen", "5");
                put(a, "/old/kept", "5");
                a.delete().forPath("/old/gone");
            });
            Checks.eventually("created while cut off", () -> "5".equals(data(cache, "/old/unseen")));
            Checks.eventually("changed while cut off", () -> "5".equals(data(cache, "/old/kept")));
            Checks.eventually("deleted while cut off", () -> cache.getCurrentData("/old/gone") == null);
            a.delete().deletingChildrenIfNeeded().forPath("/old/new");
            Checks.eventually("deleted afterwards", () -> cache.getCurrentData("/old/new") == null);
        }
    }

    @SuppressWarnings("deprecation")
    private static String data(TreeCache cache, String path) {
        return text(cache.getCurrentData(path));
    }

    /** The oldest caches, still in many programs: of one znode's children, and of one znode. */
    @SuppressWarnings("deprecation")
    private static void children(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        put(a, "/children/kept", "1");
        put(a, "/children/gone", "1");
        try (PathChildrenCache cache = new PathChildrenCache(pair.b.curator, "/children", true)) {
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            Checks.equal("found at the start", "1", text(cache.getCurrentData("/children/kept")));
            put(a, "/children/kept", "2");
            put(a, "/children/new", "2");
            Checks.eventually("changed", () -> "2".equals(text(cache.getCurrentData("/children/kept"))));
            Checks.eventually("created", () -> "2".equals(text(cache.getCurrentData("/children/new"))));
            pair.b.reconnect(() -> {
                put(a, "/children/unseen", "3");
                put(a, "/children/kept", "3");
                a.delete().forPath("/children/gone");
            });
            Checks.eventually("created while cut off", () -> "3".equals(text(cache.getCurrentData("/children/unseen"))));
            Checks.eventually("changed while cut off", () -> "3".equals(text(cache.getCurrentData("/children/kept"))));
            Checks.eventually("deleted while cut off", () -> cache.getCurrentData("/children/gone") == null);
            Checks.equal("all of them", 3, cache.getCurrentData().size());
        }
    }

    @SuppressWarnings("deprecation")
    private static void node(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        try (NodeCache cache = new NodeCache(pair.b.curator, "/node")) {
            cache.start(true);
            Checks.equal("not there yet", null, cache.getCurrentData());
            put(a, "/node", "1");
            Checks.eventually("created", () -> "1".equals(text(cache.getCurrentData())));
            pair.b.reconnect(() -> put(a, "/node", "2"));
            Checks.eventually("changed while cut off", () -> "2".equals(text(cache.getCurrentData())));
            pair.b.reconnect(() -> a.delete().forPath("/node"));
            Checks.eventually("deleted while cut off", () -> cache.getCurrentData() == null);
        }
    }

    private static String text(ChildData found) {
        return found == null ? null : new String(found.getData(), UTF_8);
    }

    private static void watcher(Pair pair) throws Exception {
        CuratorFramework a = pair.a.curator;
        put(a, "/watched", "1");
        BlockingQueue<WatchedEvent> seen = Checks.queue();
        CountDownLatch set = new CountDownLatch(1);
        try (PersistentWatcher watcher = new PersistentWatcher(pair.b.curator, "/watched", true)) {
            watcher.getListenable().addListener(event -> {
                if (event.getType() != EventType.None) {
                    seen.add(event);
                }
            });
            watcher.getResetListenable().addListener(set::countDown);
            watcher.start();
            Checks.holds("the watch is set", set.await(Checks.LIMIT_S, TimeUnit.SECONDS));
            put(a, "/watched/x", "1");
            Checks.equal("created", EventType.NodeCreated, Checks.next("created", seen).getType());
            pair.b.reconnect();
            put(a, "/watched/x", "2");
            Checks.equal("changed", EventType.NodeDataChanged, Checks.next("changed", seen).getType());
            a.delete().forPath("/watched/x");
            Checks.equal("deleted", EventType.NodeDeleted, Checks.next("deleted", seen).getType());
        }
    }
}
