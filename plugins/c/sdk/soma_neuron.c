#include "soma_neuron.h"

#include <string.h>

#include "contract.h"

// The contract's types are put into the component by whoever wraps the module,
// not by an object file beside the bindings.
void __component_type_object_force_link_contract(void);
void __component_type_object_force_link_contract(void) {}

// Between texts of the SDK and strings of the bindings.

static contract_string_t lent(soma_text text) {
  return (contract_string_t){(uint8_t *)text.data, text.size};
}

static contract_string_t lent_c(const char *string) { return lent(soma_text_of(string)); }

// What the bindings free after a reply has to be memory of its own.
static contract_string_t given(soma_text text) {
  char *copy = soma_allocate(text.size);
  memcpy(copy, text.data, text.size);
  return (contract_string_t){(uint8_t *)copy, text.size};
}

// The host's strings end without a NUL.
static soma_text taken(contract_string_t string) {
  char *copy = soma_allocate(string.len + 1);
  if (string.len > 0) memcpy(copy, string.ptr, string.len);
  return (soma_text){copy, string.len};
}

static contract_option_string_t optional(soma_text text) {
  return (contract_option_string_t){text.data != NULL, lent(text)};
}

static contract_option_u64_t optional_u64(uint64_t number) {
  return (contract_option_u64_t){number != 0, number};
}

static contract_list_string_t texts(const soma_text *all, size_t count) {
  contract_string_t *list = soma_allocate(count * sizeof *list);
  for (size_t at = 0; at < count; at++) list[at] = lent(all[at]);
  return (contract_list_string_t){list, count};
}

static contract_option_list_f32_t vector(const float *numbers, size_t count) {
  return (contract_option_list_f32_t){numbers != NULL, {(float *)numbers, count}};
}

static soma_text joined(const char *before, soma_text after) {
  soma_buffer text = {0};
  soma_put(&text, soma_text_of(before));
  soma_put(&text, after);
  return soma_buffer_text(&text);
}

// Failures and replies.

soma_failure *soma_fail(const char *code, soma_text message) {
  soma_failure *failure = soma_allocate(sizeof *failure);
  *failure = (soma_failure){soma_text_of(code), message, false};
  return failure;
}

static soma_failure *recoverable(soma_failure *failure) {
  failure->recoverable = true;
  return failure;
}

struct soma_reply {
  const soma_failure *failure;
  soma_neuron_types_reply_t reply;
};

static contract_option_string_t given_json(const soma_json *value) {
  if (value == NULL) return (contract_option_string_t){0};
  return (contract_option_string_t){true, given(soma_json_write(value))};
}

soma_reply soma_output_to(soma_json *value, const char *route) {
  soma_reply made = soma_allocate(sizeof *made);
  made->reply.tag = SOMA_NEURON_TYPES_REPLY_OUTPUT;
  made->reply.val.output.value = given(soma_json_write(value));
  if (route != NULL) {
    made->reply.val.output.route = (contract_option_string_t){true, given(soma_text_of(route))};
  }
  return made;
}

soma_reply soma_output(soma_json *value) { return soma_output_to(value, NULL); }

soma_reply soma_clarification(soma_text question, soma_json *context) {
  soma_reply made = soma_allocate(sizeof *made);
  made->reply.tag = SOMA_NEURON_TYPES_REPLY_CLARIFICATION;
  made->reply.val.clarification.question = given(question);
  contract_option_string_t json = given_json(context);
  made->reply.val.clarification.context = (soma_neuron_types_option_json_t){json.is_some, json.val};
  return made;
}

soma_reply soma_permission(soma_text action, soma_json *scope, const soma_text *reason, soma_json *context) {
  soma_reply made = soma_allocate(sizeof *made);
  made->reply.tag = SOMA_NEURON_TYPES_REPLY_PERMISSION;
  soma_neuron_types_permission_t *permission = &made->reply.val.permission;
  permission->action = given(action);
  contract_option_string_t json = given_json(scope);
  permission->scope = (soma_neuron_types_option_json_t){json.is_some, json.val};
  if (reason != NULL) permission->reason = (contract_option_string_t){true, given(*reason)};
  json = given_json(context);
  permission->context = (soma_neuron_types_option_json_t){json.is_some, json.val};
  return made;
}

soma_reply soma_failed(const soma_failure *failure) {
  soma_reply made = soma_allocate(sizeof *made);
  made->failure = failure;
  return made;
}

