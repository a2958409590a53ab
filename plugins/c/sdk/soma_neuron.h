// Write a Soma neuron as one function:
//
//   #include "soma_neuron.h"
//
//   soma_reply soma_handle(const soma_task *task) {
//     soma_failure *bad = NULL;
//     soma_text name = soma_need_text(task->input, "input", "name", &bad);
//     if (bad != NULL) return soma_failed(bad);
//     soma_json *output = soma_set(soma_object(), "hello", soma_string(name));
//     return soma_output(output);
//   }
//
// Every task gets a fresh instance: nothing in globals or memory outlives it,
// and nothing has to be freed. What must last goes into an engram. Whatever
// waits is where STOP and deadlines get in; the neuron then never resumes.
//
// What the component imports is what it calls. `neuron.toml` has to ask for
// it: engrams under [engrams], the rest under [grants].
//
// `assert` ends the task with the ERROR NEURON_PANIC. `printf` writes to the
// log, a line at a time, and `time` reads the host's clock, where the manifest
// asks for `log` and `clock`; there are no files, and no threads.
#ifndef SOMA_NEURON_H
#define SOMA_NEURON_H

#include "soma_json.h"

// What the neuron is asked to do.
typedef struct {
  // The TASK signal's id: `evt_` and a ULID.
  soma_text id;
  // The trace's id, the unit of STOP and rollback: `trc_` and a ULID.
  soma_text trace_id;
  // The neuron's own id, as it was registered on the host.
  soma_text neuron;
  // Attempt under a retry strategy, counted from 0.
  uint32_t attempt;
  soma_json *input;
  // A list of the context entries that the host fetched, oldest first.
  soma_json *context;
  // Milliseconds until the host ends the task; UINT64_MAX for no deadline.
  uint64_t deadline_ms;
} soma_task;

// Why a neuron could not do its task. Becomes an ERROR signal.
typedef struct {
  // Stable and machine-readable, such as NO_SOURCE.
  soma_text code;
  // One sentence for a person.
  soma_text message;
  // Whether the same task may succeed when it is tried again.
  bool recoverable;
} soma_failure;

soma_failure *soma_fail(const char *code, soma_text message);

// The answer that ends a task; made by the functions below.
typedef struct soma_reply *soma_reply;

// A finished task. A flow takes the route `success`.
soma_reply soma_output(soma_json *value);
// The same with the name of the route that a flow takes next.
soma_reply soma_output_to(soma_json *value, const char *route);
// A question back; the answer is a new task, in `input.clarification`.
// `context` may be NULL.
soma_reply soma_clarification(soma_text question, soma_json *context);
// A request for leave; the decision is a new task, in `input.permission`.
// `scope` (an object), `reason` and `context` may be NULL.
soma_reply soma_permission(soma_text action, soma_json *scope, const soma_text *reason, soma_json *context);
soma_reply soma_failed(const soma_failure *failure);

// The neuron: the author writes this function.
soma_reply soma_handle(const soma_task *task);

// Reading input. What is missing or of another type sets `*bad`, unless it is
// set already, to an INVALID_INPUT that names the place; `path` says where
// `object` is: "input", "input.document". The result then is empty.
soma_json *soma_need_object(const soma_json *object, const char *path, const char *key, soma_failure **bad);
soma_text soma_need_text(const soma_json *object, const char *path, const char *key, soma_failure **bad);
// The same for a key that may be missing.
soma_text soma_text_or(const soma_json *object, const char *path, const char *key, soma_text otherwise, soma_failure **bad);
// A whole number from 0 to 4 294 967 295.
uint32_t soma_u32_or(const soma_json *object, const char *path, const char *key, uint32_t otherwise, soma_failure **bad);
// The INVALID_INPUT of a value that is not what was expected.
soma_failure *soma_unexpected(const soma_json *value, const char *path, const char *key, const char *expected);

// Shared memory, through bindings that the operator ties to engrams. A failure
// has the code ENGRAM_NOT_BOUND, _DENIED, _TIMEOUT, _CANCELLED, _OVERLOADED,
// _QUOTA, _INVALID, _BACKEND or _JSON.

typedef enum {
  // A new entry; an id that exists is an error.
  SOMA_ADD,
  // A new entry; it gets a fresh id where the chosen one is taken.
  SOMA_APPEND,
  // Changes the newest entry with the merge key: objects are merged, lists
  // joined, scalars replaced. No such entry is an error.
  SOMA_MERGE,
  // Replaces the newest entry with the merge key, or adds one.
  SOMA_UPSERT,
  // Removes by id, else the newest entry with the merge key. Nothing there is
  // no error.
  SOMA_DELETE,
} soma_op;

