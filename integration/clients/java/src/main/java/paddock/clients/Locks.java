package paddock.clients;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.RevocationListener;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.shared.SharedCount;

/** Curator's locks. A lock belongs to the thread that took it, so each side works on a thread of its own. */
final class Locks {
    private static final String PATH = "/lock";
    /** Milliseconds a try may wait for a lock that is not to be had: only how long we watch it not happen. */
    private static final int BRIEFLY_MS = 300;

    private Locks() { }

    static void all(Checks checks) {
        checks.check("InterProcessMutex", Locks::mutex);
        checks.check("InterProcessMutex, holder's session expires", Locks::mutexExpires);
        checks.check("InterProcessMutex, revoked", Locks::revoked);
        checks.check("InterProcessSemaphoreMutex", Locks::semaphoreMutex);
        checks.check("InterProcessReadWriteLock", Locks::readWrite);
        checks.check("InterProcessMultiLock", Locks::multi);
        checks.check("InterProcessSemaphoreV2", Locks::semaphore);
        checks.check("InterProcessSemaphoreV2, as many leases as a SharedCount says", Locks::countedSemaphore);
    }

    private static boolean acquire(InterProcessLock lock) throws Exception {
        return lock.acquire(Checks.LIMIT_S, TimeUnit.SECONDS);
    }

    private static boolean acquireBriefly(InterProcessLock lock) throws Exception {
        return lock.acquire(BRIEFLY_MS, TimeUnit.MILLISECONDS);
    }

    private static Void release(InterProcessLock lock) throws Exception {
        lock.release();
        return null;
    }

    private static void mutex(Pair pair) throws Exception {
        InterProcessMutex a = new InterProcessMutex(pair.a.curator, PATH);
        InterProcessMutex b = new InterProcessMutex(pair.b.curator, PATH);
        try (Checks.Worker onA = new Checks.Worker(); Checks.Worker onB = new Checks.Worker()) {
            Checks.holds("A has it", onA.call(() -> acquire(a)));
            Checks.holds("A has it twice", onA.call(() -> acquire(a)));
            Future<Boolean> waiting = onB.start(() -> acquire(b));
            Checks.eventually("B stands in line", () -> a.getParticipantNodes().size() == 2);
            pair.a.reconnect();
            pair.b.reconnect();
            onA.call(() -> release(a));
            Checks.equal("in line, after the reconnects", 2, a.getParticipantNodes().size());
            Checks.holds("B still waits", !waiting.isDone());
            onA.call(() -> release(a));
            Checks.holds("B has it", Checks.result(waiting));
            onB.call(() -> release(b));
            Checks.equal("in line, at the end", 0, b.getParticipantNodes().size());
        }
    }

    private static void mutexExpires(Pair pair) throws Exception {
        InterProcessMutex a = new InterProcessMutex(pair.a.curator, PATH);
        InterProcessMutex b = new InterProcessMutex(pair.b.curator, PATH);
        try (Checks.Worker onA = new Checks.Worker(); Checks.Worker onB = new Checks.Worker()) {
            Checks.holds("A has it", onA.call(() -> acquire(a)));
            Future<Boolean> waiting = onB.start(() -> acquire(b));
            Checks.eventually("B stands in line", () -> a.getParticipantNodes().size() == 2);
            pair.a.expire();
            Checks.holds("B has it", Checks.result(waiting));
            Checks.equal("in line", 1, b.getParticipantNodes().size());
            onB.call(() -> release(b));
        }
    }

    private static void revoked(Pair pair) throws Exception {
        InterProcessMutex a = new InterProcessMutex(pair.a.curator, PATH);
        BlockingQueue<String> asked = Checks.queue();
        RevocationListener<InterProcessMutex> listener = lock -> asked.add("give it back");
        a.makeRevocable(listener);
        try (Checks.Worker onA = new Checks.Worker()) {
            Checks.holds("A has it", onA.call(() -> acquire(a)));
            pair.a.reconnect();
            Revoker.attemptRevoke(pair.b.curator, a.getParticipantNodes().iterator().next());
            Checks.next("the revocation", asked);
            onA.call(() -> release(a));
        }
    }

    private static void semaphoreMutex(Pair pair) throws Exception {
        InterProcessSemaphoreMutex a = new InterProcessSemaphoreMutex(pair.a.curator, PATH);
        InterProcessSemaphoreMutex b = new InterProcessSemaphoreMutex(pair.b.curator, PATH);
        Checks.holds("A has it", acquire(a));
        Checks.holds("B has it not", !acquireBriefly(b));
        Checks.holds("A has it only once", !acquireBriefly(a));
        pair.a.reconnect();
        Checks.holds("B has it not, after the reconnect", !acquireBriefly(b));
        a.release();
        Checks.holds("B has it", acquire(b));
        b.release();
    }

