package paddock.failover;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;

/** What was seen that must not be, by claim. */
final class Faults {
    private static final int SHOWN = 5;

    private final Map<Claim, List<String>> seen = new EnumMap<>(Claim.class);

    synchronized void add(Claim claim, String what) {
        seen.computeIfAbsent(claim, c -> new ArrayList<>()).add(what);
    }

    synchronized void each(BiConsumer<Claim, String> tell) {
        seen.forEach((claim, all) -> all.forEach(what -> tell.accept(claim, what)));
    }

    /** A line for each of these claims. */
    synchronized void tell(Set<Claim> claims) {
        for (Claim claim : claims) {
            List<String> what = seen.getOrDefault(claim, List.of());
            String shown = String.join("; ", what.subList(0, Math.min(SHOWN, what.size())));
            System.out.println(what.isEmpty() ? "ok   java: " + claim.words : "FAIL java: " + claim.words + ": " + shown);
        }
    }
}
