// A document as chunks that end where a reader would pause.
#ifndef CHUNKS_H
#define CHUNKS_H

#include "soma_json.h"

typedef struct {
  soma_text *texts;
  size_t count;
  size_t room;
} text_list;

void text_list_add(text_list *list, soma_text text);

// The sentences of a paragraph, each on one line.
text_list sentences(soma_text paragraph);

// The text with every run of white space as one space.
soma_text squeeze(soma_text text);

// Splits at paragraphs where they fit into `most` scalar values, else at
// sentences, else at words. Short paragraphs share a chunk. A single word that
// is longer stays whole.
text_list split(soma_text text, size_t most);

#endif
