package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicValue;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

/** Curator's counters. */
final class Counters {
    private static final int EACH = 50;

    private Counters() { }

    static void all(Checks checks) {
        checks.check("SharedCount", Counters::shared);
        checks.check("SharedValue", Counters::value);
        checks.check("DistributedAtomicLong", Counters::atomic);
        checks.check("DistributedAtomicInteger", Counters::atomicInteger);
        checks.check("DistributedAtomicValue", Counters::compareAndSet);
    }

    private static SharedCount count(Peer peer, BlockingQueue<Integer> seen) throws Exception {
        SharedCount count = new SharedCount(peer.curator, "/count", 7);
        count.addListener(new SharedCountListener() {
            @Override
            public void countHasChanged(SharedCountReader reader, int value) {
                seen.add(value);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) { }
        });
        count.start();
        return count;
    }

    private static void shared(Pair pair) throws Exception {
        BlockingQueue<Integer> seen = Checks.queue();
        try (SharedCount a = count(pair.a, Checks.queue()); SharedCount b = count(pair.b, seen)) {
            Checks.equal("the seed", 7, b.getCount());
            a.setCount(8);
            Checks.equal("what B is told", 8, Checks.next("the change", seen));
            VersionedValue<Integer> old = b.getVersionedValue();
            pair.b.reconnect(() -> a.setCount(9));
            Checks.equal("what B missed", 9, Checks.next("the change while cut off", seen));
            Checks.holds("a stale version is refused", !b.trySetCount(old, 100));
            Checks.eventually("the newest is taken", () -> b.trySetCount(b.getVersionedValue(), 10));
            Checks.eventually("A sees it", () -> a.getCount() == 10);
        }
    }

    private static void value(Pair pair) throws Exception {
        try (SharedValue a = new SharedValue(pair.a.curator, "/value", bytes("seed"));
                SharedValue b = new SharedValue(pair.b.curator, "/value", bytes("other seed"))) {
            a.start();
            b.start();
            Checks.equal("the first seed stays", "seed", text(b.getValue()));
            pair.b.reconnect(() -> a.setValue(bytes("new")));
            Checks.eventually("B sees what it missed", () -> "new".equals(text(b.getValue())));
            Checks.eventually("B sets it", () -> b.trySetValue(b.getVersionedValue(), bytes("last")));
            Checks.eventually("A sees it", () -> "last".equals(text(a.getValue())));
        }
    }

    private static void compareAndSet(Pair pair) throws Exception {
        DistributedAtomicValue a = new DistributedAtomicValue(pair.a.curator, "/cas", new RetryNTimes(3, 1));
        DistributedAtomicValue b = new DistributedAtomicValue(pair.b.curator, "/cas", new RetryNTimes(3, 1));
        Checks.holds("the first one", a.initialize(bytes("1")));
        Checks.holds("not the second one", !b.initialize(bytes("2")));
        pair.a.reconnect();
        Checks.holds("from what it is", b.compareAndSet(bytes("1"), bytes("3")).succeeded());
        Checks.holds("not from what it was", !a.compareAndSet(bytes("1"), bytes("4")).succeeded());
        pair.b.reconnect();
        Checks.equal("at the end", "3", text(b.get().postValue()));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(UTF_8);
    }

    private static String text(byte[] bytes) {
        return new String(bytes, UTF_8);
    }

    private static DistributedAtomicLong atomic(Peer peer) {
        PromotedToLock lock = PromotedToLock.builder()
                .lockPath("/atomic-lock")
                .retryPolicy(new RetryNTimes(10, 1))
                .build();
        return new DistributedAtomicLong(peer.curator, "/atomic", new RetryNTimes(3, 1), lock);
    }

    private static Void increment(DistributedAtomicLong number) throws Exception {
        for (int i = 0; i < EACH; i++) {
            // False means that others were faster each time, and that nothing was changed: ask again.
            int tries = 0;
            while (!number.increment().succeeded()) {
                Checks.holds("an increment in 100 tries", ++tries < 100);
            }
        }
        return null;
    }

    private static void atomic(Pair pair) throws Exception {
        DistributedAtomicLong a = atomic(pair.a);
        DistributedAtomicLong b = atomic(pair.b);
        a.forceSet(0L);
        try (Checks.Worker onA = new Checks.Worker(); Checks.Worker onB = new Checks.Worker()) {
            for (int round = 1; round <= 2; round++) {
                Future<Void> counting = onA.start(() -> increment(a));
                onB.call(() -> increment(b));
                Checks.result(counting);
                Checks.equal("the sum", 2L * round * EACH, b.get().postValue());
                pair.a.reconnect();
            }
        }
    }

    private static DistributedAtomicInteger atomicInteger(Peer peer) {
        return new DistributedAtomicInteger(peer.curator, "/integer", new RetryNTimes(3, 1));
    }

    private static void atomicInteger(Pair pair) throws Exception {
        DistributedAtomicInteger a = atomicInteger(pair.a);
        DistributedAtomicInteger b = atomicInteger(pair.b);
        Checks.holds("A sets it first", a.initialize(40));
        Checks.holds("not B too", !b.initialize(1));
        pair.b.reconnect(() -> Checks.equal("added", 42, a.add(2).postValue()));
        Checks.equal("B finds what it missed", 42, b.get().postValue());
        Checks.equal("subtracted", 40, b.subtract(2).postValue());
        pair.a.reconnect();
        Checks.equal("A sees it", 40, a.get().postValue());
    }
}
