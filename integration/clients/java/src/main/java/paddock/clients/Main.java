package paddock.clients;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;

/**
 * HOST:PORT [--reaping|--reconfig] [PART-OF-A-NAME]: checks a server with Apache's own client and with Curator's recipes.
 * --reaping: instead those checks that wait for znodes to fall due, on a server that looks for them often: it takes
 * the containers that other checks have emptied, too, before they look at them.
 * --reconfig: instead those that change who the members are, on one of three.
 */
final class Main {
    private Main() { }

    public static void main(String[] args) {
        if (args.length < 1 || !args[0].matches(".+:\\d+")) {
            System.err.println("usage: HOST:PORT [--reaping|--reconfig] [PART-OF-A-NAME]");
            System.exit(2);
        }
        int colon = args[0].lastIndexOf(':');
        InetSocketAddress server =
                new InetSocketAddress(args[0].substring(0, colon), Integer.parseInt(args[0].substring(colon + 1)));
        try (Socket probe = new Socket(server.getAddress(), server.getPort())) {
            probe.setSoLinger(true, 0); // or each check would find out by itself, a minute at a time
        } catch (IOException e) {
            System.err.println(args[0] + ": nobody listens (" + e.getMessage() + ")");
            System.exit(2);
        }
        String which = args.length > 1 && args[1].startsWith("--") ? args[1] : "";
        int name = which.isEmpty() ? 1 : 2;
        Checks checks = new Checks(server, args.length > name ? args[name] : "");
        switch (which) {
            case "" -> all(checks);
            case "--reaping" -> Nodes.reaped(checks);
            case "--reconfig" -> Reconfigs.all(checks);
            default -> throw new IllegalArgumentException("there is no " + which);
        }
        System.exit(checks.finish());
    }

    private static void all(Checks checks) {
        Tutorial.all(checks);
        Locks.all(checks);
        Leaders.all(checks);
        Watching.all(checks);
        Nodes.all(checks);
        Together.all(checks);
        Counters.all(checks);
        Queues.all(checks);
        Discovery.all(checks);
    }
}
