package paddock.clients;

import java.util.Collection;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;

/** Curator's service discovery: A offers, B looks for it. */
final class Discovery {
    private Discovery() { }

    static void all(Checks checks) {
        checks.check("ServiceDiscovery", Discovery::discovery);
    }

    private static ServiceDiscovery<Void> open(Peer peer) throws Exception {
        ServiceDiscovery<Void> discovery = ServiceDiscoveryBuilder.builder(Void.class)
                .client(peer.curator)
                .basePath("/services")
                .build();
        discovery.start();
        return discovery;
    }

    private static void discovery(Pair pair) throws Exception {
        ServiceInstance<Void> instance =
                ServiceInstance.<Void>builder().name("store").address("127.0.0.1").port(4711).build();
        try (ServiceDiscovery<Void> a = open(pair.a); ServiceDiscovery<Void> b = open(pair.b);
                ServiceCache<Void> cache = b.serviceCacheBuilder().name("store").build();
                ServiceProvider<Void> provider = b.serviceProviderBuilder().serviceName("store").build()) {
            cache.start();
            provider.start();
            Checks.equal("no offer yet", null, provider.getInstance());
            a.registerService(instance);
            Checks.eventually("the cache has it", () -> cache.getInstances().size() == 1);
            Checks.eventually("the provider has it", () -> provider.getInstance() != null);
            pair.a.reconnect();
            pair.b.reconnect();
            Collection<ServiceInstance<Void>> found = b.queryForInstances("store");
            Checks.equal("found", 1, found.size());
            Checks.equal("its port", 4711, found.iterator().next().getPort());
            pair.a.expire();
            Checks.eventually("offered again by the new session", () -> {
                var stat = pair.b.curator.checkExists().forPath("/services/store/" + instance.getId());
                return stat != null && stat.getEphemeralOwner() == pair.a.sessionId();
            });
            a.unregisterService(instance);
            Checks.eventually("withdrawn", () -> cache.getInstances().isEmpty());
        }
    }
}
