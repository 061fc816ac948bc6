package paddock.failover;

import java.io.FileInputStream;
import java.io.FileWriter;
import java.io.IOException;
import java.nio.file.Path;

/** What a process writes down of its recipes, in files that recipes.py reads. */
final class Notes {
    private final Client client;
    private final Path folder;
    private final Faults faults;

    Notes(Client client, String folder, Faults faults) {
        this.client = client;
        this.folder = Path.of(folder);
        this.faults = faults;
    }

    /** A line in the recipe's file of this process. */
    synchronized void note(String recipe, Object... words) throws IOException {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(word).append(' ');
        }
        write(recipe + "." + client.name, line.append('\n').toString(), true);
    }

    /** What only one may do at a time: adds 1 to the number in a file, and writes a fence that nobody else writes. */
    void visit(String recipe) throws Exception {
        long begin = System.nanoTime();
        String count = recipe + ".count";
        int before = read(count);
        try {
            String fence = "/fences/" + recipe;
            int version = client.curator.checkExists().forPath(fence).getVersion();
            if (!client.write(fence, client.name + " " + begin, version)) {
                faults.add(Claim.FENCE, recipe + ": " + client.read(fence) + " wrote the fence meanwhile");
            }
        } finally { // a leader may be interrupted
            write(count, String.valueOf(before + 1), false);
            note(recipe, "held", recipe, begin, System.nanoTime());
        }
    }

    // Plain streams: an interrupt closes a channel in the middle.
    private int read(String file) throws IOException {
        try (FileInputStream in = new FileInputStream(folder.resolve(file).toFile())) {
            return Integer.parseInt(new String(in.readAllBytes()));
        }
    }

    private void write(String file, String text, boolean append) throws IOException {
        try (FileWriter out = new FileWriter(folder.resolve(file).toFile(), append)) {
            out.write(text);
        }
    }
}
