#!/usr/bin/env python3
"""Writes the SBOM of a root file system that tools/image_root.sh made: SPDX 2.3, JSON.

    tools/image_sbom.py --version VERSION --created TIME ROOT

It goes to ROOT/usr/share/sbom/penstock.spdx.json and lists Penstock and every Debian package of
ROOT/var/lib/dpkg/status.d. A package's licences are those of all its source's files, as far as Debian's
copyright file is machine-readable; such a file stays in the image, with the text of every licence.
"""

import argparse
import email.parser
import hashlib
import json
import os
import pathlib
import re
import urllib.parse
import uuid

SBOM = "usr/share/sbom/penstock.spdx.json"
PENSTOCK = "SPDXRef-Package-penstock"

# Debian's short names of licences (lower case) that are SPDX's under another name. Versions and
# "or later" (GPL-2+) follow a rule; a name in neither becomes a LicenseRef of the package.
SPDX = {
    "0bsd": "0BSD", "apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0", "apsl-2.0": "APSL-2.0",
    "beerware": "Beerware", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd3": "BSD-3-Clause",
    "bsd-3-clause-attribution": "BSD-3-Clause-Attribution", "bsd-4-clause-uc": "BSD-4-Clause-UC",
    "bsl-1.0": "BSL-1.0", "curl": "curl", "expat": "MIT", "fsfap": "FSFAP", "fsful": "FSFUL",
    "fsfullr": "FSFULLR", "isc": "ISC", "latex2e": "Latex2e", "mit": "MIT", "mit-cmu": "MIT-CMU",
    "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "ms-pl": "MS-PL", "oldap-2.8": "OLDAP-2.8",
    "openldap-2.8": "OLDAP-2.8", "postgresql": "PostgreSQL", "sleepycat": "Sleepycat", "tcl": "TCL",
    "unicode-dfs-2016": "Unicode-DFS-2016", "x11": "X11", "zlib": "Zlib",
}
# In the version of a package that tools/backports.sh rebuilt.
REBUILT = "~deb13+penstock"
GNU = re.compile(r"(a?gpl|lgpl|gfdl)-(\d)(?:\.(\d))?(?:\.0)?(\+?)", re.IGNORECASE)


def paragraphs(text):
    """The paragraphs of a file in Debian's control format, as mappings; comments between them are none."""
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield email.parser.HeaderParser().parsestr(paragraph)


def licence(name, refs, package):
    """One licence, as SPDX names it, or as a LicenseRef that is noted in `refs`."""
    if name.lower() in SPDX:
        return SPDX[name.lower()]
    if gnu := GNU.fullmatch(name):
        family, major, minor, later = gnu.groups()
        return f"{family.upper()}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    ref = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", f"{package}-{name}").strip("-")
    refs[ref] = name
    return ref


def terms(declared, refs, package):
    """What a License field asks for, as SPDX expressions that hold together: "and" binds closer than "or" in
    both. Commas change that, and exceptions have no names that SPDX and Debian agree on: those stay one name."""
    if "," in declared:
        return {licence(" ".join(declared.split()), refs, package)}
    alternatives = [[licence(" ".join(name.split()), refs, package)
                     for name in re.split(r"\s+and\s+", alternative, flags=re.IGNORECASE)]
                    for alternative in re.split(r"\s+or\s+", declared, flags=re.IGNORECASE)]
    if len(alternatives) == 1:
        return set(alternatives[0])
    return {"(" + " OR ".join(" AND ".join(names) for names in alternatives) + ")"}