// The export.

static soma_json *read_json(contract_string_t text, const char *what, soma_failure **bad) {
  const char *error = NULL;
  soma_json *value = soma_json_read(taken(text), &error);
  if (value == NULL && *bad == NULL) *bad = soma_fail("INVALID_INPUT", joined(what, soma_text_of(error)));
  return value;
}

// In soma_system.c.
void soma_end_output(void);

bool exports_soma_neuron_handler_handle(exports_soma_neuron_handler_task_t *from, exports_soma_neuron_handler_reply_t *reply, exports_soma_neuron_handler_failure_t *failure) {
  soma_failure *bad = NULL;
  soma_task task = {
      .id = taken(from->id),
      .trace_id = taken(from->trace_id),
      .neuron = taken(from->neuron),
      .attempt = from->attempt,
      .input = read_json(from->input, "input: ", &bad),
      .context = soma_list(),
      .deadline_ms = from->deadline_ms.is_some ? from->deadline_ms.val : UINT64_MAX,
  };
  for (size_t at = 0; at < from->context.len && bad == NULL; at++) {
    soma_push(task.context, read_json(from->context.ptr[at], "an entry of the task's context: ", &bad));
  }
  soma_reply answer = bad != NULL ? soma_failed(bad) : soma_handle(&task);
  soma_end_output();
  if (answer->failure == NULL) {
    *reply = answer->reply;
    return true;
  }
  *failure = (soma_neuron_types_failure_t){
      given(answer->failure->code),
      given(answer->failure->message),
      answer->failure->recoverable,
  };
  return false;
}

// Input.

static soma_failure *invalid(const char *path, const char *key, soma_text what) {
  soma_buffer message = {0};
  soma_put(&message, soma_text_of(path));
  if (key != NULL) {
    soma_put(&message, SOMA_TEXT("."));
    soma_put(&message, soma_text_of(key));
  }
  soma_put(&message, SOMA_TEXT(": "));
  soma_put(&message, what);
  return soma_fail("INVALID_INPUT", soma_buffer_text(&message));
}

soma_failure *soma_unexpected(const soma_json *value, const char *path, const char *key, const char *expected) {
  if (value == NULL) {
    return invalid(path, NULL, joined("missing field `", joined(key, SOMA_TEXT("`"))));
  }
  int64_t whole;
  soma_buffer what = {0};
  soma_put(&what, SOMA_TEXT("invalid type: "));
  switch (value->kind) {
    case SOMA_NULL:
      soma_put(&what, SOMA_TEXT("null"));
      break;
    case SOMA_BOOL:
      soma_put(&what, value->boolean ? SOMA_TEXT("boolean `true`") : SOMA_TEXT("boolean `false`"));
      break;
    case SOMA_NUMBER:
      soma_put(&what, soma_as_int(value, &whole) ? SOMA_TEXT("integer `") : SOMA_TEXT("floating point `"));
      soma_put(&what, value->text);
      soma_put(&what, SOMA_TEXT("`"));
      break;
    case SOMA_STRING:
      soma_put(&what, SOMA_TEXT("string "));
      soma_put(&what, soma_json_write(value));
      break;
    case SOMA_LIST:
      soma_put(&what, SOMA_TEXT("sequence"));
      break;
    case SOMA_OBJECT:
      soma_put(&what, SOMA_TEXT("map"));
      break;
  }
  soma_put(&what, SOMA_TEXT(", expected "));
  soma_put(&what, soma_text_of(expected));
  return invalid(path, key, soma_buffer_text(&what));
}

static void refuse(const soma_json *object, const char *path, const char *key, const char *expected, soma_failure **bad) {
  if (*bad == NULL) *bad = soma_unexpected(soma_get(object, key), path, key, expected);
}

soma_json *soma_need_object(const soma_json *object, const char *path, const char *key, soma_failure **bad) {
  soma_json *value = soma_get(object, key);
  if (value != NULL && value->kind == SOMA_OBJECT) return value;
  refuse(object, path, key, "an object", bad);
  return soma_object();
}

soma_text soma_need_text(const soma_json *object, const char *path, const char *key, soma_failure **bad) {
  soma_json *value = soma_get(object, key);
  if (value != NULL && value->kind == SOMA_STRING) return value->text;
  refuse(object, path, key, "a string", bad);
  return SOMA_TEXT("");
}

