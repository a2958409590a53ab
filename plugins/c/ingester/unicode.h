// Text as Unicode scalar values. Texts are valid UTF-8: the host sends no other.
#ifndef UNICODE_H
#define UNICODE_H

#include "soma_json.h"

bool is_alphanumeric(uint32_t scalar);
bool is_lowercase(uint32_t scalar);
bool is_uppercase(uint32_t scalar);
bool is_white_space(uint32_t scalar);

// The scalar value at `*at`, which moves behind it.
uint32_t next_scalar(const char **at);

size_t count_scalars(soma_text text);

void put_scalar(soma_buffer *out, uint32_t scalar);

// A word in lower case.
soma_text to_lowercase(soma_text word);

#endif
