// Does what the steps in its input say: plugins/puppet, in C, without the steps
// that need the grant `orchestration`.
//
// Input: {"do": [step, ..]}. A step that fails is no reason to stop: its error is
// said like any other result. Output, unless a step replies: {"said": [result,
// ..], "task": {id, trace, neuron, attempt, context, deadline_ms}}.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soma_neuron.h"

static bool is(soma_text text, const char *string) { return soma_text_equal(text, soma_text_of(string)); }

// Parts of what a step is told; zero where it is not.

static soma_text text_in(const soma_json *told, const char *key) {
  soma_json *value = soma_get(told, key);
  return value != NULL && value->kind == SOMA_STRING ? value->text : (soma_text){0};
}

static uint64_t number(const soma_json *value) {
  int64_t number = 0;
  return soma_as_int(value, &number) ? (uint64_t)number : 0;
}

static bool flag_in(const soma_json *told, const char *key) {
  soma_json *value = soma_get(told, key);
  return value != NULL && value->boolean;
}

static const soma_text *texts_in(const soma_json *told, const char *key, size_t *count) {
  soma_json *list = soma_get(told, key);
  *count = list != NULL ? list->count : 0;
  soma_text *texts = soma_allocate(*count * sizeof *texts);
  for (size_t at = 0; at < *count; at++) texts[at] = list->items[at]->text;
  return texts;
}

static const float *vector_in(const soma_json *told, const char *key, size_t *count) {
  soma_json *list = soma_get(told, key);
  if (list == NULL) return NULL;
  *count = list->count;
  float *vector = soma_allocate(*count * sizeof *vector);
  for (size_t at = 0; at < *count; at++) vector[at] = (float)soma_as_double(list->items[at]);
  return vector;
}

// Steps whose result is said.

static soma_failure *recall(const soma_json *told, soma_json **result) {
  soma_query query = {
      .tag = text_in(told, "tag"),
      .top_k = (uint32_t)number(soma_get(told, "top_k")),
      .deadline_ms = number(soma_get(told, "deadline_ms")),
  };
  query.embedding = vector_in(told, "embedding", &query.dimension);
  soma_recalled found;
  soma_failure *failure = soma_recall(text_in(told, "from").data, &query, &found);
  if (failure != NULL) return failure;
  soma_json *hits = soma_list();
  for (size_t at = 0; at < found.count; at++) soma_push(hits, found.hits[at].content);
  *result = soma_set(soma_set(soma_object(), "hits", hits), "truncated", soma_bool(found.truncated));
  return NULL;
}

static soma_failure *write(const soma_json *told, soma_json **result) {
  static const char *const OPS[] = {"add", "append", "merge", "upsert", "delete"};
  int op = 0;
  while (!is(text_in(told, "op"), OPS[op])) op++;
  soma_entry entry = {
      .id = text_in(told, "id"),
      .content = soma_get(told, "content"),
      .merge_key = text_in(told, "key"),
      .idempotency_key = text_in(told, "idempotency"),
  };
  entry.tags = texts_in(told, "tags", &entry.tag_count);
  entry.embedding = vector_in(told, "embedding", &entry.dimension);
  const char *binding = text_in(told, "to").data;
  *result = soma_null();
  if (flag_in(told, "send")) return soma_send(binding, (soma_op)op, &entry);
  soma_receipt receipt = {0};
  soma_failure *failure = soma_imprint(binding, (soma_op)op, &entry, number(soma_get(told, "deadline_ms")), &receipt);
  *result = soma_object();
  soma_set(*result, "id", receipt.id.data != NULL ? soma_string(receipt.id) : soma_null());
  soma_set(*result, "version", receipt.version != 0 ? soma_int((int64_t)receipt.version) : soma_null());
  return failure;
}

static soma_failure *emit(const soma_json *told, soma_json **result) {
  static const char *const TYPES[] = {
      "PLAN", "MEMORY_APPEND", "ESCALATION", "CONSENSUS", "CONTEXT_SYNC", "CRITIQUE", "AUDIT",
  };
  int type = 0;
  while (!is(text_in(told, "kind"), TYPES[type])) type++;
  soma_text id = {0};
  soma_failure *failure = soma_emit((soma_emission)type, soma_get(told, "payload"), &id);
  if (failure == NULL) *result = soma_string(id);
  return failure;
}

