package paddock.clients;

import java.net.InetSocketAddress;

/** The two clients of one check, and the server for those who want to connect by themselves. */
final class Pair implements AutoCloseable {
    final InetSocketAddress server;
    final Peer a;
    final Peer b;

    Pair(InetSocketAddress server, String namespace) throws Exception {
        this.server = server;
        a = new Peer(server, namespace);
        b = new Peer(server, namespace);
    }

    @Override
    public void close() throws Exception {
        a.close();
        b.close();
    }
}
