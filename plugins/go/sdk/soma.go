// Package soma is for writing a Soma neuron as one function:
//
//	package main
//
//	import "soma"
//
//	func init() { soma.Neuron(handle) }
//
//	func main() {}
//
//	func handle(task soma.Task) (any, error) {
//		name, err := soma.Field[string](task.Object(), "input", "name")
//		if err != nil {
//			return nil, err
//		}
//		return map[string]any{"hello": name}, nil
//	}
//
// Every task gets a fresh instance: nothing in variables outlives it. What must
// last goes into an engram. Calls to the host wait, and that is where STOP and
// deadlines get in; the neuron then never resumes.
//
// What the component imports is what it calls, and neuron.toml has to ask for
// it: engrams under [engrams], the rest under [grants].
//
// Experimental. There is no WASI: no files and no sockets; time.Now does not
// know the time and time.Sleep ends the neuron: use NowMS and SleepMS.
// fmt.Println writes to nowhere; package log writes to the task's log, where
// the manifest asks for `log`.
package soma

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	handler "soma/contract/export_soma_neuron_handler"
	types "soma/contract/soma_neuron_types"
	_ "soma/contract/wit_exports"
	wit "soma/wit/types"
)

// Task is what the neuron is asked to do.
type Task struct {
	// ID of the TASK signal: `evt_` and a ULID.
	ID string
	// TraceID is the unit of STOP and rollback: `trc_` and a ULID.
	TraceID string
	// Neuron is the neuron's own id, as it was registered on the host.
	Neuron string
	// Attempt under a retry strategy, counted from 0.
	Attempt uint32
	// InputJSON is the input as JSON text.
	InputJSON string
	// Context entries that the host fetched for the task, oldest first.
	Context []any
	// DeadlineMS is the milliseconds until the host ends the task, if it does.
	DeadlineMS *uint64

	input any
}

// Input is the input as json makes it; numbers are json.Number.
func (task Task) Input() any { return task.input }

// Object is the input as an object; empty for what is none.
func (task Task) Object() map[string]any {
	object, _ := task.input.(map[string]any)
	return object
}

// Into reads the input into a value, as json.Unmarshal does.
func (task Task) Into(value any) error {
	if err := json.Unmarshal([]byte(task.InputJSON), value); err != nil {
		return Fail("INVALID_INPUT", "input: "+err.Error())
	}
	return nil
}

// Failure is why a neuron could not do its task. Returned, it becomes an ERROR
// signal.
type Failure struct {
	// Code is stable and machine-readable, such as NO_SOURCE.
	Code string
	// Message is one sentence for a person.
	Message string
	// Recoverable says whether the same task may succeed when tried again.
	Recoverable bool
}

// Fail is a failure that trying again would not change.
func Fail(code, message string) *Failure { return &Failure{Code: code, Message: message} }

func (failure *Failure) Error() string { return failure.Message }

// Reply is the answer that ends a task.
type Reply struct {
	wire func() (types.Reply, error)
}

// Output is a finished task; a flow takes the route, or `success` for "".
func Output(value any, route string) *Reply {
	return &Reply{func() (types.Reply, error) {
		text, err := toJSON("output", value)
		if err != nil {
			return types.Reply{}, err
		}
		return types.MakeReplyOutput(types.Output{Value: text, Route: optional(route)}), nil
	}}
}

// Clarification is a question back; the answer is a new task, in
// `input.clarification`. A context that is nil is left out.
func Clarification(question string, context any) *Reply {
	return &Reply{func() (types.Reply, error) {
		text, err := optionalJSON("context", context)
		asked := types.Clarification{Question: question, Context: text}
		return types.MakeReplyClarification(asked), err
	}}
}

// Permission is a request for leave; the decision is a new task, in
// `input.permission`. Parts that are nil or "" are left out.
func Permission(action string, scope any, reason string, context any) *Reply {
	return &Reply{func() (types.Reply, error) {
		scopeText, err := optionalJSON("scope", scope)
		contextText, contextErr := optionalJSON("context", context)
		asked := types.Permission{
			Action:  action,
			Scope:   scopeText,
			Reason:  optional(reason),
			Context: contextText,
		}
		return types.MakeReplyPermission(asked), errors.Join(err, contextErr)
	}}
}

// Neuron makes a function the neuron of this component; called in init.
//
// What the function returns is a *Reply or anything that json can write. An
// error is an ERROR: a *Failure with its own code, any other NEURON_ERROR. A
// panic is the ERROR NEURON_PANIC.
func Neuron(handle func(Task) (any, error)) {
	handler.Handler = func(task types.Task) (result wit.Result[types.Reply, types.Failure]) {
		defer func() {
			if panicked := recover(); panicked != nil {
				message := fmt.Sprint(panicked)
				tellPanic(message, debug.Stack())
				result = failed(Fail("NEURON_PANIC", "the neuron panicked: "+message))
			}
		}()
		reply, err := run(task, handle)
		if err != nil {
			return failed(err)
		}
		return wit.Ok[types.Reply, types.Failure](reply)
	}
}

func run(task types.Task, handle func(Task) (any, error)) (types.Reply, error) {
	given, err := read(task)
	if err != nil {
		return types.Reply{}, err
	}
	value, err := handle(given)
	if err != nil {
		return types.Reply{}, err
	}
	reply, made := value.(*Reply)
	if !made {
		reply = Output(value, "")
	}
	return reply.wire()
}

func failed(err error) wit.Result[types.Reply, types.Failure] {
	var failure *Failure
	if !errors.As(err, &failure) {
		failure = Fail("NEURON_ERROR", err.Error())
	}
	return wit.Err[types.Reply](types.Failure{
		Code:        failure.Code,
		Message:     failure.Message,
		Recoverable: failure.Recoverable,
	})
}

func read(task types.Task) (Task, error) {
	given := Task{
		ID:         task.Id,
		TraceID:    task.TraceId,
		Neuron:     task.Neuron,
		Attempt:    task.Attempt,
		InputJSON:  task.Input,
		DeadlineMS: task.DeadlineMs.Pointer(),
	}
	var err error
	if given.input, err = fromJSON(task.Input); err != nil {
		return given, Fail("INVALID_INPUT", "input: "+err.Error())
	}
	for _, entry := range task.Context {
		value, err := fromJSON(entry)
		if err != nil {
			return given, Fail("INVALID_INPUT", "an entry of the task's context: "+err.Error())
		}
		given.Context = append(given.Context, value)
	}
	return given, nil
}

// fromJSON keeps numbers as they were written.
func fromJSON(text string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return value, err
}

func toJSON(what string, value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", Fail("INVALID_OUTPUT", what+": "+err.Error())
	}
	return string(bytes.TrimRight(text.Bytes(), "\n")), nil
}

func optionalJSON(what string, value any) (wit.Option[string], error) {
	if value == nil {
		return wit.None[string](), nil
	}
	text, err := toJSON(what, value)
	return wit.Some(text), err
}

// optional is none for a zero value.
func optional[T comparable](value T) wit.Option[T] {
	var zero T
	if value == zero {
		return wit.None[T]()
	}
	return wit.Some(value)
}
