#include "chunks.h"

#include <stdlib.h>
#include <string.h>

#include "unicode.h"

void text_list_add(text_list *list, soma_text text) {
  if (list->count == list->room) {
    list->room = list->room == 0 ? 16 : 2 * list->room;
    list->texts = realloc(list->texts, list->room * sizeof *list->texts);
    if (list->texts == NULL) __builtin_trap();
  }
  list->texts[list->count++] = text;
}

soma_text squeeze(soma_text text) {
  soma_buffer out = {0};
  const char *end = text.data + text.size;
  bool gap = false;
  for (const char *at = text.data; at < end;) {
    const char *here = at;
    if (is_white_space(next_scalar(&at))) {
      gap = out.size > 0;
      continue;
    }
    if (gap) soma_put(&out, SOMA_TEXT(" "));
    gap = false;
    soma_put_bytes(&out, here, (size_t)(at - here));
  }
  return soma_buffer_text(&out);
}

typedef struct {
  size_t most;
  text_list done;
  soma_buffer open;
} packer;

static void close(packer *chunks) {
  if (chunks->open.size > 0) text_list_add(&chunks->done, soma_buffer_text(&chunks->open));
  chunks->open.size = 0;
}

static void add(packer *chunks, soma_text piece, soma_text separator) {
  if (piece.size == 0) return;
  size_t open = count_scalars((soma_text){chunks->open.data, chunks->open.size});
  size_t room = chunks->most > open ? chunks->most - open : 0;
  if (open > 0 && count_scalars(piece) + separator.size > room) close(chunks);
  if (chunks->open.size > 0) soma_put(&chunks->open, separator);
  soma_put(&chunks->open, piece);
}

static void add_words(packer *chunks, soma_text sentence) {
  size_t start = 0;
  for (size_t at = 0; at <= sentence.size; at++) {
    if (at < sentence.size && sentence.data[at] != ' ') continue;
    add(chunks, (soma_text){sentence.data + start, at - start}, SOMA_TEXT(" "));
    start = at + 1;
  }
}

static void add_paragraph(packer *chunks, soma_text paragraph) {
  soma_text whole = squeeze(paragraph);
  if (count_scalars(whole) <= chunks->most) {
    add(chunks, whole, SOMA_TEXT("\n\n"));
    return;
  }
  close(chunks);
  text_list all = sentences(paragraph);
  for (size_t at = 0; at < all.count; at++) {
    if (count_scalars(all.texts[at]) <= chunks->most) add(chunks, all.texts[at], SOMA_TEXT(" "));
    else add_words(chunks, all.texts[at]);
  }
}

// The text with line feeds for the line ends of other systems.
static soma_text with_line_feeds(soma_text text) {
  soma_buffer out = {0};
  for (size_t at = 0; at < text.size; at++) {
    if (text.data[at] == '\r' && at + 1 < text.size && text.data[at + 1] == '\n') continue;
    soma_put_bytes(&out, text.data + at, 1);
  }
  return soma_buffer_text(&out);
}

text_list split(soma_text text, size_t most) {
  packer chunks = {.most = most > 0 ? most : 1};
  text = with_line_feeds(text);
  size_t start = 0;
  for (size_t at = 0; at <= text.size; at++) {
    bool end = at == text.size;
    bool blank_line = at + 1 < text.size && text.data[at] == '\n' && text.data[at + 1] == '\n';
    if (!end && !blank_line) continue;
    add_paragraph(&chunks, (soma_text){text.data + start, at - start});
    if (blank_line) at++;
    start = at + 1;
  }
  close(&chunks);
  return chunks.done;
}
