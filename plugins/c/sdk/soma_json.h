// JSON values for neurons in C.
//
// Nothing here is ever freed: a task's memory goes away with its instance. A
// function that cannot get memory does not return.
#ifndef SOMA_JSON_H
#define SOMA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// UTF-8 text that may hold NUL bytes; one more NUL follows its end.
typedef struct {
  const char *data;
  size_t size;
} soma_text;

// The text of a literal: SOMA_TEXT("abc").
#define SOMA_TEXT(literal) ((soma_text){(literal), sizeof(literal) - 1})

// The text of a C string.
soma_text soma_text_of(const char *string);

bool soma_text_equal(soma_text one, soma_text other);

// A text that grows. Start with {0}.
typedef struct {
  char *data;
  size_t size;
  size_t room;
} soma_buffer;

void soma_put(soma_buffer *buffer, soma_text text);
void soma_put_bytes(soma_buffer *buffer, const char *bytes, size_t count);
void soma_put_int(soma_buffer *buffer, int64_t number);
// The text so far; writing on does not change it.
soma_text soma_buffer_text(soma_buffer *buffer);

typedef enum {
  SOMA_NULL,
  SOMA_BOOL,
  SOMA_NUMBER,
  SOMA_STRING,
  SOMA_LIST,
  SOMA_OBJECT,
} soma_kind;

typedef struct soma_json soma_json;

struct soma_json {
  soma_kind kind;
  bool boolean;
  // The text of a string; what was written of a number, all its digits.
  soma_text text;
  // The items of a list, or the values of an object.
  size_t count;
  size_t room;
  soma_json **items;
  // The keys of an object, in the order of `items`.
  soma_text *keys;
};

// Reads one JSON text. NULL where it is none, and `*error` says why.
soma_json *soma_json_read(soma_text text, const char **error);

// Writes a value as JSON text.
soma_text soma_json_write(const soma_json *value);

// The value under `key`, or NULL. `value` may be NULL or no object.
soma_json *soma_get(const soma_json *value, const char *key);

// Whether the value is a whole number that fits, written without a fraction.
bool soma_as_int(const soma_json *value, int64_t *number);

// The value of a number; 0 for what is none.
double soma_as_double(const soma_json *value);

soma_json *soma_null(void);
soma_json *soma_bool(bool value);
soma_json *soma_int(int64_t value);
// What is not finite becomes null.
soma_json *soma_double(double value);
soma_json *soma_string(soma_text text);
soma_json *soma_list(void);
soma_json *soma_object(void);

// Adds to a list; returns the list.
soma_json *soma_push(soma_json *list, soma_json *item);

// Sets a key of an object; returns the object.
soma_json *soma_set(soma_json *object, const char *key, soma_json *value);

// Memory that is zeroed and never freed.
void *soma_allocate(size_t bytes);

#endif
