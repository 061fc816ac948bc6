package paddock.clients;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetSocketAddress;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;

/** Runs named checks, prints a line for each, counts them; and the few assertions they use. */
final class Checks {
    /** Seconds any single wait may take: far above what a sound server needs, on a loaded machine too. */
    static final int LIMIT_S = 60;

    private static final int CHECK_LIMIT_S = 180;

    private final InetSocketAddress server;
    private final String only;
    private final String run = "clients-" + UUID.randomUUID();
    private int passed;
    private int failed;

    /** `only`: run the checks whose name contains it; empty for all. */
    Checks(InetSocketAddress server, String only) {
        this.server = server;
        this.only = only;
    }

    interface Body {
        void run(Pair pair) throws Exception;
    }

    /** Runs `body` with two clients of its own in a namespace of its own. */
    void check(String name, Body body) {
        if (!name.contains(only)) {
            return;
        }
        ExecutorService thread = Executors.newSingleThreadExecutor(Checks::daemon);
        Future<?> done = thread.submit(() -> {
            try (Pair pair = new Pair(server, run + "/" + name.replaceAll("[^A-Za-z0-9]", "-"))) {
                body.run(pair);
            }
            return null;
        });
        try {
            done.get(CHECK_LIMIT_S, TimeUnit.SECONDS);
            passed++;
            System.out.println("ok   " + name);
        } catch (TimeoutException e) {
            fail(name, "still running after " + CHECK_LIMIT_S + " s");
        } catch (java.util.concurrent.ExecutionException e) {
            StringWriter trace = new StringWriter();
            e.getCause().printStackTrace(new PrintWriter(trace));
            fail(name, trace.toString());
        } catch (InterruptedException e) {
            throw new IllegalStateException("nobody interrupts the main thread", e);
        } finally {
            thread.shutdownNow();
        }
    }

    private void fail(String name, String why) {
        failed++;
        System.out.println("FAIL " + name + ": " + why.strip());
    }

    /** Prints the totals; 0 if all was well and something ran. */
    int finish() {
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    static void equal(String what, Object wanted, Object found) {
        if (!Objects.equals(wanted, found)) {
            throw new AssertionError(what + ": wanted " + wanted + ", found " + found);
        }
    }

    static void holds(String what, boolean condition) {
        if (!condition) {
            throw new AssertionError("does not hold: " + what);
        }
    }

    /** Returns once `condition` holds; looks again every 5 ms, for {@link #LIMIT_S} at most. */
    static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_S);
        while (!condition.call()) {
            if (System.nanoTime() - deadline > 0) {
                throw new AssertionError("not within " + LIMIT_S + " s: " + what);
            }
            LockSupport.parkNanos(5_000_000);
        }
    }

    /** The failure `body` ends with, which must be a `kind`. */
    static void fails(Class<? extends Exception> kind, Peer.Action body) throws Exception {
        try {
            body.run();
        } catch (Exception e) {
            if (kind.isInstance(e)) {
                return;
            }
            throw e;
        }
        throw new AssertionError("went through, though it should fail with " + kind.getSimpleName());
    }

    static <T> T next(String what, BlockingQueue<T> queue) throws InterruptedException {
        T item = queue.poll(LIMIT_S, TimeUnit.SECONDS);
        if (item == null) {
            throw new AssertionError("nothing came within " + LIMIT_S + " s: " + what);
        }
        return item;
    }

    /** One thread of its own, for recipes that block or belong to their thread. */
    static final class Worker implements AutoCloseable {
        private final ExecutorService thread = Executors.newSingleThreadExecutor(Checks::daemon);

        <T> Future<T> start(Callable<T> body) {
            return thread.submit(body);
        }

        <T> T call(Callable<T> body) throws Exception {
            return result(start(body));
        }

        @Override
        public void close() {
            thread.shutdownNow();
        }
    }

    static <T> T result(Future<T> future) throws Exception {
        return future.get(LIMIT_S, TimeUnit.SECONDS);
    }

    static <T> BlockingQueue<T> queue() {
        return new LinkedBlockingQueue<>();
    }

    static Thread daemon(Runnable body) {
        Thread thread = new Thread(body, "check");
        thread.setDaemon(true);
        return thread;
    }
}
