// Log, time, randomness and panics; and what the C library asks of a system,
// answered by the host where the manifest asks for it.

#include <string.h>

#include "contract.h"
#include "soma_neuron.h"

static contract_string_t lent(soma_text text) {
  return (contract_string_t){(uint8_t *)text.data, text.size};
}

void soma_log(soma_level level, soma_text message, const soma_json *fields) {
  contract_string_t text = lent(message);
  contract_string_t json = lent(fields != NULL ? soma_json_write(fields) : SOMA_TEXT("{}"));
  soma_neuron_log_write((soma_neuron_log_level_t)level, &text, &json);
}

uint64_t soma_now_ms(void) { return soma_neuron_clock_wall_ms(); }

uint64_t soma_monotonic_ns(void) { return soma_neuron_clock_monotonic_ns(); }

void soma_sleep_ms(uint64_t milliseconds) { soma_neuron_clock_sleep_ms(milliseconds); }

uint64_t soma_random_u64(void) { return soma_neuron_random_u64(); }

// 53 bits are exact in a double.
double soma_random_unit(void) { return (double)(soma_random_u64() >> 11) / 9007199254740992.0; }

void soma_random_bytes(void *to, uint32_t count) {
  contract_list_u8_t bytes;
  soma_neuron_random_bytes(count, &bytes);
  if (count > 0) memcpy(to, bytes.ptr, count);
}

// The host knows a panic by a log line of level error with the field `panic`;
// without the log only a trap is left.
_Noreturn void soma_panic(soma_text message, const char *file, int line) {
#ifdef SOMA_LOG
  soma_buffer place = {0};
  soma_put(&place, soma_text_of(file));
  soma_put(&place, SOMA_TEXT(":"));
  soma_put_int(&place, line);
  soma_buffer text = {0};
  soma_put(&text, message);
  soma_put(&text, SOMA_TEXT(" ("));
  soma_put(&text, soma_buffer_text(&place));
  soma_put(&text, SOMA_TEXT(")"));
  soma_json *fields = soma_object();
  soma_set(fields, "panic", soma_bool(true));
  soma_set(fields, "message", soma_string(message));
  soma_set(fields, "location", soma_string(soma_buffer_text(&place)));
  soma_log(SOMA_ERROR, soma_buffer_text(&text), fields);
#else
  (void)message;
  (void)file;
  (void)line;
#endif
  __builtin_trap();
}

// What `assert` calls: the build gives `__assert_fail` this name, because the C
// library has one of its own.
_Noreturn void soma_assert_fail(const char *expression, const char *file, int line, const char *function);
_Noreturn void soma_assert_fail(const char *expression, const char *file, int line, const char *function) {
  (void)function;
  soma_buffer message = {0};
  soma_put(&message, SOMA_TEXT("assertion failed: "));
  soma_put(&message, soma_text_of(expression));
  soma_panic(soma_buffer_text(&message), file, line);
}

// Tells the lines that no newline has ended. Set where output is written, so
// that what writes nothing links nothing of it.
static void (*tell_unended)(void);

// Empties the C library's buffers; linked only where something fills them.
__attribute__((weak)) void __stdio_exit(void);

void soma_end_output(void) {
  if (__stdio_exit != NULL) __stdio_exit();
  if (tell_unended != NULL) tell_unended();
}

// What the C library imports of WASI 0.1. A definition here takes the import's
// place and is linked only where something calls it. With the grant `wasi` the
// imports stay.
#ifndef SOMA_WASI

enum { SUCCESS = 0, BAD_DESCRIPTOR = 8, NOT_OFFERED = 52 };

#define WASI(name) __imported_wasi_snapshot_preview1_##name

// A descriptor that looks like a terminal is written to line by line.
int32_t WASI(fd_fdstat_get)(int32_t descriptor, int32_t to);
int32_t WASI(fd_fdstat_get)(int32_t descriptor, int32_t to) {
  if (descriptor < 0 || descriptor > 2) return BAD_DESCRIPTOR;
  uint8_t *stat = (uint8_t *)(uintptr_t)to;
  memset(stat, 0, 24);
  stat[0] = 2;
  return SUCCESS;
}

// What was written since the last newline, to stdout and to stderr.
static soma_buffer lines[2];

static void tell(soma_buffer *line) {
#ifdef SOMA_LOG
  soma_log(line == &lines[0] ? SOMA_INFO : SOMA_WARN, soma_buffer_text(line), NULL);
#endif
  line->size = 0;
}

static void tell_lines(void) {
  for (size_t at = 0; at < 2; at++) {
    if (lines[at].size > 0) tell(&lines[at]);
  }
}

// stdout becomes lines of level info, stderr of level warn.
int32_t WASI(fd_write)(int32_t descriptor, int32_t pieces, int32_t count, int32_t to);
int32_t WASI(fd_write)(int32_t descriptor, int32_t pieces, int32_t count, int32_t to) {
  if (descriptor != 1 && descriptor != 2) return BAD_DESCRIPTOR;
  tell_unended = tell_lines;
  const struct {
    const char *data;
    size_t size;
  } *piece = (const void *)(uintptr_t)pieces;
  soma_buffer *line = &lines[descriptor - 1];
  size_t written = 0;
  for (int32_t at = 0; at < count; at++) {
    written += piece[at].size;
    for (size_t byte = 0; byte < piece[at].size; byte++) {
      if (piece[at].data[byte] != '\n') {
        soma_put_bytes(line, &piece[at].data[byte], 1);
        continue;
      }
      tell(line);
    }
  }
  *(size_t *)(uintptr_t)to = written;
  return SUCCESS;
}

int32_t WASI(clock_time_get)(int32_t clock, int64_t precision, int32_t to);
int32_t WASI(clock_time_get)(int32_t clock, int64_t precision, int32_t to) {
  (void)precision;
#ifdef SOMA_CLOCK
  uint64_t *time = (uint64_t *)(uintptr_t)to;
  *time = clock == 0 ? soma_now_ms() * 1000000 : soma_monotonic_ns();
  return SUCCESS;
#else
  (void)clock;
  (void)to;
  return NOT_OFFERED;
#endif
}

int32_t WASI(random_get)(int32_t to, int32_t count);
int32_t WASI(random_get)(int32_t to, int32_t count) {
#ifdef SOMA_RANDOM
  soma_random_bytes((void *)(uintptr_t)to, (uint32_t)count);
  return SUCCESS;
#else
  (void)to;
  (void)count;
  return NOT_OFFERED;
#endif
}

#endif
