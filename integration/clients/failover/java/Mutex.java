package paddock.failover;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.zookeeper.KeeperException.ConnectionLossException;

/** One client that takes Curator's mutex again and again. */
final class Mutex {
    static final String FENCE = "/fence";

    private final Client client;
    private final Faults faults;
    private final InterProcessMutex mutex;
    private final AtomicInteger held = new AtomicInteger();

    Mutex(Client client, Faults faults) {
        this.client = client;
        this.faults = faults;
        mutex = new InterProcessMutex(client.curator, "/mutex");
    }

    int held() {
        return held.get();
    }

    /** Whoever holds the mutex is the only one to write the fence: its version stands still but for our own writes. */
    void hold(int number) throws Exception {
        if (!mutex.acquire(Client.LIMIT_S, TimeUnit.SECONDS)) {
            faults.add(Claim.MUTEX, client.name + ": no mutex within " + Client.LIMIT_S + " s");
            return;
        }
        String token = client.name + "-" + number;
        int version = client.curator.checkExists().forPath(FENCE).getVersion();
        for (int write = 0; write < 2; write++) {
            if (!client.write(FENCE, token + "-" + write, version + write)) {
                faults.add(Claim.MUTEX, token + ": the fence was written by " + client.read(FENCE));
                break;
            }
        }
        try {
            mutex.release();
        } catch (ConnectionLossException e) {
            // Curator deletes the znode later.
        }
        held.incrementAndGet();
    }
}
