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
NOTE = re.compile(r"((tollbook/[0-9a-f]{32})\n([1-9][0-9]*)\n(\S+)\ntime [0-9-]{10}T[0-9:]{8}Z\n"
                  r"file (\S+ [0-9]+)\nedge((?: \S+)*)\n)\n((?:— \S+ \S+\n)+)(?:\n(?=t)|\Z)")
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()  # noqa: E704
def b64(data): return base64.b64encode(data).decode()  # noqa: E704
def public(verifier_key): return base64.b64decode(verifier_key.split("+", 2)[2])  # noqa: E704
def need(good, cause):
    if not good:
        raise ValueError(cause)
def unique(pairs):
    need(len(dict(pairs)) == len(pairs), "a name twice")
    return dict(pairs)
def notes(path):
    text, at = path.read_bytes().decode(), 0
    while at < len(text):
        note = NOTE.match(text, at)
        need(note, f"{path.name}: no signed checkpoint at character {at}")
        yield path.name, int(note[3]), note
        at = note.end()
def signers(note, known):
    for _, name, text in (line.split(" ") for line in note[7].split("\n")[:-1]):
        data = base64.b64decode(text)  # 4 bytes of the key's hash, and the signature
        key = {sha256(f"{name}\n".encode(), key)[:4]: key for key in known}.get(data[:4])
        need(key and name == note[2] and b64(data) == text, "it is signed with another key")
        if Ed25519PublicKey:
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(data[4:], note[1].encode())
        yield key
def walk(folder, at):
    """Yields what holds at the end: seq, log_id, hash of the last line, lines signed, keys. at[0] says where it is."""
    seq, prev, log, edge, keys, following, noted, signed = 0, "0" * 64, None, [], [], [], 0, 0
    newest = next(notes(folder / "checkpoint"))
    histories = itertools.chain.from_iterable(map(notes, sorted(folder.glob("checkpoints_????????.txt"))))
    marks = heapq.merge(histories, [newest], key=lambda mark: mark[1])
    mark = next(marks)
    for path in sorted(folder.glob("audit_????????.jsonl")):
        need(noted == seq, f"no checkpoint of the history ends the day before {path.name}")
        for number, line in enumerate(path.open("rb"), 1):
            at[0], offset = f"{path.name}: line {number} (seq {seq + 1})", len(line) + (offset if number > 1 else 0)
            need(line.endswith(b"\n") and len(line) <= 32768, "no newline within 32768 bytes")
            need(all(0x20 <= c <= 0x7E for c in line[:-1]), "a byte that is not printable ASCII")
            r = json.loads(line, object_pairs_hook=unique)
            for name, want in ("v", 1), ("seq", seq + 1), ("prev_hash", prev), ("log_id", log or r["log_id"]):
                need(repr(r[name]) == repr(want), f"{name} is {r[name]!r}, want {want!r}")
            node, size, seq, prev, log = sha256(b"\0", line[:-1]), seq, seq + 1, sha256(line[:-1]).hex(), r["log_id"]
            while size & 1:  # RFC 6962: a leaf, then each subtree that it completes
                node, size = sha256(b"\1", edge.pop(), node), size >> 1
            edge.append(node)
            if r["phase"] == "system" and r["reason"] == "day":
                keys = keys or [public(r["metadata"]["verifier_key"])]
                need(public(r["metadata"]["verifier_key"]) == keys[-1], "it names another key than the one in force")
            if r["phase"] == "system" and r["reason"] == "key_rotated":
                following.append(public(r["metadata"]["to"]))
            while mark and mark[1] <= seq:
                (name, size, note), at[0] = mark, f"{mark[0]}: checkpoint of {mark[1]} lines"
                root = edge[-1]
                for left in edge[-2::-1]:
                    root = sha256(b"\1", left, root)
                need(size == seq and note[2] == "tollbook/" + log, "it is out of order, or of another log")
                by = list(signers(note, keys + following))
                need(keys[-1] in by, "the key in force has not signed it")
                for key in [key for key in following if key in by]:  # it is in force from now on
                    keys, following = keys + [key], []
                need(note[6].split() == list(map(b64, edge)) and note[4] == b64(root), "the lines are not those signed")
                need(note[5] == f"{path.name} {offset}", f"it ends at {note[5]}, and the lines at {path.name} {offset}")
                signed, noted, mark = size, noted if name == "checkpoint" else size, next(marks, None)
    at[0] = "checkpoint"
    need(newest[1] >= noted and newest[2].end() == len(newest[2].string), "an older one was put back")
    need(not mark, f"lines are missing: the trail ends after {seq}")
    return seq, log, prev, signed, keys
def verify(folder, given=None):
    """Returns the verdict on a good trail, and raises ValueError on any other."""
    at = ["checkpoint"]
    try:
        seq, log, head, signed, keys = walk(pathlib.Path(folder), at)
        named = ("tollbook", f"tollbook/{log}")  # a key for any log, or for this one
        need(given is None or given.split("+")[0] in named and public(given) in keys, "not signed with the key given")
    except Exception as error:  # of whatever kind: what can't be read is not good
        raise ValueError(f"{at[0]}: {error or type(error).__name__}") from error
    return (("verified" if Ed25519PublicKey else "signatures NOT checked (no cryptography), the rest verified")
            + f": {seq} records, {seq - signed} of them not signed yet, log {log}, head {head}"
            + ("" if given is not None else "; self-attested: no verifier key was given"))
if __name__ == "__main__":
    try:
        print(verify(*sys.argv[1:3]) if len(sys.argv) in (2, 3) else sys.exit(__doc__))
    except ValueError as bad:
        sys.exit(f"not verified: {bad}")
