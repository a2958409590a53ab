/**
 * Splits a document into chunks, embeds each and imprints them one by one: the
 * ingester of plugins/ingester, in JavaScript.
 *
 * Input: `{"document": {"id": "intro", "title": text, "text": text}}` and,
 * where wanted, `"engram"` (binding, default `index`), `"chunk_chars"` (default
 * 600) and `"crash_after"`: fail after so many chunks, to show what half an
 * ingest leaves behind. Output: `{"document": "intro", "chunks": n}`.
 */

import { Binding, Failure, field, fieldOr, log, neuron } from "./sdk/soma-neuron.js";
import { split } from "./chunks.js";
import { embed } from "./embedding.js";

export const handler = neuron(({ input }) => {
  const document = field(input, "input", "document", "object");
  const id = field(document, "input.document", "id", "string");
  const title = optional(document, "input.document", "title", "string") ?? id;
  const text = field(document, "input.document", "text", "string");
  const index = new Binding(fieldOr(input, "input", "engram", "string", "index"));
  const most = fieldOr(input, "input", "chunk_chars", "count", 600);
  const crashAfter = optional(input, "input", "crash_after", "count");

  const chunks = split(text, most);
  chunks.forEach((chunk, at) => {
    if (crashAfter === at) throw crash(id, at);
    const position = at + 1;
    index.add(
      { text: chunk },
      {
        tags: [id],
        meta: { document: id, title, position },
        mergeKey: `${id}#${position}`,
        embedding: embed(chunk),
      },
    );
  });
  if (crashAfter === chunks.length) throw crash(id, chunks.length);
  log.info("document ingested", { document: id, chunks: chunks.length });
  return { document: id, chunks: chunks.length };
});

/** A key that may be missing or null. */
function optional(object, path, key, kind) {
  return (object[key] ?? null) === null ? null : field(object, path, key, kind);
}

function crash(id, chunks) {
  return new Failure("INGEST_CRASHED", `ingest of '${id}' crashed after ${chunks} chunks`);
}
