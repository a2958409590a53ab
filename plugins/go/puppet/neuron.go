// Does what the steps in its input say: plugins/puppet, in Go, without the steps
// that need the grant `orchestration`.
//
// Input: {"do": [step, ..]}. A step that fails is no reason to stop: its error is
// said like any other result. Output, unless a step replies: {"said": [result,
// ..], "task": {id, trace, neuron, attempt, context, deadline_ms}}.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"

	"soma"
)

func init() { soma.Neuron(handle) }

func main() {}

// A step is an object with one key, or the key alone.
type step struct {
	name string
	told json.RawMessage
}

func (step *step) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &step.name) == nil {
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for step.name, step.told = range object {
	}
	return nil
}

func handle(task soma.Task) (any, error) {
	var script struct {
		Do []step `json:"do"`
	}
	if err := task.Into(&script); err != nil {
		return nil, err
	}
	said := []any{}
	reply, err := all(script.Do, &said)
	if reply != nil || err != nil {
		return reply, err
	}
	facts := map[string]any{
		"id":          task.ID,
		"trace":       task.TraceID,
		"neuron":      task.Neuron,
		"attempt":     task.Attempt,
		"context":     append([]any{}, task.Context...),
		"deadline_ms": task.DeadlineMS,
	}
	return map[string]any{"said": said, "task": facts}, nil
}

func all(steps []step, said *[]any) (*soma.Reply, error) {
	for _, step := range steps {
		if do, there := speaking[step.name]; there {
			result, err := do(step.told)
			var failure *soma.Failure
			if errors.As(err, &failure) {
				result = map[string]any{"error": map[string]any{
					"code": failure.Code, "message": failure.Message, "recoverable": failure.Recoverable,
				}}
			} else if err != nil {
				return nil, err
			}
			*said = append(*said, result)
			continue
		}
		reply, err := other(step, said)
		if reply != nil || err != nil {
			return reply, err
		}
	}
	return nil, nil
}

// Steps whose result is said.
var speaking = map[string]func(json.RawMessage) (any, error){
	"recall": recall,
	"write":  write,
	"emit": func(told json.RawMessage) (any, error) {
		signal := read[struct {
			Kind    string         `json:"kind"`
			Payload map[string]any `json:"payload"`
		}](told)
		return soma.Emit(emissions[signal.Kind], signal.Payload)
	},
	"random": func(told json.RawMessage) (any, error) {
		return hex.EncodeToString(soma.RandomBytes(read[uint32](told))), nil
	},
	"now": func(json.RawMessage) (any, error) { return soma.NowMS(), nil },
}

var emissions = map[string]soma.Emission{
	"PLAN":          soma.Plan,
	"MEMORY_APPEND": soma.MemoryAppend,
	"ESCALATION":    soma.Escalation,
	"CONSENSUS":     soma.Consensus,
	"CONTEXT_SYNC":  soma.ContextSync,
	"CRITIQUE":      soma.Critique,
	"AUDIT":         soma.Audit,
}

var ops = map[string]soma.Op{
	"add": soma.Add, "append": soma.Append, "merge": soma.Merge, "upsert": soma.Upsert, "delete": soma.Delete,
}

func recall(told json.RawMessage) (any, error) {
	query := read[struct {
		From       string    `json:"from"`
		Tag        string    `json:"tag"`
		TopK       uint32    `json:"top_k"`
		DeadlineMS uint64    `json:"deadline_ms"`
		Embedding  []float32 `json:"embedding"`
	}](told)
	found, err := soma.Binding(query.From).Recall(soma.Query{
		Tag: query.Tag, TopK: query.TopK, DeadlineMS: query.DeadlineMS, Embedding: query.Embedding,
	})
	hits := []any{}
	for _, hit := range found.Hits {
		hits = append(hits, hit.Content)
	}
	return map[string]any{"hits": hits, "truncated": found.Truncated}, err
}

func write(told json.RawMessage) (any, error) {
	entry := read[struct {
		To          string    `json:"to"`
		Op          string    `json:"op"`
		ID          string    `json:"id"`
		Key         string    `json:"key"`
		Content     any       `json:"content"`
		Tags        []string  `json:"tags"`
		Idempotency string    `json:"idempotency"`
		DeadlineMS  uint64    `json:"deadline_ms"`
		Send        bool      `json:"send"`
		Embedding   []float32 `json:"embedding"`
	}](told)
	wire := soma.Entry{
		ID: entry.ID, Content: entry.Content, Tags: entry.Tags, Embedding: entry.Embedding,
		MergeKey: entry.Key, IdempotencyKey: entry.Idempotency, DeadlineMS: entry.DeadlineMS,
	}
	binding, op := soma.Binding(entry.To), ops[entry.Op]
	if entry.Send {
		return nil, binding.Send(op, wire)
	}
	receipt, err := binding.Imprint(op, wire)
	said := map[string]any{"id": nil, "version": nil}
	if receipt.ID != "" {
		said["id"] = receipt.ID
	}
	if receipt.Version != 0 {
		said["version"] = receipt.Version
	}
	return said, err
}

// Steps that say nothing, and those that end the task.
func other(next step, said *[]any) (*soma.Reply, error) {
	told := read[struct {
		Times       uint64 `json:"times"`
		Steps       []step `json:"steps"`
		Value       any    `json:"value"`
		Route       string `json:"route"`
		Question    string `json:"question"`
		Context     any    `json:"context"`
		Action      string `json:"action"`
		Scope       any    `json:"scope"`
		Reason      string `json:"reason"`
		Code        string `json:"code"`
		Recoverable bool   `json:"recoverable"`
	}](next.told)
	switch next.name {
	case "repeat":
		for range told.Times {
			reply, err := all(told.Steps, said)
			if reply != nil || err != nil {
				return reply, err
			}
		}
		return nil, nil
	case "sleep":
		soma.SleepMS(read[uint64](next.told))
		return nil, nil
	case "log":
		soma.Log(soma.Info, read[string](next.told), nil)
		return nil, nil
	case "print":
		log.Println(read[string](next.told))
		return nil, nil
	case "output":
		return soma.Output(told.Value, told.Route), nil
	case "clarify":
		return soma.Clarification(told.Question, told.Context), nil
	case "ask_leave":
		return soma.Permission(told.Action, told.Scope, told.Reason, nil), nil
	case "fail":
		failure := soma.Fail(told.Code, "told to fail with "+told.Code)
		failure.Recoverable = told.Recoverable
		return nil, failure
	default:
		panic(read[string](next.told))
	}
}

// What does not fit is left zero.
func read[T any](told json.RawMessage) (value T) {
	_ = json.Unmarshal(told, &value)
	return value
}
