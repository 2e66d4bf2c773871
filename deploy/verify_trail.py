#!/usr/bin/env python3
"""Verifies a tollbook trail without tollbook:

    python3 verify_trail.py FOLDER [VERIFIER_KEY]

It exits with 0 and says "verified: ...", or exits with 1 and names the file, the
line, the seq and the cause of the first thing that is no good. It needs Python
3.9; for the signatures it needs the package `cryptography` too (Debian:
python3-cryptography), and says so if they were NOT checked. Without a
VERIFIER_KEY from elsewhere the trail is only held against itself.

Checked: each line's bytes (printable ASCII, its newline, its length), that it is
JSON without a doubled name, v, seq, prev_hash and log_id; the Merkle tree; of
each checkpoint its root, edge, file, offset and signatures; that there is one,
that none knows of more lines than there are, that `checkpoint` is the newest, and
that each day before the last ends with one of the history.

Not checked: that lines are in the one canonical form (order of fields, escapes,
white space) with all their fields, dates, what `day` and `open` records tell, and
that each request is closed exactly once. Trails whose first days were moved away
are not verified. If tollbook is writing meanwhile, a line half written counts as
bad: try again.
"""
import base64, hashlib, heapq, itertools, json, pathlib, re, sys  # noqa: E401
try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None
NOTE = re.compile(  # a signed checkpoint, and the empty line before the next
    r"(?P<text>(?P<origin>tollbook/[0-9a-f]{32})\n(?P<size>[1-9][0-9]*)\n(?P<root>\S+)\n"
    r"time [0-9-]{10}T[0-9:]{8}Z\n(?P<file>file \S+ [0-9]+)\nedge(?P<edge>(?: \S+)*)\n)\n"
    r"(?P<signatures>(?:— \S+ \S+\n)+)(?:\n(?=t)|\Z)")

def need(good, cause):
    if not good:
        raise ValueError(cause)

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def base64_of(data):
    return base64.b64encode(data).decode()

def unique(pairs):
    need(len(dict(pairs)) == len(pairs), "a name twice")
    return dict(pairs)

def public_key(verifier_key):  # name+hash+base64: a byte 1 (Ed25519) and 32 more
    return base64.b64decode(verifier_key.split("+", 2)[2])

def notes(path):
    text, at = path.read_bytes().decode(), 0
    while at < len(text):
        note = NOTE.match(text, at)
        need(note, f"{path.name}: no signed checkpoint at character {at}")
        yield path.name, int(note["size"]), note
        at = note.end()

class Trail:
    """The lines so far: their tree's right edge, the keys that were in force and those to come."""
    seq, prev, log_id, edge, keys, next_keys = 0, "0" * 64, None, [], [], []
    place, signed, noted, checkpoints = "checkpoint", 0, 0, 0

    def read(self, folder):
        newest = list(notes(folder / "checkpoint"))
        need(len(newest) == 1, "want one checkpoint")
        histories = itertools.chain.from_iterable(map(notes, sorted(folder.glob("checkpoints_????????.txt"))))
        marks = heapq.merge(histories, newest, key=lambda mark: mark[1])
        mark = next(marks, None)
        for path in sorted(folder.glob("audit_????????.jsonl")):
            need(self.noted == self.seq, f"no checkpoint of the history ends the day before {path.name}")
            with path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(32769), b""), 1):
                    self.place = f"{path.name}: line {number} (seq {self.seq + 1})"
                    self.line(line)
                    while mark and mark[1] <= self.seq:
                        self.place = f"{mark[0]}: checkpoint of {mark[1]} lines"
                        self.check(*mark, f"file {path.name} {file.tell()}")
                        mark = next(marks, None)
        self.place = "checkpoint"
        need(newest[0][1] >= self.noted, f"it is of {newest[0][1]} lines: an older one was put back")
        need(not mark, f"lines are missing: the trail ends after {self.seq}")

    def line(self, line):
        need(line.endswith(b"\n") and len(line) <= 32768, "no newline within 32768 bytes")
        line, size = line[:-1], self.seq
        need(all(0x20 <= c <= 0x7E for c in line), "a byte that is not printable ASCII")
        r = json.loads(line, object_pairs_hook=unique)
        for name, want in ("v", 1), ("seq", size + 1), ("prev_hash", self.prev), ("log_id", self.log_id or r["log_id"]):
            need(repr(r[name]) == repr(want), f"{name} is {r[name]!r}, want {want!r}")
        self.seq, self.prev, self.log_id = size + 1, sha256(line).hex(), r["log_id"]
        node = sha256(b"\0", line)  # RFC 6962: a leaf, then each subtree that it completes
        while size & 1:
            node, size = sha256(b"\1", self.edge[-1], node), size >> 1
            self.edge = self.edge[:-1]
        self.edge = self.edge + [node]
        kind = r["phase"] == "system" and r.get("reason")
        if kind == "day":
            key = public_key(r["metadata"]["verifier_key"])
            self.keys = self.keys or [key]
            need(key == self.keys[-1], "it names another key than the one in force")
        elif kind == "key_rotated":
            self.next_keys = self.next_keys + [public_key(r["metadata"]["to"])]

    def check(self, name, size, note, end):
        need(size == self.seq and note["origin"] == "tollbook/" + self.log_id, "it is out of order, or of another log")
        signers, known = [], self.keys + self.next_keys
        for _, signer, text in (line.split(" ") for line in note["signatures"].split("\n")[:-1]):
            data = base64.b64decode(text)  # 4 bytes of the key's hash, and the signature
            key = {sha256(f"{signer}\n".encode(), key)[:4]: key for key in known}.get(data[:4])
            need(key and signer == note["origin"] and base64_of(data) == text, "it is signed with another key")
            if Ed25519PublicKey:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(data[4:], note["text"].encode())
            signers.append(key)
        need(self.keys[-1] in signers, "the key in force has not signed it")
        for key in self.next_keys:
            if key in signers:  # the old key and the new one have signed: the new one is in force
                self.keys, self.next_keys = self.keys + [key], []
        root = self.edge[-1]
        for left in self.edge[-2::-1]:
            root = sha256(b"\1", left, root)
        need(note["edge"].split() == list(map(base64_of, self.edge)) and note["root"] == base64_of(root),
             "the lines up to here are not those that it was signed for")
        need(note["file"] == end, f"it ends at {note['file']}, and the lines at {end}")
        self.checkpoints, self.signed = self.checkpoints + 1, size
        self.noted = self.noted if name == "checkpoint" else size

def verify(folder, given=None):
    """Returns the verdict on a good trail, and raises ValueError on any other."""
    trail = Trail()
    try:
        trail.read(pathlib.Path(folder))
        need(given is None or public_key(given) in trail.keys, "no checkpoint is signed with the key that was given")
    except Exception as error:  # of whatever kind: what can't be read is not good
        raise ValueError(f"{trail.place}: {error or type(error).__name__}") from error
    return (f"verified: {trail.seq} records, {trail.checkpoints} checkpoints, log {trail.log_id}, head {trail.prev}"
            + ("" if trail.signed == trail.seq else f"; not signed yet: {trail.seq - trail.signed} of the records")
            + ("" if given is not None else "; self-attested: no verifier key was given")
            + ("" if Ed25519PublicKey else "; signatures NOT checked: no cryptography"))

if __name__ == "__main__":
    try:
        print(verify(*sys.argv[1:3]) if len(sys.argv) in (2, 3) else sys.exit(__doc__))
    except ValueError as bad:
        sys.exit(f"not verified: {bad}")
