package paddock.failover;

import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;

/** One process's part in a LeaderLatch: it leads for a few ms and stands at the end of the line again. */
final class Terms implements LeaderLatchListener {
    private static final int TERM_MS = 5;

    private final Client client;
    private final Notes notes;
    private final Faults faults;
    private LeaderLatch latch;
    private long began; // 0 while it does not lead

    Terms(Client client, Notes notes, Faults faults) {
        this.client = client;
        this.notes = notes;
        this.faults = faults;
    }

    void lead() throws Exception {
        if (latch == null) {
            latch = new LeaderLatch(client.curator, "/latch", client.name);
            latch.addListener(this);
            latch.start();
        }
        if (latch.await(100, TimeUnit.MILLISECONDS)) {
            Thread.sleep(TERM_MS);
            leave();
        }
    }

    void leave() throws Exception {
        notLeader(); // it is said of a latch that closes when it is too late
        if (latch != null) {
            latch.close();
            latch = null;
        }
    }

    @Override
    public synchronized void isLeader() {
        began = System.nanoTime();
    }

    @Override
    public synchronized void notLeader() {
        if (began != 0) {
            try {
                notes.note("latch", "held", "latch", began, System.nanoTime());
            } catch (Exception e) {
                faults.add(Claim.PROGRESS, "latch: " + e);
            }
        }
        began = 0;
    }
}
