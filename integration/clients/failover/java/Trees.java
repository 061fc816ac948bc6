package paddock.failover;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.NoNodeException;
import org.apache.zookeeper.KeeperException.NodeExistsException;
import org.apache.zookeeper.data.Stat;

/** A tree that both processes change, Curator's caches of it, and a znode that is there as long as its process is. */
@SuppressWarnings("deprecation") // TreeCache is, but it is what many programs have
final class Trees {
    private static final String ROOT = "/tree";
    private static final int NODES = 10;

    private final Client client;
    private final Faults faults;
    private final CuratorCache cache;
    private final TreeCache treeCache;
    private final PersistentNode present;

    Trees(Client client, Faults faults) throws Exception {
        this.client = client;
        this.faults = faults;
        cache = CuratorCache.build(client.curator, ROOT);
        cache.start();
        treeCache = new TreeCache(client.curator, ROOT);
        treeCache.start();
        String path = "/present-" + client.name;
        present = new PersistentNode(client.curator, CreateMode.EPHEMERAL, false, path, client.name.getBytes());
        present.start();
    }

    void change(int number) throws Exception {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        String path = ROOT + "/" + random.nextInt(NODES);
        try {
            if (client.curator.checkExists().forPath(path) == null) {
                client.curator.create().forPath(path, "new".getBytes());
            } else if (random.nextInt(5) == 0) {
                client.curator.delete().forPath(path);
            } else {
                client.curator.setData().forPath(path, (client.name + " " + number).getBytes());
            }
        } catch (NoNodeException | NodeExistsException e) {
            // The other was quicker, or it is ours, sent again.
        }
        Thread.sleep(5);
    }

    /** The session lives, so its znode is there. */
    void lookAtPresent() throws Exception {
        client.catchUp();
        Stat stat = client.curator.checkExists().forPath("/present-" + client.name);
        if (stat == null || stat.getEphemeralOwner() != client.session()) {
            faults.add(Claim.PRESENT, client.name + ": " + stat);
        }
    }

    /** Nobody changes the tree any more: do the caches come to be what is there? */
    void converge() throws Exception {
        client.catchUp();
        Map<String, String> there = new TreeMap<>();
        for (String name : client.curator.getChildren().forPath(ROOT)) {
            there.put(ROOT + "/" + name, client.read(ROOT + "/" + name));
        }
        if (!Client.eventually(() -> cached().equals(there))) {
            faults.add(Claim.CACHE, "CuratorCache has " + cached() + ", there is " + there);
        }
        if (!Client.eventually(() -> treeCached().equals(there))) {
            faults.add(Claim.CACHE, "TreeCache has " + treeCached() + ", there is " + there);
        }
    }

    private Map<String, String> cached() {
        Map<String, String> found = new TreeMap<>();
        cache.stream().filter(it -> !it.getPath().equals(ROOT)).forEach(it -> put(found, it));
        return found;
    }

    private Map<String, String> treeCached() {
        Map<String, String> found = new TreeMap<>();
        Map<String, ChildData> children = treeCache.getCurrentChildren(ROOT);
        if (children != null) {
            children.values().forEach(it -> put(found, it));
        }
        return found;
    }

    private static void put(Map<String, String> found, ChildData data) {
        found.put(data.getPath(), new String(data.getData()));
    }
}
