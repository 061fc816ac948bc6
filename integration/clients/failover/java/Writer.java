package paddock.failover;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.ConnectionLossException;
import org.apache.zookeeper.KeeperException.NodeExistsException;

/** HOSTS FOLDER NAME…: a Curator client of each name that creates a znode for each number without end; see gaps.py. */
final class Writer {
    private static final int BUCKET = 1000; // numbers in one folder: its listing stays far below what a client reads at once
    private static final long PAUSE_NS = 5_000_000; // from one write to the next, unless it takes longer
    private static final long OFFSET_NS = TimeUnit.MILLISECONDS.toNanos(System.currentTimeMillis()) - System.nanoTime();

    private final Client client;
    private final PrintStream file;
    private final Work work;
    private String at;
    private long due = System.nanoTime();

    private Writer(Client client, String folder, Faults faults) throws Exception {
        this.client = client;
        file = new PrintStream(folder + "/" + client.name);
        client.curator.create().withMode(CreateMode.EPHEMERAL).forPath("/alive-" + client.name);
        client.curator.create().forPath("/" + client.name);
        client.curator.getConnectionStateListenable().addListener((c, state) -> {
            if (state == ConnectionState.SUSPENDED) {
                file.printf("lost %.3f -%n", millis());
            }
        });
        System.out.printf("begun %s %x%n", client.name, client.session());
        work = new Work(client.name, faults, number -> write(number - 1));
    }

    public static void main(String[] args) throws Exception {
        Faults faults = new Faults();
        List<Writer> writers = new ArrayList<>();
        for (String name : Arrays.asList(args).subList(2, args.length)) {
            // Without retries: what Curator sends again by itself, without looking, is there twice.
            writers.add(new Writer(new Client(args[0], "gaps", name, faults, new RetryNTimes(0, 0)), args[1], faults));
        }
        System.out.println("ready");
        new BufferedReader(new InputStreamReader(System.in)).readLine();
        for (Writer writer : writers) {
            writer.work.stop();
            boolean kept = writer.work.ends() && !writer.work.failed() && writer.client.keptSession();
            System.out.println("client " + writer.client.name + " " + writer.client.losses + (kept ? " kept" : " lost"));
        }
        faults.tell(Set.of(Claim.PROGRESS));
        System.exit(0); // the sessions stay: their ephemerals are looked at
    }

    private void write(int number) throws Exception {
        if (number % BUCKET == 0) {
            at = "/" + client.name + "/" + number / BUCKET;
            create(at, CreateMode.PERSISTENT);
        }
        String node = create(at + "/" + number + "-", CreateMode.PERSISTENT_SEQUENTIAL);
        file.printf("%d %.3f %s%n", number, millis(), node.substring(at.length() + 1));
        due = Math.max(due + PAUSE_NS, System.nanoTime());
        LockSupport.parkNanos(due - System.nanoTime());
    }

    /** Of the calendar, which is asked once: what it is set to meanwhile changes no gap. */
    private static double millis() {
        return (System.nanoTime() + OFFSET_NS) / 1e6;
    }

    /** Creates it once: where the connection was lost meanwhile, it is looked up first whether it happened. */
    private String create(String path, CreateMode mode) throws Exception {
        while (true) {
            try {
                return client.curator.create().withMode(mode).forPath(path);
            } catch (NodeExistsException e) {
                return path;
            } catch (ConnectionLossException e) {
                String found = find(path);
                if (found != null) {
                    return found;
                }
            }
        }
    }

    private String find(String path) throws Exception {
        int name = path.lastIndexOf('/') + 1;
        while (true) {
            try {
                client.catchUp(); // behind whatever the lost request did
                return client.curator.getChildren().forPath(path.substring(0, name - 1)).stream()
                        .filter(node -> node.startsWith(path.substring(name)))
                        .map(node -> path.substring(0, name) + node)
                        .findFirst().orElse(null);
            } catch (ConnectionLossException e) {
                // once more
            }
        }
    }
}
