package paddock.failover;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.BadVersionException;
import org.apache.zookeeper.KeeperException.NoNodeException;

/** One client that takes part in a LeaderLatch, and acts while it leads, each act under the token of its term. */
final class Latch {
    static final String TERM = "/term";
    static final String ACTS = "/acts";
    private static final int ACTS_A_TERM = 5;

    private final Client client;
    private final Faults faults;
    private final AtomicInteger terms = new AtomicInteger();
    private LeaderLatch latch;

    Latch(Client client, Faults faults) throws Exception {
        this.client = client;
        this.faults = faults;
        join();
    }

    private void join() throws Exception {
        latch = new LeaderLatch(client.curator, "/latch", client.name);
        latch.start();
    }

    /** Terms that came to their end. */
    int terms() {
        return terms.get();
    }

    void leave() throws Exception {
        latch.close();
    }

    /** Waits to lead, leads for a few acts, and stands at the end of the line again. */
    void lead(int number) throws Exception {
        int changes = client.changes.get();
        if (!latch.hasLeadership()) {
            Thread.sleep(1);
            return;
        }
        String name = client.name + "-" + number;
        int before = client.curator.checkExists().forPath(TERM).getVersion();
        if (!take(name, before, latch.getLastPathIsLeader())) {
            return; // it was over meanwhile
        }
        for (int act = 0; act < ACTS_A_TERM && latch.hasLeadership(); act++) {
            if (!act(name, before + 1)) {
                refused(name, changes);
                return;
            }
        }
        terms.incrementAndGet();
        latch.close();
        join();
    }

    /** Begins the term, if the znode by which we lead is still there: who led once takes nothing from who leads. */
    private boolean take(String name, int version, String by) throws Exception {
        CuratorFramework to = client.curator;
        try {
            to.transaction().forOperations(
                    to.transactionOp().check().forPath(by),
                    to.transactionOp().setData().withVersion(version).forPath(TERM, name.getBytes()));
            return true;
        } catch (BadVersionException e) {
            return client.read(TERM).equals(name); // Curator sends again what it has no answer to
        } catch (NoNodeException e) {
            return false;
        }
    }

    /** False if the term is another's by now. An act that is sent twice is there twice, under the same token. */
    private boolean act(String name, int token) throws Exception {
        CuratorFramework to = client.curator;
        byte[] what = (token + " " + name).getBytes();
        try {
            to.transaction().forOperations(
                    to.transactionOp().check().withVersion(token).forPath(TERM),
                    to.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(ACTS + "/a-", what));
            return true;
        } catch (BadVersionException e) {
            return false;
        }
    }

    /** A refusal is sound if we lost the connection since the latch was looked at; without that, two lead at a time. */
    private void refused(String name, int changes) {
        if (client.changes.get() == changes) {
            faults.add(Claim.LATCH, name + " was refused while it led, with its connection");
        }
    }

    /** How many acts there are; tells of those that are out of order. */
    static int judge(Client client, Faults faults) throws Exception {
        List<String> acts = client.curator.getChildren().forPath(ACTS).stream().sorted().toList();
        Map<Integer, String> names = new HashMap<>();
        int newest = 0;
        for (String act : acts) {
            String[] words = client.read(ACTS + "/" + act).split(" ");
            int token = Integer.parseInt(words[0]);
            String name = names.computeIfAbsent(token, t -> words[1]);
            if (token < newest || !name.equals(words[1])) {
                faults.add(Claim.ACTS, act + " is of " + words[1] + " by token " + token + " behind " + newest);
            }
            newest = Math.max(newest, token);
        }
        return acts.size();
    }
}
