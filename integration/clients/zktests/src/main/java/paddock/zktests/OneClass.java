package paddock.zktests;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestDescriptor;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs one test class in this JVM and holds its tests to the list: one that is listed must fail, any
 * other must pass. Counts every invocation of a parameterized test. Arguments: the class, then the
 * lines below it in the list.
 */
final class OneClass implements TestExecutionListener {
    private static final Pattern LISTED = Pattern.compile("(\\w+) (deviation )?\\[(.+)\\]: (.+)");
    private static final Pattern LEFT_OUT = Pattern.compile("(\\w+) left out: (.+)");
    /** Whether the server is Apache's own: then nothing that is listed as a deviation may fail. */
    private static final boolean APACHES = Boolean.getBoolean("paddock.server.apaches");

    /** A test that must fail: what its trace must contain, and why. */
    private record Listed(String words, String reason) { }

    private final String name;
    private final Map<String, Listed> listed = new HashMap<>();
    private final Set<String> leftOut = new HashSet<>();
    private final Set<String> failedAsListed = new HashSet<>();
    private final Set<String> met = new HashSet<>();
    private final Counts counts = new Counts();

    private OneClass(String[] args) {
        name = args[0];
        for (int i = 1; i < args.length; i++) {
            Matcher out = LEFT_OUT.matcher(args[i]);
            if (out.matches()) {
                leftOut.add(out.group(1));
                continue;
            }
            Matcher line = LISTED.matcher(args[i]);
            if (!line.matches()) {
                throw new IllegalArgumentException("not \"method [deviation] [words of the trace]: reason\" or \"method left out: reason\": " + args[i]);
            }
            if (line.group(2) == null || !APACHES) {
                listed.put(line.group(1), new Listed(line.group(3), line.group(4)));
            }
        }
    }

    public static void main(String[] args) {
        OneClass one = new OneClass(args);
        LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request()
                .selectors(selectClass("org.apache.zookeeper." + one.name))
                .filters((PostDiscoveryFilter) one::chosen)
                .configurationParameter("junit.jupiter.execution.timeout.default", "180 s")
                .build(), one);
        one.finish();
        System.exit(0); // the tests leave threads behind
    }

    private FilterResult chosen(TestDescriptor test) {
        String method = test.getSource()
                .filter(MethodSource.class::isInstance)
                .map(source -> ((MethodSource) source).getMethodName())
                .orElse("");
        if (!leftOut.contains(method)) {
            return FilterResult.included("not left out");
        }
        met.add(method);
        counts.skipped++;
        return FilterResult.excluded("left out");
    }

    private static String methodOf(TestIdentifier test) {
        return test.getSource()
                .filter(MethodSource.class::isInstance)
                .map(source -> ((MethodSource) source).getMethodName())
                .orElse("the class");
    }

    private void say(String what, TestIdentifier test, String why) {
        String invocation = test.getDisplayName().startsWith("[") ? " " + test.getDisplayName() : "";
        System.out.println(what + name + "#" + methodOf(test) + invocation + (why.isEmpty() ? "" : ": " + why));
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        counts.skipped++;
        say("skip ", test, reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        boolean well = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
        if (!test.isTest() && well) {
            return; // the class, or a set of parameters: its tests are told of by themselves
        }
        String method = methodOf(test);
        String trace = result.getThrowable().map(OneClass::trace).orElse("");
        met.add(method);
        if (well) {
            counts.passed++;
            say("ok   ", test, "");
        } else if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
            counts.skipped++;
            say("skip ", test, result.getThrowable().map(Throwable::getMessage).orElse(""));
        } else if (listed.containsKey(method) && trace.contains(listed.get(method).words())) {
            counts.skipped++;
            failedAsListed.add(method);
            say("list ", test, listed.get(method).reason());
        } else {
            counts.failed++;
            say("FAIL ", test, trace);
        }
    }

    /** The failure and where in the tests it happened, without JUnit's own frames. */
    private static String trace(Throwable thrown) {
        StringBuilder trace = new StringBuilder(thrown.toString());
        for (StackTraceElement frame : thrown.getStackTrace()) {
            if (frame.getClassName().startsWith("org.apache.zookeeper") || frame.getClassName().startsWith("paddock")) {
                trace.append("\n\tat ").append(frame);
            }
        }
        return trace.toString();
    }

    private void finish() {
        for (String method : leftOut) {
            if (!met.contains(method)) {
                counts.failed++;
                System.out.println("FAIL " + name + "#" + method + ": left out, but there is no such test");
            }
        }
        for (String method : listed.keySet()) {
            if (!failedAsListed.contains(method)) {
                counts.failed++;
                System.out.println("FAIL " + name + "#" + method + ": listed as failing, but "
                        + (met.contains(method) ? "it did not fail so" : "there is no such test"));
            }
        }
        if (counts.passed + counts.failed + counts.skipped == 0) {
            counts.failed++;
            System.out.println("FAIL " + name + ": no tests found");
        }
        counts.listed = failedAsListed.size();
        System.out.println(counts);
    }
}
