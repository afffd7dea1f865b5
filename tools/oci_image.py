#!/usr/bin/env python3
"""Reads a container image in an OCI archive (a tar file with an index.json, as buildah, podman and
docker 25 or later save it).

    tools/oci_image.py [--sbom FILE] ARCHIVE

prints its size, compressed and not, and writes the SBOM in it to FILE.
"""

import argparse
import json
import pathlib
import sys
import tarfile

SBOM = "usr/share/sbom/penstock.spdx.json"


class OciImage:
    """An image for one platform. Use it in a with statement."""

    def __init__(self, archive):
        self.archive = tarfile.open(archive)
        index = self._json("index.json")
        while index.get("manifests"):  # an index may lead to an index
            images = [entry for entry in index["manifests"]
                      if entry.get("annotations", {}).get("vnd.docker.reference.type") != "attestation-manifest"]
            if len(images) != 1:
                raise ValueError(f"{archive} has {len(images)} images, not one")
            index = self._json(_blob(images[0]["digest"]))
        self.manifest = index
        self.config = self._json(_blob(index["config"]["digest"]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.archive.close()

    def _json(self, path):
        return json.load(self.archive.extractfile(path))

    def _layers(self):
        for layer in self.manifest["layers"]:
            with tarfile.open(fileobj=self.archive.extractfile(_blob(layer["digest"])), mode="r:*") as members:
                yield members

    def members(self):
        """{path: its tarfile.TarInfo} of what is in the image: the last layer that has it."""
        return {member.name.removeprefix("./").rstrip("/"): member for layer in self._layers() for member in layer}

    def extract(self, folder):
        """Unpacks every layer, as root with owners and all modes. No layer may take away what is below it."""
        for layer in self._layers():
            for member in layer:
                if pathlib.PurePath(member.name).name.startswith(".wh."):
                    raise ValueError(f"a layer takes something away: {member.name}")
                layer.extract(member, folder, numeric_owner=True, filter="fully_trusted")

    def read(self, path):
        found = None
        for layer in self._layers():
            for member in layer:
                if member.name.removeprefix("./") == path:
                    found = layer.extractfile(member).read()
        if found is None:
            raise FileNotFoundError(f"the image has no {path}")
        return found

    def sizes(self):
        """(bytes of the files in it, bytes of its layers as they are pulled)."""
        return (sum(member.size for member in self.members().values()),
                sum(layer["size"] for layer in self.manifest["layers"]))


def _blob(digest):
    return "blobs/" + digest.replace(":", "/")


def main():
    parser = argparse.ArgumentParser(description="What is in the archive of a container image.")
    parser.add_argument("--sbom", type=pathlib.Path, help="where its SBOM goes")
    parser.add_argument("archive", type=pathlib.Path)
    options = parser.parse_args()
    with OciImage(options.archive) as image:
        text = image.read(SBOM)
        if options.sbom:
            options.sbom.write_bytes(text)
        files, pulled = image.sizes()
        packages = sum("purl" in json.dumps(package) for package in json.loads(text)["packages"])
        print(f"{options.archive}: {files / 1e6:.1f} MB ({pulled / 1e6:.1f} MB compressed),"
              f" {packages} Debian packages", file=sys.stderr)


if __name__ == "__main__":
    main()
