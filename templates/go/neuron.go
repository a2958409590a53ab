// Keeps a note and says which earlier ones mention a word.
package main

import (
	"fmt"

	"soma"
)

func init() { soma.Neuron(handle) }

func main() {}

func handle(task soma.Task) (any, error) {
	note, err := soma.Field[string](task.Object(), "input", "note")
	if err != nil {
		return nil, err
	}
	about, err := soma.Field[string](task.Object(), "input", "about")
	if err != nil {
		return nil, err
	}
	notes := soma.Binding("notes")
	found, err := notes.Recall(soma.Query{Text: about})
	if err != nil {
		return nil, err
	}
	earlier := []any{}
	for _, hit := range found.Hits {
		earlier = append(earlier, hit.Content)
	}
	if _, err := notes.Imprint(soma.Append, soma.Entry{Content: note, Tags: []string{"note"}}); err != nil {
		return nil, err
	}
	soma.Log(soma.Info, fmt.Sprintf("%d earlier notes", len(earlier)), map[string]any{"about": about})
	return map[string]any{"earlier": earlier}, nil
}
