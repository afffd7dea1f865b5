"""What is in the image and what must not be, by the metadata of its layers."""

import os
import pathlib
import re
import stat
import tarfile
import unittest

from image import PROGRAM, image, members, run, text, unpacked

MAX_BYTES = 120_000_000
# What could be started, if the image had it.
FORBIDDEN = {"sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "perl", "python3", "gcc", "cc", "c++",
             "clang", "ld", "make", "curl", "openssl", "ldconfig", "su", "mount"}


def faults(found):
    """What is wrong with these members, a line for each."""
    for path, member in found.items():
        name = path.rsplit("/", 1)[-1]
        if member.uid or member.gid:
            yield f"{path} belongs to {member.uid}:{member.gid}, not to root"
        if member.mode & (stat.S_ISUID | stat.S_ISGID):
            yield f"{path} runs with the rights of its owner"
        if member.mode & stat.S_IWOTH and not member.issym():
            yield f"{path} can be written by everyone"
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            yield f"{path} is neither a file nor a directory nor a link"
        if any("security.capability" in header for header in member.pax_headers):
            yield f"{path} has capabilities"
        if not member.isdir() and path != PROGRAM and (name in FORBIDDEN or path.startswith(("usr/bin/", "usr/sbin/"))):
            yield f"{path} is a program"
        if member.isfile() and member.mode & 0o111 and path != PROGRAM and ".so" not in name:
            yield f"{path} can be executed"
        if path.startswith(("usr/share/man/", "usr/share/locale/", "usr/share/info/", "var/cache/", "var/lib/apt/",
                            "usr/include/", "usr/local/", "home/", "tmp", "run", "var/tmp")):
            yield f"{path} is of no use to the program"
        if name.endswith((".a", ".la", ".o", ".h", ".pc", ".debug", ".pyc", ".deb")):
            yield f"{path} is for those who build"


def elf_files():
    for path, found in members().items():
        if found.isfile():
            with open(unpacked() / path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def needed_by(path):
    """The libraries that a program or library asks for."""
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", unpacked() / path).stdout))


def certificates(pem):
    return {re.sub(r"\s", "", body) for body in
            re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem, re.DOTALL)}


def member(path, mode=0o644, **fields):
    made = tarfile.TarInfo(path)
    made.mode = mode
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class FilesTest(unittest.TestCase):
    def test_nothing_in_it_is_out_of_place(self):
        self.assertEqual(list(faults(members())), [])
        self.assertIn(PROGRAM, members())

    def test_whatever_is_out_of_place_is_found(self):
        for planted, words in [
                (member("usr/lib/x", 0o4755), "rights of its owner"),
                (member("usr/lib/x.so", 0o2644), "rights of its owner"),
                (member("etc/x", 0o666), "written by everyone"),
                (member("tmp", 0o1777, type=tarfile.DIRTYPE), "written by everyone"),
                (member("etc/x", uid=1), "not to root"),
                (member("dev/x", type=tarfile.CHRTYPE), "neither a file"),
                (member("usr/bin/sh", 0o755, type=tarfile.SYMTYPE, linkname="dash"), "is a program"),
                (member("opt/busybox", 0o755), "is a program"),
                (member("usr/lib/apt/methods/http", 0o755), "can be executed"),
                (member("usr/share/man/man1/x.1"), "of no use"),
                (member("usr/lib/libx.a"), "for those who build"),
                (member("usr/lib/x.so", pax_headers={"SCHILY.xattr.security.capability": "x"}), "capabilities")]:
            with self.subTest(planted.name):
                wrong = list(faults({planted.name: planted}))
                self.assertTrue(any(words in line for line in wrong), wrong)

    def test_every_link_leads_to_something_in_it(self):
        lost = [path for path, found in members().items() if found.issym() and not resolved(path).exists()]
        self.assertEqual(lost, [])

    def test_the_program_is_stripped_of_its_symbols(self):
        sections = run("readelf", "--sections", "--wide", unpacked() / PROGRAM).stdout
        self.assertRegex(sections, r" \.text ")
        self.assertNotRegex(sections, r" \.(debug\w*|symtab) ")

    def test_it_is_smaller_than_120_megabytes(self):
        files, pulled = image().sizes()
        self.assertGreater(files, 20_000_000)
        self.assertLess(files, MAX_BYTES)
        self.assertLess(pulled, files)

    def test_every_library_that_anything_in_it_asks_for_is_in_it(self):
        there = {path.rsplit("/", 1)[-1] for path in members()}
        missing = {path: lacking for path in elf_files() if (lacking := needed_by(path) - there)}
        self.assertEqual(missing, {})
        self.assertIn("librdkafka.so.1", needed_by(PROGRAM))

    def test_it_has_the_certificate_authorities_of_mozilla_and_of_no_site(self):
        bundle = certificates(text("etc/ssl/certs/ca-certificates.crt"))
        self.assertGreater(len(bundle), 100)
        for own in pathlib.Path("/usr/local/share/ca-certificates").glob("*.crt"):
            self.assertEqual(certificates(own.read_text()) & bundle, set(), own.name)

    def test_its_user_is_named_and_nobody_can_log_in(self):
        for line in text("etc/passwd").splitlines():
            name, _, user, group, _, home, shell = line.split(":")
            self.assertIn((name, user, group), {("root", "0", "0"), ("penstock", "65532", "65532")})
            self.assertEqual((home, shell), ("/nonexistent", "/nonexistent"))

    def test_it_says_which_debian_it_is_of(self):
        self.assertIn("VERSION_ID=\"13\"", text("usr/lib/os-release"))
        self.assertEqual(members()["etc/os-release"].linkname, "../usr/lib/os-release")


def resolved(path):
    """Where a link of the image leads, with / its root."""
    place = unpacked() / path
    for _ in range(10):
        if not place.is_symlink():
            return place
        target = os.readlink(place)
        place = unpacked() / target.lstrip("/") if target.startswith("/") else place.parent / target
    return place
