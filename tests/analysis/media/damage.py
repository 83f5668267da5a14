"""Files that are broken, or that lie, or that want the decoder to read something else."""

import random
import struct
from pathlib import Path

from covey.analysis.media.drawing import DrawnScene, draw

CANARY = "Canary Words 4711"
SEED = 4
MUTANTS = 200


def canary(folder: Path) -> Path:
    """A video beside the others that shows words nobody may ever see in an answer."""
    file = folder / "canary.mp4"
    if not file.exists():
        draw(file, [DrawnScene(0.6, "black", ((CANARY, 32),))], (480, 270))
    return file


def naming(folder: Path) -> dict[str, bytes]:
    """Small texts and containers that name the canary."""
    file = canary(folder)
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f'<Period><AdaptationSet><Representation id="1" mimeType="video/mp4" bandwidth="1"><BaseURL>{file}</BaseURL>'
        "<SegmentBase/></Representation></AdaptationSet></Period></MPD>"
    )
    texts = {
        "ffconcat": f"ffconcat version 1.0\nfile {file.name}\n",
        "ffconcat by its path": f"ffconcat version 1.0\nfile '{file}'\n",
        "hls": hls.format(file.name),
        "hls by its url": hls.format(f"file://{file}"),
        "hls by http": hls.format("http://127.0.0.1:9/canary.ts"),
        "sdp": sdp,
        "dash": dash,
        "url": "http://127.0.0.1:9/canary.mp4\n",
        "image list": f"{file}\n" * 3,
        "mpsub": f"FORMAT=TIME\n# {file}\n0 1\n{file}\n",
        "vobsub": f"# VobSub index file, v7\nid: en, index: 0\n# {file}\ntimestamp: 00:00:00:000, filepos: 000000000\n",
    }
    return {name: text.encode() for name, text in texts.items()} | {"mpegts and ffconcat": _transport(file)}


def _transport(file: Path) -> bytes:
    packet = b"\x47\x1f\xff\x10" + b"\xff" * 184
    return packet * 20 + f"ffconcat version 1.0\nfile {file.name}\n".encode() + packet * 20


def broken(short: Path) -> dict[str, bytes]:
    """What is no video any more, or never was."""
    whole = short.read_bytes()
    generator = random.Random(SEED)
    return {
        "empty": b"",
        "one byte": b"\x00",
        "text": b"This is no video.\n" * 100,
        "random": generator.randbytes(100_000),
        "truncated": whole[: len(whole) // 2],
        "head only": whole[:40],
        "zip": b"PK\x03\x04" + generator.randbytes(2000),
    }


def huge_png() -> bytes:
    """Says that it is 16000 pixels wide and high, and is a few hundred bytes."""
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 16_000, 16_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 16_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def mutants(short: Path) -> list[bytes]:
    """Mutated copies of a video, always the same ones: bytes changed, parts cut out, doubled, or zeroed."""
    whole, generator = short.read_bytes(), random.Random(SEED)
    return [_mutated(whole, generator, number) for number in range(MUTANTS)]


def _mutated(whole: bytes, generator: random.Random, number: int) -> bytes:
    made = bytearray(whole)
    at, size = generator.randrange(len(made)), generator.randrange(1, 2000)
    kind = number % 5
    if kind == 0:
        del made[at : at + size]
    elif kind == 1:
        made[at:at] = made[at : at + size]
    elif kind == 2:
        made[at : at + size] = bytes(min(size, len(made) - at))
    else:
        # The header is where a change does most; mp4 keeps it at the end.
        low = len(made) - 3000 if kind == 3 else 0
        for _ in range(generator.randrange(1, 60)):
            made[generator.randrange(max(low, 0), len(made))] = generator.randrange(256)
    return bytes(made)
