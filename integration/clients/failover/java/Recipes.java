package paddock.failover;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.retry.RetryForever;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.KeeperException.ConnectionLossException;

/** HOSTS FOLDER NAME: one of two processes that use Curator's recipes without end; see recipes.py. */
final class Recipes {
    private static final String END = "end";

    private final Faults faults = new Faults();
    private final Client client;
    private final Notes notes;
    private final Trees trees;
    private final Terms terms;
    private final LeaderSelector selector;
    private final SharedCount shared;
    private final InterProcessMutex mutex;
    private final DistributedAtomicLong atomic;
    private final Map<String, AtomicInteger> did = new LinkedHashMap<>();
    private final List<Work> works = new ArrayList<>();
    private volatile boolean over;

    private Recipes(String hosts, String folder, String name) throws Exception {
        client = new Client(hosts, "recipes-java", name, faults, new RetryForever(20));
        notes = new Notes(client, folder, faults);
        trees = new Trees(client, faults);
        terms = new Terms(client, notes, faults);
        mutex = new InterProcessMutex(client.curator, "/mutex");
        atomic = new DistributedAtomicLong(client.curator, "/atomic", new RetryNTimes(10, 5));
        shared = new SharedCount(client.curator, "/shared", 0);
        shared.start();
        did.put("selector", new AtomicInteger());
        selector = new LeaderSelector(client.curator, "/selector", new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework curator) throws Exception {
                notes.visit("selector");
                did.get("selector").incrementAndGet();
            }
        });
        selector.autoRequeue();
        selector.start();
        repeat("mutex", number -> mutex());
        repeat("latch", number -> terms.lead());
        repeat("atomic", number -> atomic());
        repeat("shared", number -> shared());
        repeat("barrier", this::barrier);
        repeat("tree", trees::change);
    }

    private void repeat(String recipe, Work.Step step) {
        AtomicInteger rounds = new AtomicInteger();
        did.put(recipe, rounds);
        works.add(new Work(recipe, faults, number -> {
            step.run(number);
            rounds.incrementAndGet();
        }));
    }

    public static void main(String[] args) throws Exception {
        Recipes recipes = new Recipes(args[0], args[1], args[2]);
        recipes.getsOn();
        System.out.println("ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        while ("event".equals(in.readLine())) {
            recipes.getsOn();
            System.out.println("again");
        }
        recipes.stop();
        System.out.println("stopped");
        in.readLine(); // once the other has stopped, too
        recipes.tell();
        System.exit(0);
    }

    private void mutex() throws Exception {
        mutex.acquire();
        try {
            notes.visit("mutex");
        } finally {
            release();
        }
    }

    private void release() throws Exception {
        try {
            mutex.release();
        } catch (ConnectionLossException e) {
            // Curator deletes the znode later.
        }
    }

    private void atomic() throws Exception {
        if (atomic.increment().succeeded()) {
            notes.note("atomic", "added");
        }
    }

    private void shared() throws Exception {
        VersionedValue<Integer> value = shared.getVersionedValue();
        if (shared.trySetCount(value, value.getValue() + 1)) {
            notes.note("shared", "added");
        }
        Thread.sleep(1);
    }

    /** The first sets a barrier, says so, and removes it; the second passes it. Each says how far it is. */
    private void barrier(int number) throws Exception {
        boolean isFirst = client.name.equals("one");
        String mine = "/barriers/" + client.name;
        String others = "/barriers/" + (isFirst ? "two" : "one");
        DistributedBarrier barrier = new DistributedBarrier(client.curator, "/barriers/" + number);
        if (isFirst) {
            barrier.setBarrier();
            say(mine, String.valueOf(number));
            Thread.sleep(2);
            notes.note("barrier", "opens", number, System.nanoTime());
            barrier.removeBarrier();
            reached(others, number);
        } else if (reached(others, number)) {
            while (!barrier.waitOnBarrier(500, TimeUnit.MILLISECONDS)) {
                // not yet
            }
            notes.note("barrier", "passes", number, System.nanoTime());
            say(mine, String.valueOf(number));
        }
        if (over) {
            say(mine, END);
        }
    }

    private void say(String path, String word) throws Exception {
        client.curator.setData().forPath(path, word.getBytes());
    }

    /** Whether the other process came that far; it may have ended before. */
    private boolean reached(String path, int number) throws Exception {
        for (String found = client.read(path); !found.equals(END); found = client.read(path)) {
            if (Integer.parseInt(found) >= number) {
                return true;
            }
            Thread.sleep(5);
        }
        return false;
    }

    /** Returns once each recipe had two rounds more: one was begun after we asked. */
    private void getsOn() throws Exception {
        Map<String, Integer> before = new LinkedHashMap<>();
        did.forEach((recipe, rounds) -> before.put(recipe, rounds.get()));
        for (Map.Entry<String, Integer> entry : before.entrySet()) {
            if (!Client.eventually(() -> did.get(entry.getKey()).get() >= entry.getValue() + 2)) {
                faults.add(Claim.AGAIN, client.name + ": " + entry.getKey() + " did not get on");
            }
        }
        trees.lookAtPresent();
        client.lookAtSession();
    }

    private void stop() throws Exception {
        over = true;
        works.forEach(Work::stop);
        for (Work work : works) {
            if (!work.ends()) {
                faults.add(Claim.PROGRESS, "a thread never ended");
            }
        }
        terms.leave();
        selector.close();
    }

    private void tell() throws Exception {
        trees.converge();
        client.lookAtSession();
        client.catchUp();
        System.out.println("total atomic " + atomic.get().postValue());
        System.out.println("total shared " + ByteBuffer.wrap(client.curator.getData().forPath("/shared")).getInt());
        System.out.println("losses " + client.losses);
        did.forEach((recipe, rounds) -> System.out.println("did " + recipe + " " + rounds));
        faults.each((claim, what) -> System.out.println("fault " + claim.name().toLowerCase() + " " + what));
        client.close();
    }
}