    private static void readWrite(Pair pair) throws Exception {
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(pair.a.curator, PATH);
        InterProcessReadWriteLock b = new InterProcessReadWriteLock(pair.b.curator, PATH);
        try (Checks.Worker onA = new Checks.Worker(); Checks.Worker onB = new Checks.Worker();
                Checks.Worker writer = new Checks.Worker()) {
            Checks.holds("A reads", onA.call(() -> acquire(a.readLock())));
            Checks.holds("B reads too", onB.call(() -> acquire(b.readLock())));
            Future<Boolean> waiting = writer.start(() -> acquire(b.writeLock()));
            Checks.eventually("a writer stands in line", () -> a.writeLock().getParticipantNodes().size() == 1);
            pair.b.reconnect();
            onA.call(() -> release(a.readLock()));
            Checks.holds("the writer still waits for B", !waiting.isDone());
            onB.call(() -> release(b.readLock()));
            Checks.holds("the writer writes", Checks.result(waiting));
            Checks.holds("nobody reads meanwhile", !onA.call(() -> acquireBriefly(a.readLock())));
            writer.call(() -> release(b.writeLock()));
            Checks.holds("A reads again", onA.call(() -> acquire(a.readLock())));
        }
    }

    private static void multi(Pair pair) throws Exception {
        InterProcessMultiLock a = new InterProcessMultiLock(pair.a.curator, List.of("/one", "/two"));
        InterProcessMutex two = new InterProcessMutex(pair.b.curator, "/two");
        try (Checks.Worker onA = new Checks.Worker(); Checks.Worker onB = new Checks.Worker()) {
            Checks.holds("B has the second", onB.call(() -> acquire(two)));
            Checks.holds("A has not both", !onA.call(() -> acquireBriefly(a)));
            Checks.equal("A keeps no half", List.of(), pair.b.curator.getChildren().forPath("/one"));
            Future<Boolean> waiting = onA.start(() -> acquire(a));
            Checks.eventually("A stands in line", () -> two.getParticipantNodes().size() == 2);
            pair.a.reconnect();
            onB.call(() -> release(two));
            Checks.holds("A has both", Checks.result(waiting));
            Checks.holds("B has the second no more", !onB.call(() -> acquireBriefly(two)));
            onA.call(() -> release(a));
        }
    }

    private static void semaphore(Pair pair) throws Exception {
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(pair.a.curator, PATH, 2);
        InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(pair.b.curator, PATH, 2);
        try (Checks.Worker onB = new Checks.Worker()) {
            Lease first = a.acquire(Checks.LIMIT_S, TimeUnit.SECONDS);
            Lease second = a.acquire(Checks.LIMIT_S, TimeUnit.SECONDS);
            Checks.holds("A has both leases", first != null && second != null);
            Future<Lease> waiting = onB.start(() -> b.acquire(Checks.LIMIT_S, TimeUnit.SECONDS));
            Checks.eventually("B stands in line", () -> a.getParticipantNodes().size() == 3);
            pair.a.reconnect();
            pair.b.reconnect();
            Checks.holds("B still waits", !waiting.isDone());
            a.returnLease(second);
            Lease third = Checks.result(waiting);
            Checks.holds("B has a lease", third != null);
            b.returnLease(third);
            a.returnLease(first);
        }
    }

    private static void countedSemaphore(Pair pair) throws Exception {
        try (SharedCount ofA = new SharedCount(pair.a.curator, "/leases", 1);
                SharedCount ofB = new SharedCount(pair.b.curator, "/leases", 1); Checks.Worker onB = new Checks.Worker()) {
            ofA.start();
            ofB.start();
            InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(pair.a.curator, PATH, ofA);
            InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(pair.b.curator, PATH, ofB);
            Lease first = a.acquire(Checks.LIMIT_S, TimeUnit.SECONDS);
            Checks.holds("A has the only lease", first != null);
            Future<Lease> waiting = onB.start(() -> b.acquire(Checks.LIMIT_S, TimeUnit.SECONDS));
            Checks.eventually("B stands in line", () -> a.getParticipantNodes().size() == 2);
            Checks.holds("B waits", !waiting.isDone());
            // B learns that there are two from the watch that it set again.
            pair.b.reconnect(() -> ofA.setCount(2));
            Lease second = Checks.result(waiting);
            Checks.holds("B has the second lease", second != null);
            b.returnLease(second);
            a.returnLease(first);
        }
    }
}
