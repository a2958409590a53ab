#include "soma_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Deeper values are refused, as the host does.
#define MOST_LEVELS 128

void *soma_allocate(size_t bytes) {
  void *memory = calloc(1, bytes == 0 ? 1 : bytes);
  // A trap after a refused growth is what the host calls out of memory.
  if (memory == NULL) __builtin_trap();
  return memory;
}

soma_text soma_text_of(const char *string) {
  return (soma_text){string, strlen(string)};
}

bool soma_text_equal(soma_text one, soma_text other) {
  return one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
}

static bool is(soma_text text, const char *string) {
  return soma_text_equal(text, soma_text_of(string));
}

void soma_put_bytes(soma_buffer *buffer, const char *bytes, size_t count) {
  if (buffer->size + count + 1 > buffer->room) {
    buffer->room = 2 * (buffer->size + count + 1);
    buffer->data = realloc(buffer->data, buffer->room);
    if (buffer->data == NULL) __builtin_trap();
  }
  memcpy(buffer->data + buffer->size, bytes, count);
  buffer->size += count;
  buffer->data[buffer->size] = 0;
}

void soma_put(soma_buffer *buffer, soma_text text) {
  soma_put_bytes(buffer, text.data, text.size);
}

void soma_put_int(soma_buffer *buffer, int64_t number) {
  char digits[20];
  size_t start = sizeof digits;
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do {
    digits[--start] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (number < 0) soma_put_bytes(buffer, "-", 1);
  soma_put_bytes(buffer, digits + start, sizeof digits - start);
}

soma_text soma_buffer_text(soma_buffer *buffer) {
  soma_put_bytes(buffer, "", 0);
  char *copy = soma_allocate(buffer->size + 1);
  memcpy(copy, buffer->data, buffer->size);
  return (soma_text){copy, buffer->size};
}

static soma_json *make(soma_kind kind) {
  soma_json *value = soma_allocate(sizeof *value);
  value->kind = kind;
  return value;
}

soma_json *soma_null(void) { return make(SOMA_NULL); }

soma_json *soma_bool(bool value) {
  soma_json *made = make(SOMA_BOOL);
  made->boolean = value;
  return made;
}

soma_json *soma_int(int64_t value) {
  soma_json *made = make(SOMA_NUMBER);
  soma_buffer digits = {0};
  soma_put_int(&digits, value);
  made->text = soma_buffer_text(&digits);
  return made;
}

soma_json *soma_double(double value) {
  if (value - value != 0) return soma_null();
  soma_json *made = make(SOMA_NUMBER);
  char *digits = soma_allocate(32);
  int size = 0;
  // The fewest digits that read back as the same number.
  for (int precision = 15; precision <= 17; precision++) {
    size = snprintf(digits, 32, "%.*g", precision, value);
    if (strtod(digits, NULL) == value) break;
  }
  made->text = (soma_text){digits, (size_t)size};
  return made;
}

soma_json *soma_string(soma_text text) {
  soma_json *made = make(SOMA_STRING);
  made->text = text;
  return made;
}

soma_json *soma_list(void) { return make(SOMA_LIST); }

soma_json *soma_object(void) { return make(SOMA_OBJECT); }

static void add(soma_json *to, soma_text key, soma_json *item) {
  if (to->count == to->room) {
    to->room = to->room == 0 ? 8 : 2 * to->room;
    to->items = realloc(to->items, to->room * sizeof *to->items);
    to->keys = realloc(to->keys, to->room * sizeof *to->keys);
    if (to->items == NULL || to->keys == NULL) __builtin_trap();
  }
  to->items[to->count] = item;
  to->keys[to->count] = key;
  to->count++;
}

static void set(soma_json *object, soma_text key, soma_json *value) {
  for (size_t at = 0; at < object->count; at++) {
    if (soma_text_equal(object->keys[at], key)) {
      object->items[at] = value;
      return;
    }
  }
  add(object, key, value);
}

soma_json *soma_push(soma_json *list, soma_json *item) {
  add(list, SOMA_TEXT(""), item);
  return list;
}

soma_json *soma_set(soma_json *object, const char *key, soma_json *value) {
  set(object, soma_text_of(key), value);
  return object;
}

soma_json *soma_get(const soma_json *value, const char *key) {
  if (value == NULL || value->kind != SOMA_OBJECT) return NULL;
  for (size_t at = 0; at < value->count; at++) {
    if (is(value->keys[at], key)) return value->items[at];
  }
  return NULL;
}

bool soma_as_int(const soma_json *value, int64_t *number) {
  if (value == NULL || value->kind != SOMA_NUMBER) return false;
  const char *digit = value->text.data;
  bool negative = *digit == '-';
  if (negative) digit++;
  uint64_t most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
  uint64_t sum = 0;
  for (; digit < value->text.data + value->text.size; digit++) {
    if (*digit < '0' || *digit > '9') return false;
    uint64_t next = (uint64_t)(*digit - '0');
    if (sum > (most - next) / 10) return false;
    sum = sum * 10 + next;
  }
  *number = negative ? (int64_t)-sum : (int64_t)sum;
  return true;
}

double soma_as_double(const soma_json *value) {
  if (value == NULL || value->kind != SOMA_NUMBER) return 0;
  return strtod(value->text.data, NULL);
}

// Reading.

typedef struct {
  const char *at;
  const char *end;
  const char *error;
} reader;

static soma_json *read_value(reader *in, int level);

static soma_json *refuse(reader *in, const char *error) {
  if (in->error == NULL) in->error = error;
  return NULL;
}

static void skip_space(reader *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) {
    in->at++;
  }
}

