"""Bodies that are made to be expensive."""

MEGABYTE = 1024 * 1024


MOST = 32 * MEGABYTE - 100


HEAD = b'{"model_name":"local-facts","analysis_mode":"general","requests":['


def empty_items(size: int) -> bytes:
    """A create of nothing but empty items."""
    return HEAD + b"{}," * ((size - len(HEAD)) // 3) + b"{}]}"


def unknown_keys(size: int) -> bytes:
    """A create of nothing but keys that there are not, each another one."""
    return b"{" + b",".join(b'"%08x":1' % number for number in range(size // 13)) + b"}"


HOSTILE = [(empty_items, MOST), (unknown_keys, MOST), (empty_items, 1_400_000), (unknown_keys, 4 * MEGABYTE)]
