"""The SBOM: a document that others can read, of exactly the packages whose files are in the image."""

import hashlib
import json
import pathlib
import re
import tempfile
import unittest
import urllib.parse

from license_expression import get_spdx_licensing

from image import PROGRAM, SBOM, SBOM_BESIDE, TOOLS, members, run, run_contained, text, unpacked

STATUS = "var/lib/dpkg/status.d/"
# What image_root.sh makes, or Debian lists among the settings of base-files, which have no checksums.
MADE = {PROGRAM, SBOM, "etc/debian_version", "etc/group", "etc/nsswitch.conf", "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt"}


def document():
    return json.loads(text(SBOM))


def listed():
    """{name: entry} of the Debian packages in the SBOM."""
    return {entry["name"]: entry for entry in document()["packages"] if entry["name"] != "penstock"}


def described():
    """{name: {field: value}} of the packages that the image itself says it has, where scanners look."""
    found = {}
    for path in members():
        if path.startswith(STATUS) and not path.endswith(".md5sums"):
            fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", text(path), re.MULTILINE))
            found[fields["Package"]] = fields
    return found


def checksums():
    """{path: (package, MD5)} of all files of these packages, in the image or not, as Debian has built them."""
    found = {}
    for name in described():
        for line in text(f"{STATUS}{name}.md5sums").splitlines():
            digest, path = line.split(maxsplit=1)
            found[path] = (name, digest)
    return found


class SbomTest(unittest.TestCase):
    def test_it_lists_exactly_the_packages_whose_files_are_in_the_image(self):
        known, owners, strangers = checksums(), set(), []
        for path, member in members().items():
            if not member.isfile() or path in MADE or path.startswith(STATUS):
                continue
            name, digest = known.get(path, ("", ""))
            if hashlib.md5((unpacked() / path).read_bytes()).hexdigest() == digest:
                owners.add(name)
            else:
                strangers.append(path)
        self.assertEqual(strangers, [])
        # Packages of one source may share a folder with their copyright: gcc-14-base has no other file.
        linked = {path.split("/")[3] for path, member in members().items()
                  if path.startswith("usr/share/doc/") and member.issym()}
        self.assertEqual(owners | linked, set(listed()))

    def test_its_versions_are_those_that_scanners_find(self):
        self.assertEqual({name: entry["versionInfo"] for name, entry in listed().items()},
                         {name: fields["Version"] for name, fields in described().items()})

    def test_every_package_has_a_url_that_names_it(self):
        for name, entry in listed().items():
            (reference,) = entry["externalRefs"]
            self.assertEqual((reference["referenceCategory"], reference["referenceType"]), ("PACKAGE-MANAGER", "purl"))
            url = re.fullmatch(r"pkg:deb/debian/([a-z0-9.%B-]+)@([A-Za-z0-9.~%-]+)\?arch=(\w+)&distro=debian-13",
                               reference["referenceLocator"])
            self.assertTrue(url, reference["referenceLocator"])
            self.assertEqual((urllib.parse.unquote(url[1]), urllib.parse.unquote(url[2]), url[3]),
                             (name, entry["versionInfo"], described()[name]["Architecture"]))

    def test_it_says_which_packages_are_rebuilt_and_from_what(self):
        rebuilt = {name: entry for name, entry in listed().items() if entry["supplier"] != "Organization: Debian"}
        self.assertEqual(set(rebuilt), {"librdkafka1"})
        self.assertRegex(rebuilt["librdkafka1"]["sourceInfo"],
                         r"Debian's source package 2\.[0-9.]+-[0-9]+, rebuilt for Debian 13$")

    def test_every_licence_is_one_of_spdx_or_one_whose_text_is_in_the_image(self):
        licensing = get_spdx_licensing()
        own = {info["licenseId"]: info["extractedText"] for info in document()["hasExtractedLicensingInfos"]}
        used, machine_readable = set(), 0
        for entry in document()["packages"]:
            declared = entry["licenseDeclared"]
            if declared == "NOASSERTION":
                continue
            machine_readable += 1
            names = {str(key) for key in licensing.license_keys(declared)}
            used |= names & set(own)
            self.assertEqual(names - set(own) - set(licensing.known_symbols), set(), entry["name"])
        self.assertEqual(used, set(own))
        self.assertGreater(machine_readable, len(listed()) // 2)
        for name, words in own.items():
            path = re.search(r"/(usr/share/doc/\S+/copyright)", words)[1]
            self.assertTrue((unpacked() / path).is_file(), f"{name}: {words}")

    def test_licences_are_those_of_debians_copyright_files(self):
        for name, declared in [("zlib1g", "Zlib"), ("libabsl20240722", "Apache-2.0"),
                               ("libyaml-cpp0.8", "GPL-2.0-or-later AND X11"),
                               ("ca-certificates", "GPL-2.0-or-later AND MPL-2.0"),
                               ("libstdc++6", "NOASSERTION")]:
            self.assertEqual(listed()[name]["licenseDeclared"], declared, name)

    def test_every_package_comes_with_its_copyright(self):
        for name in listed():
            self.assertGreater((unpacked() / "usr/share/doc" / name / "copyright").stat().st_size, 100, name)

    def test_it_describes_the_program_and_what_that_depends_on(self):
        (penstock,) = [entry for entry in document()["packages"] if entry["name"] == "penstock"]
        self.assertEqual("penstock " + penstock["versionInfo"], run_contained("version").stdout.strip())
        relations = {(one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
                     for one in document()["relationships"]}
        self.assertEqual(relations, {("SPDXRef-DOCUMENT", "DESCRIBES", penstock["SPDXID"])}
                         | {(penstock["SPDXID"], "DEPENDS_ON", entry["SPDXID"]) for entry in listed().values()})

    def test_it_has_what_spdx_asks_of_every_document(self):
        found = document()
        self.assertEqual((found["spdxVersion"], found["dataLicense"], found["SPDXID"]),
                         ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertRegex(found["documentNamespace"], r"^urn:uuid:[0-9a-f-]{36}$")
        self.assertRegex(found["creationInfo"]["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(found["creationInfo"]["creators"])
        ids = [entry["SPDXID"] for entry in found["packages"]]
        self.assertEqual(len(ids), len(set(ids)))
        for entry in found["packages"]:
            self.assertRegex(entry["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertLessEqual({"name", "downloadLocation", "filesAnalyzed", "licenseConcluded", "copyrightText"},
                                 set(entry))

    def test_spdxs_own_library_reads_it(self):
        result = run(TOOLS / "spdxcheck", SBOM_BESIDE)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_spdxs_own_library_refuses_one_that_is_not_whole(self):
        broken = document()
        del broken["packages"][1]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(broken, file)
            file.flush()
            result = run(TOOLS / "spdxcheck", file.name)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no such package", result.stderr)

    def test_the_one_beside_the_image_is_the_one_in_it(self):
        self.assertEqual(pathlib.Path(SBOM_BESIDE).read_text(), text(SBOM))