static bool take(reader *in, char wanted) {
  skip_space(in);
  if (in->at == in->end || *in->at != wanted) return false;
  in->at++;
  return true;
}

static bool take_word(reader *in, const char *word) {
  size_t size = strlen(word);
  if ((size_t)(in->end - in->at) < size || memcmp(in->at, word, size) != 0) return false;
  in->at += size;
  return true;
}

static size_t take_digits(reader *in) {
  const char *start = in->at;
  while (in->at < in->end && *in->at >= '0' && *in->at <= '9') in->at++;
  return (size_t)(in->at - start);
}

static soma_json *read_number(reader *in) {
  const char *start = in->at;
  take_word(in, "-");
  bool zero = in->at < in->end && *in->at == '0';
  size_t whole = take_digits(in);
  bool good = whole > 0 && !(zero && whole > 1);
  if (take_word(in, ".")) good = take_digits(in) > 0 && good;
  if (take_word(in, "e") || take_word(in, "E")) {
    if (!take_word(in, "+")) take_word(in, "-");
    good = take_digits(in) > 0 && good;
  }
  if (!good) return refuse(in, "a number is cut short or has a leading zero");
  soma_json *number = make(SOMA_NUMBER);
  soma_buffer copy = {0};
  soma_put_bytes(&copy, start, (size_t)(in->at - start));
  number->text = soma_buffer_text(&copy);
  return number;
}

static bool read_hex(reader *in, uint32_t *unit) {
  if (in->end - in->at < 4) return false;
  *unit = 0;
  for (int digit = 0; digit < 4; digit++, in->at++) {
    char c = *in->at;
    uint32_t value;
    if (c >= '0' && c <= '9') value = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f') value = (uint32_t)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F') value = (uint32_t)(c - 'A') + 10;
    else return false;
    *unit = *unit * 16 + value;
  }
  return true;
}

static void put_scalar(soma_buffer *out, uint32_t scalar) {
  char bytes[4];
  size_t count;
  if (scalar < 0x80) {
    bytes[0] = (char)scalar;
    count = 1;
  } else if (scalar < 0x800) {
    bytes[0] = (char)(0xC0 | scalar >> 6);
    count = 2;
  } else if (scalar < 0x10000) {
    bytes[0] = (char)(0xE0 | scalar >> 12);
    count = 3;
  } else {
    bytes[0] = (char)(0xF0 | scalar >> 18);
    count = 4;
  }
  for (size_t at = 1; at < count; at++) {
    bytes[at] = (char)(0x80 | ((scalar >> 6 * (count - 1 - at)) & 0x3F));
  }
  soma_put_bytes(out, bytes, count);
}

static bool read_escape(reader *in, soma_buffer *out) {
  static const char *const FROM = "\"\\/bfnrt";
  static const char *const TO = "\"\\/\b\f\n\r\t";
  char c = in->at < in->end ? *in->at++ : 0;
  const char *simple = c == 0 ? NULL : strchr(FROM, c);
  if (simple != NULL) {
    soma_put_bytes(out, TO + (simple - FROM), 1);
    return true;
  }
  uint32_t unit, low;
  if (c != 'u' || !read_hex(in, &unit)) return false;
  if (unit >= 0xDC00 && unit <= 0xDFFF) return false;
  if (unit >= 0xD800 && unit <= 0xDBFF) {
    if (!take_word(in, "\\u") || !read_hex(in, &low) || low < 0xDC00 || low > 0xDFFF) return false;
    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
  }
  put_scalar(out, unit);
  return true;
}

