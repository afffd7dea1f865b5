#!/usr/bin/env python3
"""The dependency rule of service/, checked on the #include lines.

1. A folder includes only the folders in MAY_INCLUDE; stages never include each other.
2. A header includes no third-party header, so no such type crosses a folder, and the slow generated
   ones only in the folders that speak the spec or the API.
3. "..." is for our own files, relative to service/, and the file is there; <...> is for the rest.
4. cel/ stands alone: nothing of ours but cel/ and text/, and no third party but what its functions call.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVICE = ROOT / "service"

VOCABULARY = {"core", "text", "concurrency", "config"}
CLIENTS = {"postgres", "kafka"}  # of the two servers
STAGES = {"ingest", "compute", "sequence", "write", "offsets"}
BELOW_FLOW = VOCABULARY | CLIENTS | STAGES | {"cel", "formats", "telemetry", "plan"}
BELOW_APP = BELOW_FLOW | {"flow", "control"}
MAY_INCLUDE = {
    "core": set(),
    "text": set(),
    "concurrency": {"core"},
    "cel": {"text"},
    "config": {"core", "text", "concurrency", "cel", "kafka", "postgres"},
    "postgres": {"core", "text", "concurrency"},
    "kafka": {"core", "text"},
    **{stage: VOCABULARY for stage in STAGES},
    "formats": VOCABULARY | {"cel"},
    "ingest": VOCABULARY | {"kafka"},
    "compute": VOCABULARY | {"cel"},
    "write": VOCABULARY | {"postgres"},
    "offsets": VOCABULARY | {"postgres"},
    "telemetry": VOCABULARY,
    "plan": VOCABULARY | {"postgres", "formats", "cel", "compute"},
    "dead_letters": VOCABULARY | {"postgres", "kafka", "write"},
    "flow": BELOW_FLOW | {"dead_letters"},
    "verify": VOCABULARY | {"postgres", "kafka", "write"},
    "control": VOCABULARY | {"telemetry"},  # it calls app through an interface of its own
    "app": BELOW_APP,
    "spec_test": BELOW_APP | {"app"},
    "cli": BELOW_APP | {"app", "spec_test", "dead_letters", "verify"},
    "": {"cli", "core"},  # main.cc
}

# The system's own headers that a header of ours may include beside the C++ standard library's.
SYSTEM = re.compile(r"[a-z_]+|(unistd|poll|fcntl|signal|time|stdint|stddef|pthread)\.h|sys/[a-z]+\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
SPEAKS_PROTO = {"config", "plan", "flow", "app", "control"}
GENERATED = re.compile(r"\.pb\.h$")
CEL_THIRD_PARTY = re.compile(r"re2/.*|absl/time/time\.h|simdjson\.h|curl/urlapi\.h|curl/curl\.h|openssl/evp\.h|xxhash\.h")


def check(path):
    """Yields (line number, complaint) for one file."""
    relative = path.relative_to(SERVICE)
    folder = relative.parts[0] if len(relative.parts) > 1 else ""
    allowed = MAY_INCLUDE.get(folder)
    if allowed is None:
        yield 0, f"the folder {folder}/ is not in the dependency rule (tools/check_includes.py)"
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        own, other = match.groups()
        name = own or other
        if GENERATED.search(name):
            if path.suffix == ".h" and folder not in SPEAKS_PROTO:
                yield number, f"a header includes the generated {name}; forward-declare what it needs"
        elif own:
            target = own.split("/")[0] if "/" in own else None
            if target is None or not (SERVICE / own).is_file():
                yield number, f'"{own}" is not a file of service/; write "folder/file.h"'
            elif target != folder and target not in allowed:
                yield number, f"{folder or 'main.cc'} may not include {target}/: {own}"
        elif path.suffix == ".h" and not SYSTEM.fullmatch(other):
            yield number, f"a header includes the third-party <{other}>"
        elif folder == "cel" and not SYSTEM.fullmatch(other) and not CEL_THIRD_PARTY.fullmatch(other):
            yield number, f"cel/ stands alone, but includes <{other}>"


def main():
    files = sorted(p for p in SERVICE.rglob("*") if p.suffix in (".h", ".cc"))
    complaints = [(path, *complaint) for path in files for complaint in check(path)]
    for path, number, complaint in complaints:
        print(f"{path.relative_to(ROOT)}:{number}: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