// What is to be written. A part that is zero is left out.
typedef struct {
  soma_text id;
  soma_json *content;
  const soma_text *tags;
  size_t tag_count;
  // An object of free keys.
  soma_json *meta;
  // For engrams that hold vectors: finite numbers, of the engram's dimension.
  const float *embedding;
  size_t dimension;
  soma_text merge_key;
  // A second imprint with the same key answers as the first did.
  soma_text idempotency_key;
} soma_entry;

// The engram's word that a write is done.
typedef struct {
  soma_text engram;
  soma_op op;
  // Empty where a delete found nothing.
  soma_text id;
  // 0 after a delete.
  uint64_t version;
  uint64_t took_ms;
} soma_receipt;

// Writes and waits until it is done, at most so many milliseconds (0: as long
// as it takes). `receipt` may be NULL. Returns NULL, or why not.
soma_failure *soma_imprint(const char *binding, soma_op op, const soma_entry *entry, uint64_t deadline_ms, soma_receipt *receipt);
// Hands the write over without waiting for it.
soma_failure *soma_send(const char *binding, soma_op op, const soma_entry *entry);
// Several writes with the same op, done in order. `receipts` and `failures`
// have room for `count`; a failure that is NULL is none.
void soma_imprint_many(const char *binding, soma_op op, const soma_entry *entries, size_t count, soma_receipt *receipts, soma_failure **failures);

typedef enum { SOMA_FIRST, SOMA_MERGED, SOMA_ALL } soma_recall_mode;

// What to look for, and how. Every part that is set must match; zero is not
// set, so {0} matches every entry.
typedef struct {
  soma_text id;
  // Case-insensitive substring of the content's text.
  soma_text text;
  // One tag that an entry must carry.
  soma_text tag;
  soma_text merge_key;
  // Ranks by cosine similarity to this vector.
  const float *embedding;
  size_t dimension;
  // At most so many hits; 0: the engram's own limit.
  uint32_t top_k;
  // Milliseconds after which the call fails; 0: none.
  uint64_t deadline_ms;
  // How several engrams behind one binding answer.
  soma_recall_mode mode;
  // Only hits with at least this score, 0 to 1.
  float min_confidence;
  // Only entries that carry all these tags.
  const soma_text *tags;
  size_t tag_count;
  // Only entries updated at or after, and before, these times; milliseconds
  // since 1970.
  uint64_t since_ms;
  uint64_t until_ms;
} soma_query;

typedef struct {
  soma_text id;
  soma_json *content;
  const soma_text *tags;
  size_t tag_count;
  soma_json *meta;
  // Empty for none.
  soma_text merge_key;
  // Counts the writes of this entry, from 1.
  uint64_t version;
  // 0 to 1; 1 for an exact or unranked match.
  float score;
} soma_hit;

typedef struct {
  // Best first.
  const soma_hit *hits;
  size_t count;
  // Whether more entries matched than were returned.
  bool truncated;
  uint64_t took_ms;
} soma_recalled;

// Returns NULL, or why there is no answer.
soma_failure *soma_recall(const char *binding, const soma_query *query, soma_recalled *recalled);

// Log lines on the task's trace. `fields` is an object or NULL.
typedef enum { SOMA_TRACE, SOMA_DEBUG, SOMA_INFO, SOMA_WARN, SOMA_ERROR } soma_level;
void soma_log(soma_level level, soma_text message, const soma_json *fields);

// Time, as the host has it: virtual under test.
uint64_t soma_now_ms(void);
uint64_t soma_monotonic_ns(void);
void soma_sleep_ms(uint64_t milliseconds);

// Randomness, as the host has it: seeded and repeatable under test.
uint64_t soma_random_u64(void);
// A number in [0, 1).
double soma_random_unit(void);
// At most 65 536 at a time; more ends the neuron.
void soma_random_bytes(void *to, uint32_t count);

// Publishes a cognition signal whose parent is the task. `payload` is an object
// with the keys of that type. `id` may be NULL. Returns NULL, or why not:
// EMIT_INVALID, EMIT_DENIED or EMIT_CANCELLED.
typedef enum {
  SOMA_PLAN,
  SOMA_MEMORY_APPEND,
  SOMA_ESCALATION,
  SOMA_CONSENSUS,
  SOMA_CONTEXT_SYNC,
  SOMA_CRITIQUE,
  SOMA_AUDIT,
} soma_emission;
soma_failure *soma_emit(soma_emission type, const soma_json *payload, soma_text *id);

// Ends the task at once with the ERROR NEURON_PANIC and this text.
_Noreturn void soma_panic(soma_text message, const char *file, int line);

// Starting, awaiting and stopping other neurons' tasks: contract.h has the
// calls as they are, soma_neuron_orchestration_*.

#endif