static bool read_string(reader *in, soma_text *text) {
  soma_buffer out = {0};
  if (!take(in, '"')) return refuse(in, "a string is expected") != NULL;
  for (;;) {
    const char *start = in->at;
    while (in->at < in->end && *in->at != '"' && *in->at != '\\' && (unsigned char)*in->at >= 0x20) in->at++;
    soma_put_bytes(&out, start, (size_t)(in->at - start));
    if (take_word(in, "\"")) break;
    if (!take_word(in, "\\") || !read_escape(in, &out)) return refuse(in, "a string is broken") != NULL;
  }
  *text = soma_buffer_text(&out);
  return true;
}

static soma_json *read_list(reader *in, int level) {
  soma_json *list = soma_list();
  if (take(in, ']')) return list;
  do {
    soma_json *item = read_value(in, level + 1);
    if (item == NULL) return NULL;
    soma_push(list, item);
  } while (take(in, ','));
  return take(in, ']') ? list : refuse(in, "a list does not end");
}

static soma_json *read_object(reader *in, int level) {
  soma_json *object = soma_object();
  if (take(in, '}')) return object;
  do {
    soma_text key;
    if (!read_string(in, &key)) return NULL;
    if (!take(in, ':')) return refuse(in, "a key has no value");
    soma_json *value = read_value(in, level + 1);
    if (value == NULL) return NULL;
    set(object, key, value);
  } while (take(in, ','));
  return take(in, '}') ? object : refuse(in, "an object does not end");
}

static soma_json *read_value(reader *in, int level) {
  skip_space(in);
  if (level > MOST_LEVELS) return refuse(in, "values are nested too deeply");
  if (in->at == in->end) return refuse(in, "the text ends where a value is expected");
  if (take(in, '[')) return read_list(in, level);
  if (take(in, '{')) return read_object(in, level);
  if (*in->at == '"') {
    soma_text text;
    return read_string(in, &text) ? soma_string(text) : NULL;
  }
  if (take_word(in, "null")) return soma_null();
  if (take_word(in, "true")) return soma_bool(true);
  if (take_word(in, "false")) return soma_bool(false);
  if (*in->at == '-' || (*in->at >= '0' && *in->at <= '9')) return read_number(in);
  return refuse(in, "this is no value");
}

soma_json *soma_json_read(soma_text text, const char **error) {
  reader in = {text.data, text.data + text.size, NULL};
  soma_json *value = read_value(&in, 0);
  skip_space(&in);
  if (value != NULL && in.at != in.end) value = refuse(&in, "something follows the value");
  *error = in.error;
  return value;
}

// Writing.

static void write_string(soma_buffer *out, soma_text text) {
  static const char HEX[] = "0123456789abcdef";
  soma_put_bytes(out, "\"", 1);
  size_t plain = 0;
  for (size_t at = 0; at < text.size; at++) {
    unsigned char c = (unsigned char)text.data[at];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    soma_put_bytes(out, text.data + plain, at - plain);
    plain = at + 1;
    if (c < 0x20) {
      char escape[] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};
      soma_put_bytes(out, escape, sizeof escape);
    } else {
      char escape[] = {'\\', (char)c};
      soma_put_bytes(out, escape, sizeof escape);
    }
  }
  soma_put_bytes(out, text.data + plain, text.size - plain);
  soma_put_bytes(out, "\"", 1);
}

static void write_value(soma_buffer *out, const soma_json *value) {
  switch (value->kind) {
    case SOMA_NULL:
      soma_put(out, SOMA_TEXT("null"));
      break;
    case SOMA_BOOL:
      soma_put(out, value->boolean ? SOMA_TEXT("true") : SOMA_TEXT("false"));
      break;
    case SOMA_NUMBER:
      soma_put(out, value->text);
      break;
    case SOMA_STRING:
      write_string(out, value->text);
      break;
    case SOMA_LIST:
    case SOMA_OBJECT: {
      bool object = value->kind == SOMA_OBJECT;
      soma_put(out, object ? SOMA_TEXT("{") : SOMA_TEXT("["));
      for (size_t at = 0; at < value->count; at++) {
        if (at > 0) soma_put(out, SOMA_TEXT(","));
        if (object) {
          write_string(out, value->keys[at]);
          soma_put(out, SOMA_TEXT(":"));
        }
        write_value(out, value->items[at]);
      }
      soma_put(out, object ? SOMA_TEXT("}") : SOMA_TEXT("]"));
      break;
    }
  }
}

soma_text soma_json_write(const soma_json *value) {
  soma_buffer out = {0};
  write_value(&out, value);
  return (soma_text){out.data, out.size};
}
