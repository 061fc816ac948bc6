package paddock.zktests;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;

/**
 * LIST [PART-OF-A-NAME]: runs the test classes of the list, each in a JVM of its own, as ZooKeeper's
 * build does: many set properties that would reach the next. Adds up what {@link OneClass} reports.
 */
final class Main {
    /** Classes at a time. They mostly wait, for timeouts of their own; each has ports of its own. */
    private static final int AT_A_TIME = Integer.getInteger("paddock.classes.at.a.time", 3);

    private static final Counts COUNTS = new Counts();

    private Main() { }

    public static void main(String[] args) throws Exception {
        String only = args.length > 1 ? args[1] : "";
        Queue<List<String>> waiting = new ConcurrentLinkedQueue<>();
        for (List<String> entry : entries(Path.of(args[0]))) {
            if (entry.get(0).contains(only)) {
                waiting.add(entry);
            }
        }
        List<Thread> threads = new ArrayList<>();
        for (int id = 1; id <= AT_A_TIME; id++) {
            int mine = id;
            Thread thread = new Thread(() -> {
                for (List<String> entry = waiting.poll(); entry != null; entry = waiting.poll()) {
                    run(entry, mine);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println(COUNTS);
        System.exit(COUNTS.failed == 0 && COUNTS.passed > 0 ? 0 : 1);
    }

    /** For each class of the list its name and the indented lines below it. */
    private static List<List<String>> entries(Path list) throws IOException {
        List<List<String>> entries = new ArrayList<>();
        for (String line : Files.readAllLines(list)) {
            if (line.startsWith("  ")) {
                entries.get(entries.size() - 1).add(line.strip());
            } else if (!line.isBlank() && !line.startsWith("#")) {
                entries.add(new ArrayList<>(List.of(line.strip())));
            }
        }
        return entries;
    }

    /** Runs one class on the ports of thread `id` and prints what it said, in one piece. */
    private static void run(List<String> entry, int id) {
        List<String> lines = new ArrayList<>();
        long began = System.nanoTime();
        try {
            Process process = start(entry, id);
            try (BufferedReader said = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
                said.lines().forEach(lines::add);
            }
        } catch (IOException e) {
            lines.add(e.toString());
        }
        long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - began);
        synchronized (COUNTS) {
            boolean counted = false;
            System.out.println("== " + entry.get(0) + ", " + seconds + " s");
            for (String line : lines) {
                if (COUNTS.add(line)) {
                    counted = true;
                } else {
                    System.out.println(line);
                }
            }
            if (!counted) {
                COUNTS.failed++;
                System.out.println("FAIL " + entry.get(0) + ": its JVM ended without counts");
            }
        }
    }

    private static Process start(List<String> entry, int id) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(ProcessHandle.current().info().command().orElse("java"));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        // What ZooKeeper's PortAssignment divides the ports by.
        command.addAll(List.of("-Dtest.junit.threads=" + AT_A_TIME, "-Dzookeeper.junit.threadid=" + id));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), OneClass.class.getName()));
        command.addAll(entry);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroy)); // should we be interrupted
        return process;
    }
}
