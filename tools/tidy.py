#!/usr/bin/env python3
"""Runs clang-tidy on the sources of service/, in parallel, and remembers what was clean.

A clean result is kept in the cache under a hash of everything it depends on that can change in a
clone: the source, the headers of ours it includes, its compiler options, .clang-tidy and the list
of packages. So the second run takes a second, and a change costs what it touches.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ["PENSTOCK_CACHE"]) / "tidy"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
TIDY = "clang-tidy-19"


def closure(source):
    """The source and every file of ours and generated source's .proto it includes, sorted."""
    seen, queue = set(), [source]
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in INCLUDE.findall(path.read_text()):
            for candidate in (ROOT / "service" / name,
                              ROOT / "protos" / re.sub(r"(\.grpc)?\.pb\.h$", ".proto", name)):
                if candidate.is_file():
                    queue.append(candidate)
    return sorted(seen)


def key(source, command, common):
    digest = hashlib.sha256(common)
    digest.update(command.replace(str(ROOT), "").encode())
    for path in closure(source):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run(build, source):
    result = subprocess.run([TIDY, "-p", build, "--quiet", source], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, check=False)
    return result.returncode, result.stdout + (result.stderr if result.returncode else "")


def main(build):
    CACHE.mkdir(parents=True, exist_ok=True)
    common = b"".join((ROOT / name).read_bytes() for name in (".clang-tidy", "tools/packages.txt"))
    build = pathlib.Path(build)
    # A test may compile a source of service/ once more, in its own way: that is looked at once.
    entries = [entry for entry in json.loads((build / "compile_commands.json").read_text())
               if pathlib.Path(entry["file"]).is_relative_to(ROOT / "service")
               and not entry["output"].startswith("tests/")]
    looked_at = build / "tidy"
    looked_at.mkdir(exist_ok=True)
    (looked_at / "compile_commands.json").write_text(json.dumps(entries))
    todo = []
    for entry in entries:
        source = pathlib.Path(entry["file"])
        mark = CACHE / key(source, entry["command"].split(" -o ")[0], common)
        if not mark.exists():
            todo.append((source, mark))
    print(f"clang-tidy: {len(entries)} sources, {len(todo)} to look at", file=sys.stderr)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(run, looked_at, source): (source, mark) for source, mark in todo}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            source, mark = jobs[job]
            status, output = job.result()
            print(f"[{done}/{len(todo)}] {source.relative_to(ROOT)}{': FAILED' if status else ''}",
                  file=sys.stderr)
            if status:
                bad += 1
                print(output, file=sys.stderr, flush=True)
            else:
                mark.touch()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
