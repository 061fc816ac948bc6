package paddock.zktests;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * LIST [PART-OF-A-NAME]: runs the test classes of the list, each in a JVM of its own, as ZooKeeper's
 * build does: many set properties that would reach the next. Adds up what {@link OneClass} reports.
 */
final class Main {
    private Main() { }

    public static void main(String[] args) throws Exception {
        String only = args.length > 1 ? args[1] : "";
        Counts counts = new Counts();
        for (List<String> entry : entries(Path.of(args[0]))) {
            if (entry.get(0).contains(only) && !run(entry, counts)) {
                counts.failed++;
                System.out.println("FAIL " + entry.get(0) + ": its JVM ended without counts");
            }
        }
        System.out.println(counts);
        System.exit(counts.failed == 0 && counts.passed > 0 ? 0 : 1);
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

    private static boolean run(List<String> entry, Counts counts) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(ProcessHandle.current().info().command().orElse("java"));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), OneClass.class.getName()));
        command.addAll(entry);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        Runtime.getRuntime().addShutdownHook(new Thread(process::destroy)); // should we be interrupted
        boolean counted = false;
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (counts.add(line)) {
                    counted = true;
                } else {
                    System.out.println(line);
                }
            }
        }
        return counted;
    }
}
