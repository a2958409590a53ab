package main

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Length of every embedding.
const dimension = 16

// Words that say nothing about what a text is about.
var stopWords = func() map[string]bool {
	words := map[string]bool{}
	for _, word := range strings.Fields(`
		a about after all also an and any are as at be been before between but by can could did
		do does each for from had has have he her his how i if in into is it its may me more most
		must my no not of on one only or other our out over she should so some such than that the
		their them then there these they this those to under up was we were what when where which
		while who why will with would you your
	`) {
		words[word] = true
	}
	return words
}()

// A bag of words, each hashed to one of the dimensions with a sign, normalised
// to unit length. The same text gives the same vector in every language that the
// ingester is written in.
func embed(text string) []float32 {
	vector := make([]float32, dimension)
	for _, word := range words(text) {
		hash := fnv1a(word)
		sign := float32(1)
		if hash&(1<<32) != 0 {
			sign = -1
		}
		vector[hash%dimension] += sign
	}
	var squares float32
	for _, value := range vector {
		squares += value * value
	}
	length := float32(math.Sqrt(float64(squares)))
	if length == 0 {
		vector[0] = 1
		return vector
	}
	for axis := range vector {
		vector[axis] /= length
	}
	return vector
}

// The words that say something: lower-cased, without the `s` of a plural.
func words(text string) []string {
	between := func(character rune) bool { return !isAlphanumeric(character) }
	var found []string
	for _, word := range strings.FieldsFunc(text, between) {
		word = lower(word)
		if stopWords[word] {
			continue
		}
		if len(word) > 3 && strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") {
			word = word[:len(word)-1]
		}
		if utf8.RuneCountInString(word) > 1 {
			found = append(found, word)
		}
	}
	return found
}

// FNV-1a, 64 bits, with a last mix: its low bits alone spread badly.
func fnv1a(word string) uint64 {
	hash := uint64(0xcbf29ce484222325)
	for at := 0; at < len(word); at++ {
		hash = (hash ^ uint64(word[at])) * 0x100000001b3
	}
	return ((hash ^ (hash >> 29)) * 0xbf58476d1ce4e5b9) ^ (hash >> 32)
}
