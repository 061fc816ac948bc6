package paddock.zktests;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How many tests did what; as text, the line every suite ends with. */
final class Counts {
    private static final Pattern LINE = Pattern.compile(
            "(\\d+) passed, (\\d+) failed, (\\d+) skipped \\((\\d+) listed as failing\\)");

    int passed;
    int failed;
    int skipped;
    /** Among the skipped: those that failed as the list says. */
    int listed;

    /** Adds what `line` counts; false if it is no such line. */
    boolean add(String line) {
        Matcher match = LINE.matcher(line);
        if (!match.matches()) {
            return false;
        }
        passed += Integer.parseInt(match.group(1));
        failed += Integer.parseInt(match.group(2));
        skipped += Integer.parseInt(match.group(3));
        listed += Integer.parseInt(match.group(4));
        return true;
    }

    @Override
    public String toString() {
        return passed + " passed, " + failed + " failed, " + skipped + " skipped (" + listed + " listed as failing)";
    }
}
