package paddock.clients;

import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;

/** Curator's barriers. */
final class Together {
    private Together() { }

    static void all(Checks checks) {
        checks.check("DistributedBarrier", Together::barrier);
        checks.check("DistributedDoubleBarrier", Together::doubleBarrier);
    }

    private static void barrier(Pair pair) throws Exception {
        DistributedBarrier a = new DistributedBarrier(pair.a.curator, "/barrier");
        DistributedBarrier b = new DistributedBarrier(pair.b.curator, "/barrier");
        a.setBarrier();
        try (Checks.Worker onB = new Checks.Worker()) {
            Future<Boolean> waiting = onB.start(() -> b.waitOnBarrier(Checks.LIMIT_S, TimeUnit.SECONDS));
            pair.b.reconnect();
            Checks.holds("B waits", !waiting.isDone());
            a.removeBarrier();
            Checks.holds("B goes on", Checks.result(waiting));
            Checks.holds("no barrier, no wait", b.waitOnBarrier(Checks.LIMIT_S, TimeUnit.SECONDS));
        }
    }

    private static void doubleBarrier(Pair pair) throws Exception {
        DistributedDoubleBarrier a = new DistributedDoubleBarrier(pair.a.curator, "/double", 2);
        DistributedDoubleBarrier b = new DistributedDoubleBarrier(pair.b.curator, "/double", 2);
        try (Checks.Worker onA = new Checks.Worker(); Checks.Worker onB = new Checks.Worker()) {
            Future<Boolean> entering = onA.start(() -> a.enter(Checks.LIMIT_S, TimeUnit.SECONDS));
            Checks.eventually("A stands at the door", () -> pair.b.curator.checkExists().forPath("/double") != null
                    && pair.b.curator.getChildren().forPath("/double").size() == 1);
            Checks.holds("A waits", !entering.isDone());
            Checks.holds("B enters", onB.call(() -> b.enter(Checks.LIMIT_S, TimeUnit.SECONDS)));
            Checks.holds("A enters", Checks.result(entering));
            pair.a.reconnect(); // not sooner: `enter` gives up with the connection
            Future<Boolean> leaving = onA.start(() -> a.leave(Checks.LIMIT_S, TimeUnit.SECONDS));
            Checks.holds("B leaves", onB.call(() -> b.leave(Checks.LIMIT_S, TimeUnit.SECONDS)));
            Checks.holds("A leaves", Checks.result(leaving));
        }
    }
}