soma_text soma_text_or(const soma_json *object, const char *path, const char *key, soma_text otherwise, soma_failure **bad) {
  if (soma_get(object, key) == NULL) return otherwise;
  return soma_need_text(object, path, key, bad);
}

uint32_t soma_u32_or(const soma_json *object, const char *path, const char *key, uint32_t otherwise, soma_failure **bad) {
  soma_json *value = soma_get(object, key);
  int64_t number;
  if (value == NULL) return otherwise;
  if (soma_as_int(value, &number) && number >= 0 && number <= UINT32_MAX) return (uint32_t)number;
  refuse(object, path, key, "a whole number from 0 to 4294967295", bad);
  return otherwise;
}

// Engrams.

static soma_failure *engram_failure(const soma_neuron_engram_engram_error_t *error) {
  bool says_nothing = error->tag == SOMA_NEURON_ENGRAM_ENGRAM_ERROR_TIMEOUT ||
                      error->tag == SOMA_NEURON_ENGRAM_ENGRAM_ERROR_CANCELLED;
  soma_text what = says_nothing ? SOMA_TEXT("") : taken(error->val.not_bound);
  switch (error->tag) {
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_NOT_BOUND:
      return soma_fail("ENGRAM_NOT_BOUND", joined("engram not bound: ", what));
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_DENIED:
      return soma_fail("ENGRAM_DENIED", joined("engram access denied: ", what));
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_TIMEOUT:
      return recoverable(soma_fail("ENGRAM_TIMEOUT", SOMA_TEXT("the engram did not answer in time")));
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_CANCELLED:
      return soma_fail("ENGRAM_CANCELLED", SOMA_TEXT("the trace was stopped"));
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_OVERLOADED:
      return recoverable(soma_fail("ENGRAM_OVERLOADED", joined("engram overloaded: ", what)));
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_QUOTA:
      return soma_fail("ENGRAM_QUOTA", joined("engram quota used up: ", what));
    case SOMA_NEURON_ENGRAM_ENGRAM_ERROR_INVALID:
      return soma_fail("ENGRAM_INVALID", joined("invalid engram request: ", what));
    default:
      return recoverable(soma_fail("ENGRAM_BACKEND", joined("engram failed: ", what)));
  }
}

static soma_neuron_engram_entry_t entry_of(const soma_entry *entry) {
  const soma_json *content = entry->content != NULL ? entry->content : soma_null();
  return (soma_neuron_engram_entry_t){
      .id = optional(entry->id),
      .content = lent(soma_json_write(content)),
      .tags = texts(entry->tags, entry->tag_count),
      .meta = lent(entry->meta != NULL ? soma_json_write(entry->meta) : SOMA_TEXT("{}")),
      .embedding = vector(entry->embedding, entry->dimension),
      .merge_key = optional(entry->merge_key),
      .idempotency_key = optional(entry->idempotency_key),
  };
}

static soma_receipt receipt_of(const soma_neuron_engram_receipt_t *from) {
  return (soma_receipt){
      .engram = taken(from->engram),
      .op = (soma_op)from->op,
      .id = from->id.is_some ? taken(from->id.val) : (soma_text){0},
      .version = from->version.is_some ? from->version.val : 0,
      .took_ms = from->took_ms,
  };
}

static soma_failure *imprint(const char *binding, soma_op op, const soma_entry *entry, bool ack, uint64_t deadline_ms, soma_receipt *receipt) {
  contract_string_t name = lent_c(binding);
  soma_neuron_engram_entry_t wire = entry_of(entry);
  soma_neuron_engram_imprint_options_t options = {ack, optional_u64(deadline_ms)};
  soma_neuron_engram_option_receipt_t done;
  soma_neuron_engram_engram_error_t error;
  if (!soma_neuron_engram_imprint(&name, (soma_neuron_engram_op_t)op, &wire, &options, &done, &error)) {
    return engram_failure(&error);
  }
  if (receipt != NULL && done.is_some) *receipt = receipt_of(&done.val);
  return NULL;
}

soma_failure *soma_imprint(const char *binding, soma_op op, const soma_entry *entry, uint64_t deadline_ms, soma_receipt *receipt) {
  return imprint(binding, op, entry, true, deadline_ms, receipt);
}

soma_failure *soma_send(const char *binding, soma_op op, const soma_entry *entry) {
  return imprint(binding, op, entry, false, 0, NULL);
}

