package paddock.failover;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** What was seen that must not be, by claim. */
final class Faults {
    private static final int SHOWN = 5;

    private final Map<Claim, List<String>> seen = new EnumMap<>(Claim.class);

    synchronized void add(Claim claim, String what) {
        seen.computeIfAbsent(claim, c -> new ArrayList<>()).add(what);
    }

    /** A line for each of these claims, or for each there is. */
    synchronized void tell(Claim... claims) {
        for (Claim claim : claims.length > 0 ? claims : Claim.values()) {
            List<String> what = seen.getOrDefault(claim, List.of());
            String shown = String.join("; ", what.subList(0, Math.min(SHOWN, what.size())));
            System.out.println(what.isEmpty() ? "ok   java: " + claim.words : "FAIL java: " + claim.words + ": " + shown);
        }
    }
}
