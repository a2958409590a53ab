#include "embedding.h"

#include <math.h>
#include <string.h>

#include "unicode.h"

// Words that say nothing about what a text is about.
static const char *const STOP_WORDS[] = {
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "before", "between", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from",
    "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "more", "most", "must", "my", "no", "not", "of", "on", "one", "only", "or",
    "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would",
    "you", "your",
};

static bool is_stop_word(soma_text word) {
  for (size_t at = 0; at < sizeof STOP_WORDS / sizeof STOP_WORDS[0]; at++) {
    if (soma_text_equal(word, soma_text_of(STOP_WORDS[at]))) return true;
  }
  return false;
}

// FNV-1a, 64 bits, with a last mix: its low bits alone spread badly.
static uint64_t fnv1a(soma_text word) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t at = 0; at < word.size; at++) {
    hash = (hash ^ (unsigned char)word.data[at]) * 0x00000100000001b3;
  }
  return ((hash ^ (hash >> 29)) * 0xbf58476d1ce4e5b9) ^ (hash >> 32);
}

static void add_word(soma_text raw, float vector[DIMENSION]) {
  soma_text word = to_lowercase(raw);
  if (is_stop_word(word)) return;
  // Without the `s` of a plural.
  size_t size = word.size;
  if (size > 3 && word.data[size - 1] == 's' && word.data[size - 2] != 's') word.size--;
  if (count_scalars(word) <= 1) return;
  uint64_t hash = fnv1a(word);
  vector[hash % DIMENSION] += (hash & (1ull << 32)) == 0 ? 1.0f : -1.0f;
}

void embed(soma_text text, float vector[DIMENSION]) {
  memset(vector, 0, DIMENSION * sizeof *vector);
  const char *end = text.data + text.size;
  const char *start = text.data;
  for (const char *at = text.data; at <= end;) {
    const char *here = at;
    bool inside = here < end && is_alphanumeric(next_scalar(&at));
    if (inside) continue;
    if (here > start) add_word((soma_text){start, (size_t)(here - start)}, vector);
    if (here == end) break;
    start = at;
  }
  float squares = 0;
  for (size_t axis = 0; axis < DIMENSION; axis++) squares += vector[axis] * vector[axis];
  float length = sqrtf(squares);
  if (length > 0) {
    for (size_t axis = 0; axis < DIMENSION; axis++) vector[axis] /= length;
  } else {
    vector[0] = 1;
  }
}
