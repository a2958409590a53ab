// Splits a document into chunks, embeds each and imprints them one by one: the
// ingester of plugins/ingester, in C.
//
// Input: {"document": {"id": "intro", "title": text, "text": text}} and, where
// wanted, "engram" (binding, default "index"), "chunk_chars" (default 600) and
// "crash_after": fail after so many chunks, to show what half an ingest leaves
// behind. Output: {"document": "intro", "chunks": n}.

#include "chunks.h"
#include "embedding.h"
#include "soma_neuron.h"

// Beyond all chunks: no crash is wanted.
#define NEVER SIZE_MAX

static soma_reply crash(soma_text document, size_t chunks) {
  soma_buffer message = {0};
  soma_put(&message, SOMA_TEXT("ingest of '"));
  soma_put(&message, document);
  soma_put(&message, SOMA_TEXT("' crashed after "));
  soma_put_int(&message, (int64_t)chunks);
  soma_put(&message, SOMA_TEXT(" chunks"));
  return soma_failed(soma_fail("INGEST_CRASHED", soma_buffer_text(&message)));
}

static soma_failure *imprint(const char *engram, soma_text document, soma_text title, soma_text chunk, size_t position) {
  soma_buffer key = {0};
  soma_put(&key, document);
  soma_put(&key, SOMA_TEXT("#"));
  soma_put_int(&key, (int64_t)position);
  soma_json *meta = soma_object();
  soma_set(meta, "document", soma_string(document));
  soma_set(meta, "title", soma_string(title));
  soma_set(meta, "position", soma_int((int64_t)position));
  float vector[DIMENSION];
  embed(chunk, vector);
  soma_entry entry = {
      .content = soma_set(soma_object(), "text", soma_string(chunk)),
      .tags = &document,
      .tag_count = 1,
      .meta = meta,
      .merge_key = soma_buffer_text(&key),
      .embedding = vector,
      .dimension = DIMENSION,
  };
  return soma_imprint(engram, SOMA_ADD, &entry, 0, NULL);
}

// A key that may be missing or null.
static soma_json *given(const soma_json *object, const char *key) {
  soma_json *value = soma_get(object, key);
  return value == NULL || value->kind == SOMA_NULL ? NULL : value;
}

soma_reply soma_handle(const soma_task *task) {
  soma_failure *bad = NULL;
  soma_json *document = soma_need_object(task->input, "input", "document", &bad);
  soma_text id = soma_need_text(document, "input.document", "id", &bad);
  soma_text title = id;
  if (given(document, "title") != NULL) title = soma_need_text(document, "input.document", "title", &bad);
  soma_text text = soma_need_text(document, "input.document", "text", &bad);
  soma_text engram = soma_text_or(task->input, "input", "engram", SOMA_TEXT("index"), &bad);
  uint32_t most = soma_u32_or(task->input, "input", "chunk_chars", 600, &bad);
  size_t crash_after = NEVER;
  if (given(task->input, "crash_after") != NULL) crash_after = soma_u32_or(task->input, "input", "crash_after", 0, &bad);
  if (bad != NULL) return soma_failed(bad);

  text_list chunks = split(text, most);
  for (size_t at = 0; at < chunks.count; at++) {
    if (crash_after == at) return crash(id, at);
    soma_failure *failure = imprint(engram.data, id, title, chunks.texts[at], at + 1);
    if (failure != NULL) return soma_failed(failure);
  }
  if (crash_after == chunks.count) return crash(id, chunks.count);

  soma_json *output = soma_object();
  soma_set(output, "document", soma_string(id));
  soma_set(output, "chunks", soma_int((int64_t)chunks.count));
  soma_log(SOMA_INFO, SOMA_TEXT("document ingested"), output);
  return soma_output(output);
}
