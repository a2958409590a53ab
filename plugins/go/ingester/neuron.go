// Splits a document into chunks, embeds each and imprints them one by one: the
// ingester of plugins/ingester, in Go.
//
// Input: {"document": {"id": "intro", "title": text, "text": text}} and, where
// wanted, "engram" (binding, default "index"), "chunk_chars" (default 600) and
// "crash_after": fail after so many chunks, to show what half an ingest leaves
// behind. Output: {"document": "intro", "chunks": n}.
package main

import (
	"fmt"

	"soma"
)

func init() { soma.Neuron(handle) }

func main() {}

type job struct {
	id, title, text string
	index           soma.Binding
	chunkChars      uint32
	crashAfter      *uint32
}

func handle(task soma.Task) (any, error) {
	job, err := read(task.Object())
	if err != nil {
		return nil, err
	}
	chunks := split(job.text, int(job.chunkChars))
	for at, chunk := range chunks {
		if job.crashesAfter(at) {
			return nil, job.crash(at)
		}
		if err := job.imprint(chunk, at+1); err != nil {
			return nil, err
		}
	}
	if job.crashesAfter(len(chunks)) {
		return nil, job.crash(len(chunks))
	}
	output := map[string]any{"document": job.id, "chunks": len(chunks)}
	soma.Log(soma.Info, "document ingested", output)
	return output, nil
}

func read(input map[string]any) (job, error) {
	document, documentErr := soma.Field[map[string]any](input, "input", "document")
	if documentErr != nil {
		return job{}, documentErr
	}
	id, idErr := soma.Field[string](document, "input.document", "id")
	title, titleErr := given[string](document, "input.document", "title")
	text, textErr := soma.Field[string](document, "input.document", "text")
	engram, engramErr := soma.FieldOr(input, "input", "engram", "index")
	chunkChars, charsErr := soma.FieldOr(input, "input", "chunk_chars", uint32(600))
	crashAfter, crashErr := given[uint32](input, "input", "crash_after")
	if title == nil {
		title = &id
	}
	for _, err := range []error{idErr, titleErr, textErr, engramErr, charsErr, crashErr} {
		if err != nil {
			return job{}, err
		}
	}
	return job{id, *title, text, soma.Binding(engram), chunkChars, crashAfter}, nil
}

// A key that may be missing or null.
func given[T soma.Kind](object map[string]any, path, key string) (*T, error) {
	if object[key] == nil {
		return nil, nil
	}
	value, err := soma.Field[T](object, path, key)
	return &value, err
}

func (job job) imprint(chunk string, position int) error {
	_, err := job.index.Imprint(soma.Add, soma.Entry{
		Content:   map[string]any{"text": chunk},
		Tags:      []string{job.id},
		Meta:      map[string]any{"document": job.id, "title": job.title, "position": position},
		MergeKey:  fmt.Sprintf("%s#%d", job.id, position),
		Embedding: embed(chunk),
	})
	return err
}

func (job job) crashesAfter(chunks int) bool {
	return job.crashAfter != nil && int64(*job.crashAfter) == int64(chunks)
}

func (job job) crash(chunks int) error {
	return soma.Fail("INGEST_CRASHED", fmt.Sprintf("ingest of '%s' crashed after %d chunks", job.id, chunks))
}
