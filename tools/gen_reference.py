#!/usr/bin/env python3
"""Writes docs/reference/configuration.md from the comments of the pipeline spec.

The spec is a protobuf message (protos/penstock/v1/pipeline.proto), and the YAML file is that
message: so its comments are the reference, and nothing can be documented that is not there.
With --check it only says whether the page is up to date; a unit test runs that.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "configuration.md"
SPEC = "penstock/v1/pipeline.proto"

Field = descriptor_pb2.FieldDescriptorProto
NUMBERS = {Field.TYPE_UINT32, Field.TYPE_UINT64, Field.TYPE_INT32, Field.TYPE_INT64,
           Field.TYPE_DOUBLE}


def read_spec():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "spec.pb"
        subprocess.run(["protoc", f"-I{ROOT / 'protos'}", "--include_source_info",
                        f"--descriptor_set_out={out}", SPEC], check=True)
        files = descriptor_pb2.FileDescriptorSet()
        files.ParseFromString(out.read_bytes())
    return files.file[0]


def prose(comment):
    """One line; words in double quotes that name YAML are shown as code."""
    text = " ".join(comment.split())
    return re.sub(r'"([^" ]+)"', r"`\1`", text).replace("|", "\\|")


def enum_word(enum, value):
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return value.name.removeprefix(prefix).lower()


class Reference:
    def __init__(self, file):
        self.comments = {tuple(location.path): location for location in file.source_code_info.location}
        self.messages = {}
        self.enums = {}
        self.paths = {}
        for index, message in enumerate(file.message_type):
            self.add(message, f".{file.package}", (4, index))
        self.lines = []

    def add(self, message, scope, path):
        name = f"{scope}.{message.name}"
        self.messages[name] = message
        self.paths[name] = path
        for index, nested in enumerate(message.nested_type):
            self.add(nested, name, path + (3, index))
        for index, enum in enumerate(message.enum_type):
            self.enums[f"{name}.{enum.name}"] = enum
            self.paths[f"{name}.{enum.name}"] = path + (4, index)

    def leading(self, path):
        location = self.comments.get(path)
        return location.leading_comments if location else ""

    def trailing(self, path):
        location = self.comments.get(path)
        return location.trailing_comments if location else ""

    def is_map(self, field):
        return field.type == Field.TYPE_MESSAGE and self.messages.get(
            field.type_name, descriptor_pb2.DescriptorProto()).options.map_entry

    def is_only_map(self, field):
        """A message that is nothing but a map is written as the map."""
        if field.type_name not in self.messages:
            return False
        fields = self.messages[field.type_name].field
        return len(fields) == 1 and self.is_map(fields[0])

    def type_of(self, field):
        if self.is_map(field):
            value = self.messages[field.type_name].field[1]
            return f"mapping of {self.type_of(value)}"
        if field.type == Field.TYPE_MESSAGE:
            kind = "duration" if field.type_name == ".google.protobuf.Duration" else "mapping"
            if self.is_only_map(field):
                kind = "mapping of text"
        elif field.type == Field.TYPE_ENUM:
            kind = "word"
        elif field.name.endswith("_bytes"):
            kind = "size"
        elif field.type in NUMBERS:
            kind = "number"
        elif field.type == Field.TYPE_BOOL:
            kind = "true or false"
        else:
            kind = "text"
        return f"list of {kind}" if field.label == Field.LABEL_REPEATED else kind

    def words(self, field):
        enum = self.enums[field.type_name]
        path = self.paths[field.type_name]
        words = []
        for index, value in enumerate(enum.value):
            about = self.leading(path + (2, index)) or self.trailing(path + (2, index))
            if value.number == 0:
                default = re.search(r"the same as (\w+)", about)
                left_out = f"left out: `{default[1].lower()}`" if default else f"left out: {prose(about)}"
                continue
            words.append(f"`{enum_word(enum, value)}`" + (f": {prose(about)}" if about else ""))
        return "<br>".join(words + [left_out])

    def message(self, name, where):
        """The section of a message that stands at `where`, then those of its fields."""
        message = self.messages[name]
        path = self.paths[name]
        self.lines += [f"## {where}" if where else "## The file", ""]
        about = self.leading(path)
        if about:
            self.lines += [prose(about), ""]
        self.lines += ["| key | type | meaning |", "| --- | --- | --- |"]
        children = []
        for index, field in enumerate(message.field):
            meaning = prose(self.leading(path + (2, index)) or self.trailing(path + (2, index)))
            if field.type == Field.TYPE_ENUM:
                meaning = "<br>".join(filter(None, [meaning, self.words(field)]))
            if field.HasField("oneof_index"):
                rest = [f"`{other.name}`" for other in message.field
                        if other.HasField("oneof_index") and other.name != field.name
                        and other.oneof_index == field.oneof_index]
                if rest:
                    meaning = " ".join(filter(None, [meaning, f"Excludes {', '.join(rest)}."]))
            if field.type_name in self.messages and not (self.is_map(field) or self.is_only_map(field)):
                below = f"{where}.{field.name}".lstrip(".")
                below += "[]" if field.label == Field.LABEL_REPEATED else ""
                children.append((field.type_name, below))  # says there what it is
                anchor = re.sub(r"[^a-z0-9_ -]", "", below)
                meaning = " ".join(filter(None, [meaning, f"See [{below}](#{anchor})."]))
            self.lines.append(f"| `{field.name}` | {self.type_of(field)} | {meaning} |")
        self.lines.append("")
        for child, below in children:
            self.message(child, below)

    def page(self):
        self.lines = [
            "# Configuration", "",
            "This page is generated by `tools/gen_reference.py` from the comments of",
            f"`protos/{SPEC}`; a unit test keeps it so. The YAML file is that message:",
            "`penstock check --config FILE` says what is wrong with yours, and where.", "",
        ]
        # The comment at the top of the file, without the copyright-like rest.
        syntax = self.comments[(12,)]
        self.lines += [prose(syntax.leading_comments), ""]
        self.message(".penstock.v1.Config", "")
        return "\n".join(self.lines).rstrip() + "\n"


def main():
    page = Reference(read_spec()).page()
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != page:
            sys.exit(f"{PAGE.relative_to(ROOT)} is not up to date: run tools/gen_reference.py "
                     "(in ./dev shell)")
    elif sys.argv[1:]:
        sys.exit("usage: tools/gen_reference.py [--check]")
    else:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