static soma_json *random_digits(uint32_t count) {
  static const char HEX[] = "0123456789abcdef";
  unsigned char *bytes = soma_allocate(count);
  soma_random_bytes(bytes, count);
  soma_buffer digits = {0};
  for (uint32_t at = 0; at < count; at++) {
    soma_put_bytes(&digits, &HEX[bytes[at] >> 4], 1);
    soma_put_bytes(&digits, &HEX[bytes[at] & 15], 1);
  }
  return soma_string(soma_buffer_text(&digits));
}

// Whether the step was one that says something.
static bool speak(soma_text name, const soma_json *told, soma_json *said) {
  soma_json *result = soma_null();
  soma_failure *failure = NULL;
  if (is(name, "recall")) failure = recall(told, &result);
  else if (is(name, "write")) failure = write(told, &result);
  else if (is(name, "emit")) failure = emit(told, &result);
  else if (is(name, "random")) result = random_digits((uint32_t)number(told));
  else if (is(name, "now")) result = soma_int((int64_t)soma_now_ms());
  else return false;
  if (failure != NULL) {
    soma_json *error = soma_object();
    soma_set(error, "code", soma_string(failure->code));
    soma_set(error, "message", soma_string(failure->message));
    soma_set(error, "recoverable", soma_bool(failure->recoverable));
    result = soma_set(soma_object(), "error", error);
  }
  soma_push(said, result);
  return true;
}

// Steps that end the task.

static soma_reply fail(const soma_json *told) {
  soma_buffer message = {0};
  soma_put(&message, SOMA_TEXT("told to fail with "));
  soma_put(&message, text_in(told, "code"));
  soma_failure *failure = soma_fail(text_in(told, "code").data, soma_buffer_text(&message));
  failure->recoverable = flag_in(told, "recoverable");
  return soma_failed(failure);
}

static soma_reply reply_of(soma_text name, const soma_json *told) {
  if (is(name, "output")) return soma_output_to(soma_get(told, "value"), text_in(told, "route").data);
  if (is(name, "clarify")) return soma_clarification(text_in(told, "question"), soma_get(told, "context"));
  if (is(name, "fail")) return fail(told);
  if (is(name, "ask_leave")) {
    soma_text reason = text_in(told, "reason");
    return soma_permission(text_in(told, "action"), soma_get(told, "scope"), &reason, NULL);
  }
  if (is(name, "assert")) assert(told == NULL);
  soma_panic(told->text, __FILE__, __LINE__);
}

static soma_reply all(const soma_json *steps, soma_json *said) {
  for (size_t at = 0; at < steps->count; at++) {
    const soma_json *step = steps->items[at];
    bool object = step->kind == SOMA_OBJECT;
    soma_text name = object ? step->keys[0] : step->text;
    const soma_json *told = object ? step->items[0] : NULL;
    if (speak(name, told, said)) continue;
    if (is(name, "sleep")) soma_sleep_ms(number(told));
    else if (is(name, "log")) soma_log(SOMA_INFO, told->text, NULL);
    else if (is(name, "print")) printf("%s\n", told->text.data);
    else if (is(name, "repeat")) {
      for (uint64_t time = number(soma_get(told, "times")); time > 0; time--) {
        soma_reply reply = all(soma_get(told, "steps"), said);
        if (reply != NULL) return reply;
      }
    } else {
      return reply_of(name, told);
    }
  }
  return NULL;
}

soma_reply soma_handle(const soma_task *task) {
  soma_json *said = soma_list();
  soma_reply reply = all(soma_get(task->input, "do"), said);
  if (reply != NULL) return reply;
  soma_json *facts = soma_object();
  soma_set(facts, "id", soma_string(task->id));
  soma_set(facts, "trace", soma_string(task->trace_id));
  soma_set(facts, "neuron", soma_string(task->neuron));
  soma_set(facts, "attempt", soma_int(task->attempt));
  soma_set(facts, "context", task->context);
  soma_set(facts, "deadline_ms", task->deadline_ms == UINT64_MAX ? soma_null() : soma_int((int64_t)task->deadline_ms));
  return soma_output(soma_set(soma_set(soma_object(), "said", said), "task", facts));
}
