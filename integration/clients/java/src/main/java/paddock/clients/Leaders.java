package paddock.clients;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

/** Curator's two leader elections. */
final class Leaders {
    private static final String PATH = "/leader";

    private Leaders() { }

    static void all(Checks checks) {
        checks.check("LeaderLatch", Leaders::latch);
        checks.check("LeaderLatch, leader's session expires", Leaders::latchExpires);
        checks.check("LeaderSelector", Leaders::selector);
    }

    private static LeaderLatch join(Peer peer, String name) throws Exception {
        LeaderLatch latch = new LeaderLatch(peer.curator, PATH, name);
        latch.start();
        return latch;
    }

    private static void latch(Pair pair) throws Exception {
        LeaderLatch a = join(pair.a, "a");
        Checks.eventually("A leads", a::hasLeadership);
        try (LeaderLatch b = join(pair.b, "b")) {
            Checks.eventually("both take part", () -> b.getParticipants().size() == 2);
            Checks.holds("B does not lead", !b.hasLeadership());
            pair.a.reconnect();
            Checks.eventually("one leads again", () -> a.hasLeadership() != b.hasLeadership());
            Checks.eventually("both take part again", () -> b.getParticipants().size() == 2);
            a.close();
            Checks.eventually("B leads", b::hasLeadership);
            Checks.equal("the leader's name", "b", b.getLeader().getId());
            pair.b.reconnect();
            Checks.eventually("B leads again", b::hasLeadership);
        }
    }

    private static void latchExpires(Pair pair) throws Exception {
        try (LeaderLatch a = join(pair.a, "a")) {
            Checks.eventually("A leads", a::hasLeadership);
            try (LeaderLatch b = join(pair.b, "b")) {
                Checks.eventually("both take part", () -> b.getParticipants().size() == 2);
                pair.a.expire();
                Checks.eventually("B leads", b::hasLeadership);
                Checks.eventually("A is back in line", () -> b.getParticipants().size() == 2);
                Checks.holds("A does not lead", !a.hasLeadership());
            }
        }
    }

    /** Leads until it is told that its term is over, or loses its connection. */
    private static final class Term extends LeaderSelectorListenerAdapter {
        final BlockingQueue<String> began;
        final AtomicInteger leading;
        final String name;
        final CountDownLatch over = new CountDownLatch(1);
        volatile boolean two;

        Term(String name, BlockingQueue<String> began, AtomicInteger leading) {
            this.name = name;
            this.began = began;
            this.leading = leading;
        }

        @Override
        public void takeLeadership(CuratorFramework client) throws InterruptedException {
            two |= leading.incrementAndGet() > 1;
            try {
                began.add(name);
                over.await();
            } finally {
                leading.decrementAndGet();
            }
        }
    }

    private static LeaderSelector select(Peer peer, Term term) {
        LeaderSelector selector = new LeaderSelector(peer.curator, PATH, term);
        selector.setId(term.name);
        selector.autoRequeue();
        selector.start();
        return selector;
    }

    private static void selector(Pair pair) throws Exception {
        BlockingQueue<String> began = Checks.queue();
        AtomicInteger leading = new AtomicInteger();
        Term forA = new Term("a", began, leading);
        Term forB = new Term("b", began, leading);
        try (LeaderSelector a = select(pair.a, forA)) {
            Checks.equal("first term", "a", Checks.next("the first term", began));
            try (LeaderSelector b = select(pair.b, forB)) {
                Checks.eventually("both take part", () -> b.getParticipants().size() == 2);
                pair.a.reconnect(); // A gives up its leadership when it hears of the loss
                Checks.equal("second term", "b", Checks.next("the second term", began));
                Checks.eventually("A is back in line", () -> a.getParticipants().size() == 2);
                forB.over.countDown();
                Checks.equal("third term", "a", Checks.next("the third term", began));
                Checks.holds("never two at once", !forA.two && !forB.two);
            }
        }
    }
}
