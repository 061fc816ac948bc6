package paddock.clients;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
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

    private Queues() { }

    static void all(Checks checks) {
        checks.check("DistributedQueue", Queues::queue);
        checks.check("DistributedPriorityQueue", Queues::priority);
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
