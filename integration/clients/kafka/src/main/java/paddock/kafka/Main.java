package paddock.kafka;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/**
 * A producer, a consumer and an administrator on two brokers. Prints {@code ready} once records go round; then, for each
 * line of its input: {@code look NAME}: sees that records go on and that topic NAME can be made, found and deleted, and
 * prints {@code again}; {@code end}: holds all records to what was sent, and ends.
 */
final class Main {
    /** Of any wait: far above what sound brokers need. */
    static final Duration LIMIT = Duration.ofSeconds(90);

    private static int failed;

    public static void main(String[] args) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0]);
        try (var admin = Admin.create(settings); var input = new BufferedReader(new InputStreamReader(System.in))) {
            makeTopic(admin, Records.TOPIC, Records.PARTITIONS);
            var records = new Records(args[0]);
            claim("a topic is made, records are produced and consumed: " + records.getOn(), records.faults());
            say("ready");
            for (String line = input.readLine(); line != null && !line.equals("end"); line = input.readLine()) {
                look(admin, records, line.substring("look ".length()));
                say("again");
            }
            long found = records.end();
            claim(found + " records, each acknowledged and consumed once and in order", records.faults());
        }
        System.exit(failed == 0 ? 0 : 1);
    }

    /** The topic goes through ZooKeeper from one broker to the controller and back: both must get on with it. */
    private static void look(Admin admin, Records records, String name) throws Exception {
        long began = System.nanoTime();
        makeTopic(admin, name, 2);
        admin.deleteTopics(List.of(name)).all().get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        long took = (System.nanoTime() - began) / 1_000_000;
        String saw = records.getOn();
        claim(name + ": " + saw + "; a topic made and deleted in " + took + " ms", records.faults());
    }

    /** Returns once each of its partitions has a leader; on one replica if one broker is all there is. */
    private static void makeTopic(Admin admin, String name, int partitions) throws Exception {
        long end = System.nanoTime() + LIMIT.toNanos();
        int nodes = admin.describeCluster().nodes().get(LIMIT.toSeconds(), TimeUnit.SECONDS).size();
        var topic = new NewTopic(name, Optional.of(partitions), Optional.of((short) Math.min(nodes, 2)));
        admin.createTopics(List.of(topic)).all().get(LIMIT.toSeconds(), TimeUnit.SECONDS);
        while (!isLed(admin, name, partitions)) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("topic " + name + " has no leaders");
            }
        }
    }

    private static boolean isLed(Admin admin, String name, int partitions) throws Exception {
        try {
            var found = admin.describeTopics(List.of(name)).allTopicNames().get(LIMIT.toSeconds(), TimeUnit.SECONDS);
            var each = found.get(name).partitions();
            return each.size() == partitions && each.stream().allMatch(one -> one.leader() != null);
        } catch (ExecutionException error) {
            if (error.getCause() instanceof UnknownTopicOrPartitionException) {
                return false; // the broker we asked has not heard of it yet
            }
            throw error;
        }
    }

    private static void claim(String what, List<String> faults) {
        failed += faults.isEmpty() ? 0 : 1;
        say((faults.isEmpty() ? "ok   " : "FAIL ") + what + (faults.isEmpty() ? "" : " " + faults));
    }

    private static void say(String line) {
        System.out.println(line);
    }
}
