"""fetch.py DIR: takes the programs out of the pages of ZooKeeper's documentation, into DIR/src.

The pages lie in Debian's source package of ZooKeeper, which the mirrors that this machine uses have. What stands there in a
section "Source Listing" or "Complete Source Listings" is taken as it is, class by class.
"""

import hashlib
import io
import pathlib
import re
import subprocess
import sys
import tarfile
import textwrap

ARCHIVE = "pool/main/z/zookeeper/zookeeper_3.8.0.orig.tar.gz"
SHA256 = "b0c5684640bea2d8bd6610b47ff41be2aefd6c910ba48fcad5949bd2bf2fa1ac"
HELPER = "/usr/lib/apt/apt-helper"
PAGES = "apache-zookeeper-3.8.0/zookeeper-docs/src/main/resources/markdown/"
# Each program's page, and how the section begins in which it stands whole.
PROGRAMS = {
    "Executor": ("javaExample.md", "## Complete Source Listings"),
    "DataMonitor": ("javaExample.md", "## Complete Source Listings"),
    "SyncPrimitive": ("zookeeperTutorial.md", "### Source Listing"),
}


def mirrors():
    """Where this machine's packages come from."""
    told = subprocess.run(
        ("apt-get", "indextargets", "--format", "$(REPO_URI)"), capture_output=True, text=True, check=True
    )
    return sorted(set(told.stdout.split()))


def archive(kept):
    """The source package, kept from an earlier run or from one of the mirrors; its hash is this one in any case."""
    if not kept.exists() or hashlib.sha256(kept.read_bytes()).hexdigest() != SHA256:
        failures = []
        for mirror in mirrors():
            # As apt fetches, by whatever way its configuration says, and checked.
            uri = f"{mirror.rstrip('/')}/{ARCHIVE}"
            got = subprocess.run((HELPER, "download-file", uri, str(kept), f"SHA256:{SHA256}"), capture_output=True, text=True)
            if got.returncode == 0:
                break
            failures.append(got.stderr.strip())
        else:
            sys.exit(f"{ARCHIVE}: no mirror has it as it was: {'; '.join(failures)}")
    return kept.read_bytes()


def programs(page, section):
    """The indented blocks of a section, one for each program: they begin with a comment or an import."""
    text = page[page.index(f"\n{section}\n") :]
    blocks = re.findall(r"(?:^(?: {4}|\t).*\n|^[ \t]*\n)+", text, re.MULTILINE)
    return [textwrap.dedent(block.expandtabs(4)).strip() + "\n" for block in blocks if "class " in block]


def main():
    """Writes each program's file."""
    out = pathlib.Path(sys.argv[1])
    (out / "src").mkdir(parents=True, exist_ok=True)
    content = archive(out / "zookeeper.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        for name, (page, section) in PROGRAMS.items():
            text = files.extractfile(PAGES + page).read().decode()
            wanted = [it for it in programs(text, section) if re.search(rf"public class {name}\b", it)]
            assert len(wanted) == 1, f"{name}: {len(wanted)} programs in {page}"
            (out / "src" / f"{name}.java").write_text(wanted[0])


main()
