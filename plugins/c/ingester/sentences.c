// Where a sentence ends.

#include <string.h>

#include "chunks.h"
#include "unicode.h"

// Words whose full stop ends no sentence.
static const char *const ABBREVIATIONS[] = {
    "cf", "dr", "e.g", "etc", "fig", "i.e", "mr", "mrs", "ms", "no", "prof", "st", "vs",
};

// What may stand between a mark and the space behind it, and before a word.
static const char *const CLOSING[] = {"\"", "'", ")", "]", "”", "’"};
static const char *const OPENING[] = {"(", "[", "\"", "“", "‘"};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool starts_with(soma_text text, const char *prefix) {
  size_t size = strlen(prefix);
  return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static bool ends_with(soma_text text, const char *suffix) {
  size_t size = strlen(suffix);
  return text.size >= size && memcmp(text.data + text.size - size, suffix, size) == 0;
}

static soma_text without_closing(soma_text word) {
  for (size_t at = 0; at < COUNT(CLOSING); at++) {
    if (ends_with(word, CLOSING[at])) {
      word.size -= strlen(CLOSING[at]);
      return without_closing(word);
    }
  }
  return word;
}

static soma_text without_opening(soma_text word) {
  for (size_t at = 0; at < COUNT(OPENING); at++) {
    if (starts_with(word, OPENING[at])) {
      word.data += strlen(OPENING[at]);
      word.size -= strlen(OPENING[at]);
      return without_opening(word);
    }
  }
  return word;
}

static bool is_initial(soma_text stem) {
  if (count_scalars(stem) != 1) return false;
  const char *at = stem.data;
  return is_uppercase(next_scalar(&at));
}

static bool ends_a_sentence(soma_text word) {
  soma_text bare = without_closing(word);
  if (ends_with(bare, "!") || ends_with(bare, "?")) return true;
  if (!ends_with(bare, ".")) return false;
  bare.size--;
  soma_text stem = without_opening(bare);
  if (is_initial(stem)) return false;
  soma_text lower = to_lowercase(stem);
  for (size_t at = 0; at < COUNT(ABBREVIATIONS); at++) {
    if (soma_text_equal(lower, soma_text_of(ABBREVIATIONS[at]))) return false;
  }
  return true;
}

static bool begins_a_sentence(soma_text word) {
  const char *at = word.data;
  return word.size > 0 && !is_lowercase(next_scalar(&at));
}

// The next word of a squeezed text from `*at` on; empty at the end.
static soma_text next_word(soma_text text, size_t *at) {
  size_t start = *at;
  while (*at < text.size && text.data[*at] != ' ') (*at)++;
  soma_text word = {text.data + start, *at - start};
  if (*at < text.size) (*at)++;
  return word;
}

text_list sentences(soma_text paragraph) {
  text_list found = {0};
  soma_text text = squeeze(paragraph);
  soma_buffer sentence = {0};
  size_t at = 0;
  soma_text word = next_word(text, &at);
  while (word.size > 0) {
    soma_text next = next_word(text, &at);
    if (sentence.size > 0) soma_put(&sentence, SOMA_TEXT(" "));
    soma_put(&sentence, word);
    if (ends_a_sentence(word) && (next.size == 0 || begins_a_sentence(next))) {
      text_list_add(&found, soma_buffer_text(&sentence));
      sentence.size = 0;
    }
    word = next;
  }
  if (sentence.size > 0) text_list_add(&found, soma_buffer_text(&sentence));
  return found;
}
