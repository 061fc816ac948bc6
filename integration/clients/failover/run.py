"""Clients of three members, while leader after leader is killed, or member after member restarted.

With --rolling or --kills it is gaps.py that runs, with --recipes it is recipes.py; see there. Else:
Starts three members, and runs each program on them in turn. A program keeps its clients at work in the background all
the time. We tell it, a line on its standard input each:
  killed  the leader was just killed with SIGKILL and stays away: it looks at what must hold, sees that each client gets
          on with what it does, and answers `again`; only then is the member started again
  end     it stops its clients and says of each claim whether it held
It prints `ready` once its clients are at work, and for each claim `ok   …` or `FAIL …`. Ends with "N passed, N failed".
"""

import argparse
import subprocess
import sys
import time

import gaps
import programs
import recipes
from members import LIMIT, Broken, Counts, Members, Program, end_when_told, servers


ROUNDS = 3  # unless said
WRONG = (Broken, OSError, RuntimeError, subprocess.TimeoutExpired)


def rounds_of(program, members, rounds):
    program.until("ready")
    for _ in range(rounds):
        leader = members.leader()
        leader.kill()
        program.tell("killed")
        program.until("again")
        leader.run()
    program.tell("end")
    program.until(None)


def run(name, command, members, rounds, counts):
    """One program, all its rounds."""
    before, began = counts.passed + counts.failed, time.monotonic()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, members.hosts], **pipes) as process:
        try:
            rounds_of(Program(process, counts), members, rounds)
            code = process.wait(timeout=LIMIT)
            if code != 0 or counts.passed + counts.failed == before:
                raise Broken(f"it ended with {code}")
        finally:
            process.kill()
    if ended := members.ended():
        raise Broken(f"members {ended} ended by themselves")
    counts.claim(f"ok   {name}: no member ended but those that were killed")
    print(f"     {name}: leaders killed: {rounds}; {time.monotonic() - began:.0f} s", flush=True)


def turn(options, counts):
    """Each program by itself, `--rounds` leaders killed under it."""
    commands = {name: programs.ALL[name]() for name in options.suites or programs.ALL}
    for name, command in commands.items():
        try:
            with Members() as members:
                failed = counts.failed
                run(name, command, members, options.rounds or ROUNDS, counts)
                if counts.failed > failed:
                    members.tell_logs()
        except WRONG as why:
            counts.claim(f"FAIL {name}: {why}")


def at_once(kind, ways, options, counts, act):
    """All programs at once: `act` runs them by their commands."""
    commands = {name: way() for name, way in ways.items() if name in (options.suites or ways)}
    try:
        act(commands)
    except WRONG as why:
        counts.claim(f"FAIL {kind}: {why}")


def main(options):
    end_when_told()
    servers.command = options.server_cmd
    counts = Counts()
    others = options.rolling or options.kills or options.recipes
    if options.rounds or not others:
        turn(options, counts)
    for kind in ("rolling", "kills"):
        if rounds := getattr(options, kind):
            at_once(kind, programs.WRITERS, options, counts, lambda them: gaps.run(them, kind, rounds, counts))
    if options.recipes:
        at_once("recipes", programs.RECIPES, options, counts, lambda them: recipes.run(them, options.recipes, counts))
    print(f"{counts.passed} passed, {counts.failed} failed")
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--server-cmd", required=True, help="runs one member on the zoo.cfg in place of {config}")
    parser.add_argument("--rounds", type=int, metavar="N", help="leaders to kill for each program by itself")
    parser.add_argument("--rolling", type=int, default=0, metavar="N", help="rolling restarts under writers; see gaps.py")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="leaders killed under writers; see gaps.py")
    parser.add_argument("--recipes", type=int, default=0, metavar="N", help="rounds under recipes in loops; see recipes.py")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(programs.ALL)}")
    sys.exit(main(parser.parse_args()))
