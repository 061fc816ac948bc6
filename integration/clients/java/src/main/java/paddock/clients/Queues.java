package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;

/** Curator's queues: nothing lost, nothing twice, in order. */
final class Queues {
    private static final String PATH = "/queue";
    /** Milliseconds: what is put so far ahead must wait, far longer than a reconnect takes. */
    private static final int DELAY_MS = 8_000;

    private Queues() { }

    static void all(Checks checks) {
        checks.check("DistributedQueue", Queues::queue);
        checks.check("DistributedPriorityQueue", Queues::priority);
        checks.check("DistributedIdQueue", Queues::byId);
        checks.check("DistributedDelayQueue", Queues::delayed);
        checks.check("SimpleDistributedQueue", Queues::simple);
    }

    private static final class Text implements QueueSerializer<String> {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, UTF_8);
        }
    }

    private static QueueConsumer<String> into(BlockingQueue<String> seen) {
        return new QueueConsumer<>() {
            @Override
            public void consumeMessage(String message) {
                seen.add(message);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) { }
        };
    }

    private static QueueBuilder<String> builder(Peer peer, QueueConsumer<String> consumer) {
        return QueueBuilder.builder(peer.curator, consumer, new Text(), PATH);
    }

    private static void queue(Pair pair) throws Exception {
        BlockingQueue<String> seen = Checks.queue();
        try (DistributedQueue<String> producer = builder(pair.a, null).buildQueue();
                DistributedQueue<String> consumer = builder(pair.b, into(seen)).lockPath("/queue-lock").buildQueue()) {
            producer.start();
            consumer.start();
            for (int i = 0; i < 60; i++) {
                producer.put("item " + i);
                if (i % 20 == 19) {
                    Checks.holds("the puts arrive", producer.flushPuts(Checks.LIMIT_S, TimeUnit.SECONDS));
                    for (int j = i - 19; j <= i; j++) {
                        Checks.equal("consumed", "item " + j, Checks.next("item " + j, seen));
                    }
                    (i == 19 ? pair.a : pair.b).reconnect();
                }
            }
            Checks.eventually("the queue is empty", () -> pair.a.curator.getChildren().forPath(PATH).isEmpty());
            Checks.equal("nothing twice", 0, seen.size());
        }
    }

    private static void priority(Pair pair) throws Exception {
        BlockingQueue<String> seen = Checks.queue();
        try (DistributedPriorityQueue<String> producer = builder(pair.a, null).buildPriorityQueue(0)) {
            producer.start();
            producer.put("late", 30);
            producer.put("soon", 10);
            producer.put("first", 1);
            Checks.holds("the puts arrive", producer.flushPuts(Checks.LIMIT_S, TimeUnit.SECONDS));
            pair.a.reconnect();
            try (DistributedPriorityQueue<String> consumer = builder(pair.b, into(seen)).buildPriorityQueue(0)) {
                consumer.start();
                for (String wanted : new String[] {"first", "soon", "late"}) {
                    Checks.equal("by priority", wanted, Checks.next(wanted, seen));
                }
            }
        }
    }

    private static void byId(Pair pair) throws Exception {
        BlockingQueue<String> seen = Checks.queue();
        try (DistributedIdQueue<String> producer = builder(pair.a, null).buildIdQueue()) {
            producer.start();
            for (String item : new String[] {"keep", "drop", "last"}) {
                producer.put(item, item);
            }
            Checks.holds("the puts arrive", producer.flushPuts(Checks.LIMIT_S, TimeUnit.SECONDS));
            pair.a.reconnect();
            Checks.equal("removed by its id", 1, producer.remove("drop"));
            try (DistributedIdQueue<String> consumer = builder(pair.b, into(seen)).buildIdQueue()) {
                pair.b.reconnect();
                consumer.start();
                for (String wanted : new String[] {"keep", "last"}) {
                    Checks.equal("in order", wanted, Checks.next(wanted, seen));
                }
            }
        }
    }

    /**
     * The consumer is cut off while it waits: without a lock path it deletes an item before it consumes it, and one whose
     * deletion is not answered is lost, on any server.
     */
    private static void delayed(Pair pair) throws Exception {
        BlockingQueue<String> seen = Checks.queue();
        try (DistributedDelayQueue<String> producer = builder(pair.a, null).buildDelayQueue();
                DistributedDelayQueue<String> consumer = builder(pair.b, into(seen)).buildDelayQueue()) {
            producer.start();
            consumer.start();
            long due = System.currentTimeMillis() + DELAY_MS;
            producer.put("late", due);
            Checks.holds("the put arrives", producer.flushPuts(Checks.LIMIT_S, TimeUnit.SECONDS));
            pair.b.reconnect();
            producer.put("now", due - DELAY_MS);
            Checks.equal("first", "now", Checks.next("now", seen));
            Checks.equal("second", "late", Checks.next("late", seen));
            Checks.holds("not before its time", System.currentTimeMillis() >= due);
        }
    }

    private static void simple(Pair pair) throws Exception {
        SimpleDistributedQueue producer = new SimpleDistributedQueue(pair.a.curator, PATH);
        SimpleDistributedQueue consumer = new SimpleDistributedQueue(pair.b.curator, PATH);
        try (Checks.Worker onB = new Checks.Worker()) {
            for (String item : new String[] {"one", "two"}) {
                var waiting = onB.start(() -> consumer.poll(Checks.LIMIT_S, TimeUnit.SECONDS));
                pair.b.reconnect();
                Checks.holds("an offer", producer.offer(item.getBytes(UTF_8)));
                Checks.equal("polled", item, new String(Checks.result(waiting), UTF_8));
            }
            Checks.equal("empty", null, consumer.poll());
        }
    }
}
