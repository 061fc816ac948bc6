package paddock.clients;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.HashSet;
import java.util.Set;

/** A TCP relay in front of the server, so that one client's connection can be cut without touching the others. */
final class Relay implements AutoCloseable {
    private final InetSocketAddress server;
    private final ServerSocket door;
    private final Set<Socket> open = new HashSet<>();
    private boolean down;

    Relay(InetSocketAddress server) throws IOException {
        this.server = server;
        door = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(this::accept);
    }

    String address() {
        return door.getInetAddress().getHostAddress() + ":" + door.getLocalPort();
    }

    /** Ends every connection; the next ones go through. */
    synchronized void cut() {
        open.forEach(Relay::shut);
        open.clear();
    }

    /** Ends every connection and the next ones too, until {@link #up}. */
    synchronized void down() {
        down = true;
        cut();
    }

    synchronized void up() {
        down = false;
    }

    @Override
    public void close() throws IOException {
        door.close();
        down();
    }

    private void accept() {
        while (true) {
            Socket client = null;
            try {
                client = door.accept();
                join(client);
            } catch (IOException e) {
                if (door.isClosed()) {
                    return;
                }
                shut(client); // the server is not there: so the client is told
            }
        }
    }

    private void join(Socket client) throws IOException {
        Socket upstream = new Socket();
        synchronized (this) {
            if (down) {
                shut(client);
                return;
            }
            open.add(client);
            open.add(upstream);
        }
        upstream.connect(server);
        for (Socket socket : new Socket[] {client, upstream}) {
            socket.setTcpNoDelay(true);
        }
        start(() -> copy(client, upstream));
        start(() -> copy(upstream, client));
    }

    private static void copy(Socket from, Socket to) {
        try (InputStream in = from.getInputStream(); OutputStream out = to.getOutputStream()) {
            in.transferTo(out);
        } catch (IOException cut) {
            // either side went away: closing both is all there is to do
        } finally {
            shut(from);
            shut(to);
        }
    }

    private static void start(Runnable body) {
        Thread thread = new Thread(body, "relay");
        thread.setDaemon(true);
        thread.start();
    }

    private static void shut(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new IllegalStateException("closing a socket failed", e);
        }
    }
}
