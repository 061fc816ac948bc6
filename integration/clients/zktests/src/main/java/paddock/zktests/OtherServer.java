package paddock.zktests;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.server.ServerCnxn;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/**
 * What ZooKeeper's tests take for the server's network layer, but behind it is a process of our choice.
 * They create one for a port, start it with a server that lives in their own memory (which then is
 * never started), and shut it down; whoever connects to the port reaches the process instead.
 */
public final class OtherServer extends ServerCnxnFactory {
    private static final String[] COMMAND = System.getProperty("paddock.server.cmd").trim().split("\\s+");
    private static final int LIMIT_S = 60;
    /** Keys that are about the tests' own process. */
    private static final List<String> OURS =
            List.of("zookeeper.serverCnxnFactory", "zookeeper.admin.rateLimiterIntervalInMS", "zookeeper.junit.threadid");
    /** Values that name classes of the tests: no process but theirs could load them. */
    private static final String TESTS_OWN = "org.apache.zookeeper.test.";
    /** Settings of the server whose properties have no prefix. */
    private static final List<String> UNPREFIXED =
            List.of("jute.maxbuffer", "readonlymode.enabled", "znode.container.checkIntervalMs");

    private InetSocketAddress address;
    private int perHost;
    private Process process;

    @Override
    public void configure(InetSocketAddress address, int perHost, int backlog, boolean secure) {
        this.address = new InetSocketAddress(InetAddress.getLoopbackAddress(), address.getPort());
        this.perHost = perHost;
        this.secure = secure;
    }

    @Override
    public void startup(ZooKeeperServer server, boolean start) throws IOException, InterruptedException {
        setZooKeeperServer(server);
        Path folder = server.getTxnLogFactory().getSnapDir().getParentFile().toPath().resolve("served");
        Files.createDirectories(folder);
        Path config = folder.resolve("zoo.cfg");
        Files.writeString(config, config(server, folder.resolve("data")));
        List<String> command = new ArrayList<>();
        for (String word : COMMAND) {
            command.add(word.replace("{config}", config.toString()));
        }
        File log = folder.resolve("log").toFile();
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log));
        builder.environment().put("SERVER_JVMFLAGS", javaProperties());
        Process started = builder.start();
        Runtime.getRuntime().addShutdownHook(new Thread(started::destroyForcibly)); // should the tests be interrupted
        process = started;
        awaitServing(log);
    }

    /** The same settings for a Java server, which takes these from nowhere but its command line. */
    private static String javaProperties() {
        StringBuilder flags = new StringBuilder();
        for (String name : UNPREFIXED) {
            if (System.getProperty(name) != null) {
                flags.append(" -D").append(name).append('=').append(System.getProperty(name));
            }
        }
        return flags.toString();
    }

    private String config(ZooKeeperServer server, Path data) {
        StringBuilder config = new StringBuilder();
        // The tests set a server up by system properties; as keys of zoo.cfg they lose their prefix.
        for (Map.Entry<Object, Object> property : System.getProperties().entrySet()) {
            String name = (String) property.getKey();
            boolean ours = OURS.contains(name) || property.getValue().toString().startsWith(TESTS_OWN);
            if (name.startsWith("zookeeper.") && !ours) {
                line(config, name.substring("zookeeper.".length()), property.getValue());
            } else if (UNPREFIXED.contains(name)) {
                line(config, name, property.getValue());
            }
        }
        line(config, "dataDir", data);
        line(config, "clientPort", address.getPort());
        line(config, "clientPortAddress", address.getAddress().getHostAddress());
        line(config, "tickTime", server.getTickTime());
        line(config, "maxClientCnxns", perHost);
        return config.toString();
    }

    private static void line(StringBuilder config, String key, Object value) {
        config.append(key).append('=').append(value).append('\n');
    }

    private void awaitServing(File log) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_S);
        while (!serves()) {
            // The pause between two looks is spent waiting for what would end them.
            if (process.waitFor(10, TimeUnit.MILLISECONDS)) {
                throw new IOException("the server ended with " + process.exitValue() + " before it served:\n"
                        + Files.readString(log.toPath()));
            }
            if (System.nanoTime() > deadline) {
                throw new IOException("the server did not serve within " + LIMIT_S + " s");
            }
        }
    }

    /** Whether the port answers a four-letter word, be it that the tests have forbidden this one. */
    private boolean serves() {
        try (Socket socket = new Socket(address.getAddress(), address.getPort())) {
            socket.setSoTimeout(5_000);
            OutputStream out = socket.getOutputStream();
            out.write("srvr".getBytes());
            InputStream in = socket.getInputStream();
            String answer = new String(in.readAllBytes());
            return answer.startsWith("Zookeeper version") || answer.contains("not in the whitelist");
        } catch (IOException notYet) {
            return false;
        }
    }

    @Override
    public void shutdown() {
        if (process == null) {
            return;
        }
        process.destroy();
        try {
            if (!process.waitFor(LIMIT_S, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new IllegalStateException("the server did not end within " + LIMIT_S + " s of SIGTERM");
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        } finally {
            process = null;
        }
    }

    @Override
    public int getLocalPort() {
        return address.getPort();
    }

    @Override
    public InetSocketAddress getLocalAddress() {
        return address;
    }

    @Override
    public int getMaxClientCnxnsPerHost() {
        return perHost;
    }

    @Override
    public void setMaxClientCnxnsPerHost(int max) {
        perHost = max;
    }

    @Override
    public int getSocketListenBacklog() {
        return -1;
    }

    // Below: what looks into the server. A test that asks for it sees nothing, and is listed as such.

    @Override
    public Iterable<ServerCnxn> getConnections() {
        return List.of();
    }

    @Override
    public Iterable<Map<String, Object>> getAllConnectionInfo(boolean brief) {
        return List.of();
    }

    @Override
    public void closeAll(ServerCnxn.DisconnectReason reason) { }

    @Override
    public void resetAllConnectionStats() { }

    @Override
    public void reconfigure(InetSocketAddress to) { }

    @Override
    public void start() { }

    @Override
    public void join() { }
}
