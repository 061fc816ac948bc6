"""Runs the test suite that ships inside kazoo against a server of our choice.

    run.py HOST:PORT [PYTEST ARGUMENTS]
    run.py --server-cmd "integration/clients/java/serve.sh {config}" [PYTEST ARGUMENTS]

CMD is run in the foreground, split as a shell would; `{config}` becomes the path of a zoo.cfg,
`{dir}` the data folder, `{port}` the client port. SIGTERM must stop it.
Exits with 0 only if every test did what expected.toml says.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main(args):
    if not args or args[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if re.fullmatch(r"[^-\s]+:\d+", args[0]):
        args = ["--server", *args]
    # What kazoo's harness insists on before it asks for a cluster; CI would add sleeps.
    os.environ.pop("CI", None)
    os.environ["ZOOKEEPER_VERSION"] = "3.9.5"
    os.environ.setdefault("ZOOKEEPER_CLUSTER_SIZE", "1")
    sys.path.insert(0, HERE)

    import pytest

    fixed = ["-p", "plugin", "-p", "no:cacheprovider", "--pyargs", "kazoo.tests", "-qq", "--tb=short", "-W", "ignore"]
    return pytest.main([*fixed, "--timeout=120", *args])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
