package paddock.kafka;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.LongSerializer;

/**
 * A producer and a consumer at work on one topic. Record n is the number n, in partition n % PARTITIONS. There is one
 * producer and it is idempotent: record n must have the offset n / PARTITIONS, and a record that is lost, doubled or out
 * of order shows as one that has not.
 */
final class Records {
    static final String TOPIC = "numbers";
    static final int PARTITIONS = 3;
    private static final int IN_FLIGHT = 64;
    private static final long PAUSE_NS = 1_000_000; // of the producer: a few hundred records a second

    private final String brokers;
    private final Semaphore room = new Semaphore(IN_FLIGHT);
    private final TreeSet<String> faults = new TreeSet<>();
    private final long[] next = new long[PARTITIONS];
    private final Thread producing = new Thread(this::produce);
    private final Thread consuming = new Thread(this::consume);
    private volatile boolean over;
    private long sent;
    private long acked;
    private long consumed;
    private long ackedAt = System.nanoTime();
    private long longestPause;

    Records(String brokers) {
        this.brokers = brokers;
        for (Thread one : List.of(producing, consuming)) {
            one.setDaemon(true); // a main thread that fails ends the program
            one.start();
        }
    }

    private void produce() {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", brokers, "acks", "all", "enable.idempotence", true, "linger.ms", 0);
        try (var producer = new KafkaProducer<>(settings, new LongSerializer(), new LongSerializer())) {
            while (!over) {
                room.acquire();
                long number = begin();
                producer.send(record(number), (where, error) -> ended(number, error));
                LockSupport.parkNanos(PAUSE_NS);
            }
            producer.flush();
        } catch (Exception error) {
            fault("the producer ended: " + error);
        }
    }

    private static ProducerRecord<Long, Long> record(long number) {
        return new ProducerRecord<>(TOPIC, (int) (number % PARTITIONS), number, number);
    }

    private synchronized long begin() {
        return sent++;
    }

    private synchronized void ended(long number, Exception error) {
        room.release();
        if (error != null) {
            fault("record not acknowledged: " + error);
            return;
        }
        long now = System.nanoTime();
        longestPause = Math.max(longestPause, now - ackedAt);
        ackedAt = now;
        acked++;
        notifyAll();
    }

    /** In a group: where it is comes from Kafka, and moves with the group's coordinator. */
    private void consume() {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", brokers, "group.id", "readers", "auto.offset.reset", "earliest",
                "auto.commit.interval.ms", 500);
        try (var consumer = new KafkaConsumer<>(settings, new LongDeserializer(), new LongDeserializer())) {
            consumer.subscribe(List.of(TOPIC));
            while (!over) {
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    took(record);
                }
            }
        } catch (Exception error) {
            fault("the consumer ended: " + error);
        }
    }

    private synchronized void took(ConsumerRecord<Long, Long> record) {
        look(record);
        int partition = record.partition();
        if (record.offset() > next[partition]) {
            fault("the group skipped records of partition " + partition + " at " + next[partition]);
        }
        if (record.offset() >= next[partition]) { // else it is given again, as the group's coordinator has moved
            next[partition] = record.offset() + 1;
            consumed++;
            notifyAll();
        }
    }

    private void look(ConsumerRecord<Long, Long> record) {
        if (record.value() != record.offset() * PARTITIONS + record.partition()) {
            fault("partition " + record.partition() + ", offset " + record.offset() + ": " + record.value());
        }
    }

    private synchronized void fault(String what) {
        if (faults.size() < 10) {
            faults.add(what);
        }
        notifyAll();
    }

    synchronized List<String> faults() {
        return new ArrayList<>(faults);
    }

    /** Returns once everything sent so far, and a record more, is acknowledged and consumed; says what it saw. */
    synchronized String getOn() throws InterruptedException {
        long wanted = sent + 1;
        awaits(() -> acked >= wanted && consumed >= wanted, "acknowledged and consumed " + wanted + " records");
        long pause = Math.max(longestPause, System.nanoTime() - ackedAt) / 1_000_000;
        longestPause = 0;
        return acked + " records acknowledged, " + consumed + " consumed, the longest pause " + pause + " ms";
    }

    private synchronized void awaits(BooleanSupplier condition, String what)
            throws InterruptedException {
        long end = System.nanoTime() + Main.LIMIT.toNanos();
        while (!condition.getAsBoolean()) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0 || !faults.isEmpty()) {
                throw new IllegalStateException("not " + what + ": sent " + sent + ", acknowledged " + acked
                        + ", consumed " + consumed + " " + faults);
            }
            wait(left);
        }
    }

    /** Stops the producer and the group; reads everything from the start. Returns how many records there are. */
    long end() throws InterruptedException {
        over = true;
        producing.join(Main.LIMIT.toMillis());
        consuming.join(Main.LIMIT.toMillis());
        if (producing.isAlive() || consuming.isAlive()) {
            fault("a thread never ended");
        }
        long found = readAll();
        synchronized (this) {
            if (acked != sent || found != sent) {
                fault("sent " + sent + ", acknowledged " + acked + ", read from the start " + found);
            }
        }
        return found;
    }

    private long readAll() {
        long found = 0;
        try (var consumer = new KafkaConsumer<>(
                Map.<String, Object>of("bootstrap.servers", brokers), new LongDeserializer(), new LongDeserializer())) {
            var partitions = IntStream.range(0, PARTITIONS).mapToObj(n -> new TopicPartition(TOPIC, n)).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            var ends = consumer.endOffsets(partitions, Main.LIMIT);
            long deadline = System.nanoTime() + Main.LIMIT.toNanos();
            while (partitions.stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
                if (System.nanoTime() > deadline) {
                    fault("not read to the end: " + ends);
                    break;
                }
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    look(record);
                    found++;
                }
            }
        }
        return found;
    }
}
