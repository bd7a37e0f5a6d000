"""Scripts of vendors' tools, which all speak Tcl: templates in which every value is one word, whatever is in it."""

#: Characters that mean nothing to Tcl wherever they stand in a word.
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:+-")


def tcl(value: object) -> str:
    """A text, or a number, as one word of Tcl that stands for itself: anything special in it is an escape.

    Characters beyond 16 bits stand as they are: Tcl 8 has no escape for them, and no meaning either.
    """
    text = str(value)
    escaped = (char if char in PLAIN or ord(char) > 0xFFFF else f"\\u{ord(char):04x}" for char in text)
    return "".join(escaped) or "{}"
