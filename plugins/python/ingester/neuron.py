"""Splits a document into chunks, embeds each and imprints them one by one: the
ingester of plugins/ingester, in Python.

Input: `{"document": {"id": "intro", "title": text, "text": text}}` and, where
wanted, `"engram"` (binding, default `index`), `"chunk_chars"` (default 600) and
`"crash_after"`: fail after so many chunks, to show what half an ingest leaves
behind. Output: `{"document": "intro", "chunks": n}`.
"""

from chunks import split
from embedding import embed
from soma_neuron import Binding, Failure, field, field_or, log, neuron


@neuron
def handle(task):
    given = task.input
    document = field(given, "input", "document", dict)
    id = field(document, "input.document", "id", str)
    title = optional(document, "input.document", "title", str)
    text = field(document, "input.document", "text", str)
    index = Binding(field_or(given, "input", "engram", str, "index"))
    most = field_or(given, "input", "chunk_chars", int, 600)
    crash_after = optional(given, "input", "crash_after", int)
    if title is None:
        title = id

    chunks = split(text, most)
    for at, chunk in enumerate(chunks):
        if crash_after == at:
            raise crash(id, at)
        position = at + 1
        index.add(
            {"text": chunk},
            tags=[id],
            meta={"document": id, "title": title, "position": position},
            merge_key=f"{id}#{position}",
            embedding=embed(chunk),
        )
    if crash_after == len(chunks):
        raise crash(id, len(chunks))
    log.info("document ingested", document=id, chunks=len(chunks))
    return {"document": id, "chunks": len(chunks)}


def optional(given, path, key, kind):
    """A key that may be missing or null."""
    return None if given.get(key) is None else field(given, path, key, kind)


def crash(id, chunks):
    return Failure("INGEST_CRASHED", f"ingest of '{id}' crashed after {chunks} chunks")
