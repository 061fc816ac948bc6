package paddock.failover;

import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;

/** A one-shot watch of one client, left before the leader is killed: it moves to another member with the session. */
final class Watch {
    static final String PATH = "/watched";

    private final Client client;
    private final Faults faults;
    private AtomicInteger fired;

    Watch(Client client, Faults faults) throws Exception {
        this.client = client;
        this.faults = faults;
        leave();
    }

    private void leave() throws Exception {
        client.catchUp(); // or a change of before would be its first
        AtomicInteger mine = new AtomicInteger();
        fired = mine;
        client.curator.getData().usingWatcher((Watcher) event -> {
            boolean sound = event.getType() == EventType.NodeDataChanged && mine.incrementAndGet() == 1;
            if (!sound && event.getType() != EventType.None) { // none: of the connection
                faults.add(Claim.WATCH, client.name + ": " + event + ", after " + mine);
            }
        }).forPath(PATH);
    }

    /** To be called before {@link #changed()}: our client is connected again once it has an answer. */
    void unchanged() throws Exception {
        client.curator.checkExists().forPath(PATH);
        if (fired.get() != 0) {
            faults.add(Claim.WATCH, client.name + ": it fired without a change");
        }
    }

    /** After one change, and another. */
    void changed() throws Exception {
        if (!Client.eventually(() -> fired.get() == 1)) {
            faults.add(Claim.WATCH, client.name + ": it fired " + fired.get() + " times");
        }
        leave();
    }
}