def licences(root, package):
    """(expression, {LicenseRef: name}, comment) of a package, from its copyright file in ROOT."""
    shown = f"/usr/share/doc/{package}/copyright"
    text = (root / shown.lstrip("/")).read_text(encoding="utf-8", errors="replace")
    head, *rest = paragraphs(text)
    if "copyright-format/1.0" not in head.get("Format", ""):
        return "NOASSERTION", {}, f"{shown} says it in words only"
    refs, found = {}, set()
    for paragraph in [head, *rest]:
        # A paragraph without files is a licence's text.
        if declared := paragraph.get("License", "").split("\n")[0].strip():
            if paragraph.get("Files") or paragraph is head:
                found |= terms(declared, refs, package)
    if not found:
        return "NOASSERTION", {}, f"{shown} names none"
    return " AND ".join(sorted(found)), refs, f"of every file of the source package: {shown}"


def source_of(control):
    """(name, version) of the source package."""
    match = re.fullmatch(r"(\S+)(?: \((\S+)\))?", control.get("Source", control["Package"]))
    return match[1], match[2] or control["Version"]


def rebuilt_from(version):
    return f": Debian's source package {version.split(REBUILT)[0]}, rebuilt for Debian 13" if REBUILT in version else ""


def debian_package(root, control, release):
    name, version = control["Package"], control["Version"]
    declared, refs, comment = licences(root, name)
    source, source_version = source_of(control)
    quoted = urllib.parse.quote(version, safe=".-~")
    purl = f"pkg:deb/debian/{urllib.parse.quote(name)}@{quoted}?arch={control['Architecture']}&distro=debian-{release}"
    package = {
        "SPDXID": "SPDXRef-Package-deb-" + re.sub(r"[^A-Za-z0-9.-]", "-", name),
        "name": name,
        "versionInfo": version,
        "supplier": f"Organization: {'Penstock' if REBUILT in version else 'Debian'}",
        "originator": f"Person: {control['Maintainer']}" if "@" in control["Maintainer"] else "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "sourceInfo": f"built from {source} {source_version}" + rebuilt_from(version),
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": declared,
        "licenseComments": comment,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }
    if "Homepage" in control:
        package["homepage"] = control["Homepage"]
    return package, refs


def penstock(version):
    return {
        "SPDXID": PENSTOCK,
        "name": "penstock",
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
    }


def document(root, version, created):
    release = re.search(r'^VERSION_ID="?([^"\n]+)', (root / "usr/lib/os-release").read_text(), re.MULTILINE)[1]
    packages, refs = [], {}
    for file in sorted((root / "var/lib/dpkg/status.d").iterdir()):
        if file.suffix != ".md5sums":
            package, its_refs = debian_package(root, email.parser.HeaderParser().parsestr(file.read_text()), release)
            packages.append(package)
            refs.update({ref: (name, package["name"]) for ref, name in its_refs.items()})
    # The name of a document is its own: the same packages at the same time are the same document.
    digest = hashlib.sha256(json.dumps([version, created, packages]).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"penstock-{version}",
        "documentNamespace": uuid.UUID(hex=digest[:32], version=5).urn,
        "creationInfo": {"created": created, "creators": ["Tool: penstock-tools/image_sbom.py"]},
        "packages": [penstock(version), *packages],
        "relationships": [relation("SPDXRef-DOCUMENT", "DESCRIBES", PENSTOCK)]
        + [relation(PENSTOCK, "DEPENDS_ON", package["SPDXID"]) for package in packages],
        "hasExtractedLicensingInfos": [
            {"licenseId": ref, "name": name, "extractedText": f"Its text is in /usr/share/doc/{package}/copyright."}
            for ref, (name, package) in sorted(refs.items())],
    }


def relation(element, kind, other):
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": other}


def main():
    parser = argparse.ArgumentParser(description="Writes the SBOM of a root file system.")
    parser.add_argument("--version", required=True, help="Penstock's")
    parser.add_argument("--created", required=True, help="as 2026-01-31T12:00:00Z")
    parser.add_argument("root", type=pathlib.Path)
    options = parser.parse_args()
    file = options.root / SBOM
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document(options.root, options.version, options.created), indent=1) + "\n")
    os.chmod(file, 0o644)


if __name__ == "__main__":
    main()