void soma_imprint_many(const char *binding, soma_op op, const soma_entry *entries, size_t count, soma_receipt *receipts, soma_failure **failures) {
  contract_string_t name = lent_c(binding);
  soma_neuron_engram_list_entry_t wire = {soma_allocate(count * sizeof *wire.ptr), count};
  for (size_t at = 0; at < count; at++) wire.ptr[at] = entry_of(&entries[at]);
  soma_neuron_engram_imprint_options_t options = {.await_ack = true};
  soma_neuron_engram_list_result_option_receipt_engram_error_t answers;
  soma_neuron_engram_imprint_many(&name, (soma_neuron_engram_op_t)op, &wire, &options, &answers);
  for (size_t at = 0; at < count && at < answers.len; at++) {
    soma_neuron_engram_result_option_receipt_engram_error_t *answer = &answers.ptr[at];
    failures[at] = answer->is_err ? engram_failure(&answer->val.err) : NULL;
    receipts[at] = answer->is_err || !answer->val.ok.is_some ? (soma_receipt){0} : receipt_of(&answer->val.ok.val);
  }
}

static soma_failure *read_hit(const soma_neuron_engram_hit_t *from, soma_hit *hit) {
  soma_failure *bad = NULL;
  soma_text *tags = soma_allocate(from->tags.len * sizeof *tags);
  for (size_t at = 0; at < from->tags.len; at++) tags[at] = taken(from->tags.ptr[at]);
  *hit = (soma_hit){
      .id = taken(from->id),
      .content = read_json(from->content, "content: ", &bad),
      .tags = tags,
      .tag_count = from->tags.len,
      .meta = read_json(from->meta, "meta: ", &bad),
      .merge_key = from->merge_key.is_some ? taken(from->merge_key.val) : (soma_text){0},
      .version = from->version,
      .score = from->score,
  };
  return bad == NULL ? NULL : soma_fail("ENGRAM_JSON", joined("engram JSON: ", bad->message));
}

soma_failure *soma_recall(const char *binding, const soma_query *query, soma_recalled *recalled) {
  contract_string_t name = lent_c(binding);
  soma_neuron_engram_query_t wire = {
      .id = optional(query->id),
      .text = optional(query->text),
      .tag = optional(query->tag),
      .merge_key = optional(query->merge_key),
      .embedding = vector(query->embedding, query->dimension),
      .top_k = {query->top_k != 0, query->top_k},
  };
  bool filters = query->tag_count != 0 || query->since_ms != 0 || query->until_ms != 0;
  soma_neuron_engram_recall_options_t options = {
      .deadline_ms = optional_u64(query->deadline_ms),
      .mode = (soma_neuron_engram_recall_mode_t)query->mode,
      .min_confidence = {query->min_confidence > 0, query->min_confidence},
      .filters = {filters, {texts(query->tags, query->tag_count), optional_u64(query->since_ms), optional_u64(query->until_ms)}},
  };
  soma_neuron_engram_recall_result_t found;
  soma_neuron_engram_engram_error_t error;
  if (!soma_neuron_engram_recall(&name, &wire, &options, &found, &error)) return engram_failure(&error);
  soma_hit *hits = soma_allocate(found.hits.len * sizeof *hits);
  soma_failure *bad = NULL;
  for (size_t at = 0; at < found.hits.len && bad == NULL; at++) bad = read_hit(&found.hits.ptr[at], &hits[at]);
  *recalled = (soma_recalled){hits, found.hits.len, found.truncated, found.took_ms};
  return bad;
}

// Signals.

soma_failure *soma_emit(soma_emission type, const soma_json *payload, soma_text *id) {
  contract_string_t json = lent(soma_json_write(payload));
  contract_string_t sent;
  soma_neuron_synapse_emit_error_t error;
  if (soma_neuron_synapse_emit((soma_neuron_synapse_emission_type_t)type, &json, &sent, &error)) {
    if (id != NULL) *id = taken(sent);
    return NULL;
  }
  switch (error.tag) {
    case SOMA_NEURON_SYNAPSE_EMIT_ERROR_INVALID:
      return soma_fail("EMIT_INVALID", joined("invalid signal: ", taken(error.val.invalid)));
    case SOMA_NEURON_SYNAPSE_EMIT_ERROR_DENIED:
      return soma_fail("EMIT_DENIED", joined("signal denied: ", taken(error.val.denied)));
    default:
      return soma_fail("EMIT_CANCELLED", SOMA_TEXT("the trace was stopped"));
  }
}
