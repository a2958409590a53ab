// A deterministic embedding of text.
#ifndef EMBEDDING_H
#define EMBEDDING_H

#include "soma_json.h"

#define DIMENSION 16

// A bag of words, each hashed to one of the dimensions with a sign, normalised
// to unit length. The same text gives the same vector in every language that
// the ingester is written in.
void embed(soma_text text, float vector[DIMENSION]);

#endif
