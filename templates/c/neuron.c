// Keeps a note and says which earlier ones mention a word.

#include "soma_neuron.h"

soma_reply soma_handle(const soma_task *task) {
  soma_failure *bad = NULL;
  soma_text note = soma_need_text(task->input, "input", "note", &bad);
  soma_text about = soma_need_text(task->input, "input", "about", &bad);
  if (bad != NULL) return soma_failed(bad);

  soma_query query = {.text = about};
  soma_recalled found;
  soma_failure *failure = soma_recall("notes", &query, &found);
  if (failure != NULL) return soma_failed(failure);
  soma_json *earlier = soma_list();
  for (size_t at = 0; at < found.count; at++) soma_push(earlier, found.hits[at].content);

  soma_text tags[] = {SOMA_TEXT("note")};
  soma_entry entry = {.content = soma_string(note), .tags = tags, .tag_count = 1};
  failure = soma_imprint("notes", SOMA_APPEND, &entry, 0, NULL);
  if (failure != NULL) return soma_failed(failure);

  soma_json *fields = soma_set(soma_object(), "about", soma_string(about));
  soma_log(SOMA_INFO, SOMA_TEXT("note kept"), soma_set(fields, "earlier", soma_int((int64_t)found.count)));
  return soma_output(soma_set(soma_object(), "earlier", earlier));
}
