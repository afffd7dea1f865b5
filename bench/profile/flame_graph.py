"""Draws samples as a flame graph: one SVG file that needs nothing else.

A box is a function; above it is what it called, and its width is the time spent in both. The lowest
row is the program, the next its threads. A browser shows what a box is when the pointer rests on it.
"""

import html

WIDTH, MARGIN = 1800, 10
ROW, FONT = 18, 12
CHARACTER = 7.25  # width of one in the font below
NARROWEST = 1.0   # boxes below are not drawn
HEAD = 64

THREAD = "thread"
# By where the code is: what to look for in whose source.
COLOURS = (
    ("Penstock", "#8fc98b", lambda name: name.startswith("penstock")),
    ("kernel", "#f0a37f", lambda name: name == "[kernel]"),
    ("librdkafka and decompression", "#8fb8e8",
     lambda name: name.startswith(("librdkafka", "liblz4", "libzstd", "libsnappy", "libz."))),
    ("libpq", "#c9a7e3", lambda name: name.startswith("libpq")),
    ("other libraries", "#f2d479", lambda name: True),
)
THREAD_COLOUR = "#d9d9d9"


class Node:
    """A function as it was reached from the ones below it."""

    def __init__(self, name, origin):
        self.name, self.origin = name, origin
        self.total = self.self_weight = 0
        self.children = {}

    def child(self, name, origin):
        return self.children.setdefault((name, origin), Node(name, origin))

    def depth(self, least):
        """Rows of what weighs at least so much."""
        return 1 + max((child.depth(least) for child in self.children.values()
                        if child.total >= least), default=0)


def tree_of(samples, name):
    root = Node(name, THREAD)
    for sample in samples:
        root.total += sample.weight
        node = root.child(sample.thread, THREAD)
        node.total += sample.weight
        for frame in sample.frames:
            node = node.child(frame.name, frame.object)
            node.total += sample.weight
        node.self_weight += sample.weight
    return root


def colour_of(origin):
    if origin == THREAD:
        return THREAD_COLOUR
    return next(colour for _, colour, matches in COLOURS if matches(origin))


def _text(x, y, content, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{html.escape(content)}</text>'


def label(name, room):
    """As much of the name as there is room for: the function matters more than what it is part of."""
    while len(name) > room and "::" in name:
        name = name.split("::", 1)[1]
    if len(name) <= room:
        return name
    return name[:room - 1] + "…" if room >= 4 else ""


def _legend(parts):
    x = MARGIN
    for label, colour, _ in (("thread", THREAD_COLOUR, None), *COLOURS):
        parts.append(f'<rect x="{x:.1f}" y="36" width="14" height="14" fill="{colour}"/>')
        parts.append(_text(x + 20, 47, label))
        x += 44 + CHARACTER * len(label)


def render(samples, program, title, describe):
    """The SVG's text. `describe(weight)` says in words how much a weight is."""
    root = tree_of(samples, program)
    scale = (WIDTH - 2 * MARGIN) / root.total
    height = HEAD + root.depth(NARROWEST / scale) * ROW + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="{FONT}">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN, 22, title, ' font-size="16" font-weight="bold"'),
    ]
    _legend(parts)

    def draw(node, x, level):
        width = node.total * scale
        if width < NARROWEST:
            return
        y = height - MARGIN - (level + 1) * ROW
        own = f"; in itself {describe(node.self_weight)}" if node.self_weight else ""
        where = "" if node.origin == THREAD else f" ({node.origin})"
        parts.append("<g><title>" + html.escape(f"{node.name}{where}: {describe(node.total)}{own}") +
                     f'</title><rect x="{x:.2f}" y="{y}" width="{max(width - 0.4, 0.2):.2f}"'
                     f' height="{ROW - 1}" rx="1" fill="{colour_of(node.origin)}"/>')
        shown = label(node.name, int((width - 6) / CHARACTER))
        if shown:
            parts.append(_text(x + 3, y + 13, shown))
        parts.append("</g>")
        for child in sorted(node.children.values(), key=lambda child: child.name):
            draw(child, x, level + 1)
            x += child.total * scale

    draw(root, MARGIN, 0)
    parts.append("</svg>\n")
    return "\n".join(parts)
