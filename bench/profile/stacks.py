"""Reads what `perf script` prints: one sample after the other, its stack from the leaf outwards."""

import collections
import re

SAMPLE = re.compile(r"^(?P<thread>\S.*?)\s+\d+\s+(?P<period>\d+)\s*$")
FRAME = re.compile(r"^\s+[0-9a-f]+ (?P<symbol>.*) \((?P<object>[^()]*)\)$")
KERNEL = "[kernel]"

# One sample: `frames` are Frame, the outermost first; `weight` is in units of the profiled event.
Sample = collections.namedtuple("Sample", "thread frames weight")
Frame = collections.namedtuple("Frame", "name object")


class BadInput(Exception):
    """The text is not what perf script prints; says where."""


OPERATOR = re.compile(r"\boperator(<=>|<<=|>>=|<<|>>|<=|>=|->\*?|<|>|\(\))")


def _without(text, opening, closing):
    """The text without what stands between balanced brackets."""
    out, depth = [], 0
    for char in text:
        if char == opening:
            depth += 1
        elif char == closing and depth > 0:
            depth -= 1
        elif depth == 0:
            out.append(char)
    return "".join(out)


def short_name(symbol):
    """A C++ symbol without return type, template arguments, parameters and our own namespace."""
    name = symbol.replace("(anonymous namespace)::", "").replace("[abi:cxx11]", "")
    operator = OPERATOR.search(name)
    if operator:  # its own brackets stay
        name = name[:operator.start()] + "operator"
    name = _without(_without(name, "<", ">"), "(", ")")
    name = re.sub(r" const$", "", name).split(" ")[-1].removeprefix("penstock::")
    return name + (operator[1] if operator else "")


def _frame(symbol, object_path):
    name = object_path.rsplit("/", 1)[-1]
    if object_path.startswith("[") and object_path != "[unknown]":
        name = KERNEL  # [kernel.kallsyms], [vdso], a module
    symbol = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
    if symbol == "[unknown]":
        return Frame(f"[{name.strip('[]')}]", name)
    return Frame(short_name(symbol), name)


def _sample(thread, frames, weight):
    merged = []
    for frame in reversed(frames):
        # A library without symbols says no more in ten frames than in one.
        if not (frame.name.startswith("[") and merged and merged[-1] == frame):
            merged.append(frame)
    return Sample(thread, tuple(merged), weight)


def read(lines):
    """Returns the samples of `perf script -F comm,tid,period,ip,sym,dso`."""
    samples, header, frames = [], None, []

    def end_sample():
        if header:
            samples.append(_sample(header["thread"], frames, int(header["period"])))

    for number, line in enumerate(lines, 1):
        line = line.rstrip("\n")
        if not line.strip():
            end_sample()
            header, frames = None, []
        elif header is None:
            header = SAMPLE.match(line)
            if not header:
                raise BadInput(f"line {number} is not the head of a sample: {line}")
        else:
            frame = FRAME.match(line)
            if not frame:
                raise BadInput(f"line {number} is not a frame: {line}")
            frames.append(_frame(frame["symbol"], frame["object"]))
    end_sample()
    if not samples:
        raise BadInput("there is no sample")
    return samples
