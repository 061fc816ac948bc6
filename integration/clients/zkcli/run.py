"""The parts of this suite, or those named; see run.sh."""

import sys

import cli  # finds the others
import compare
import restarts
from members import Broken, Counts, end_when_told

COMMITTED = "Committed new configuration:"
KILLS = 3
WRONG = (Broken, OSError, RuntimeError)

PARTS = {
    "alone": lambda command, counts: compare.judged(compare.alone, "Created /app", command, counts),
    "reconfig": lambda command, counts: compare.judged(compare.reconfigured, COMMITTED, command, counts),
    "restarts": lambda command, counts: restarts.run(command, KILLS, counts),
}


def main(command, parts):
    end_when_told()
    counts = Counts()
    for part in parts or PARTS:
        try:
            PARTS[part](command, counts)
        except WRONG as why:
            counts.claim(f"FAIL {part}: {why}")
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
