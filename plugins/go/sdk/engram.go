package soma

import (
	engram "soma/contract/soma_neuron_engram"
	"soma/wit/runtime"
	wit "soma/wit/types"
)

// Binding is shared memory: a local name that the operator ties to a real
// engram. Errors are a *Failure with the code ENGRAM_NOT_BOUND, _DENIED,
// _TIMEOUT, _CANCELLED, _OVERLOADED, _QUOTA, _INVALID, _BACKEND or _JSON.
type Binding string

// Op is a kind of write.
type Op uint8

const (
	// Add makes a new entry; an id that exists is an error.
	Add = Op(engram.OpAdd)
	// Append makes a new entry, with a fresh id where the chosen one is taken.
	Append = Op(engram.OpAppend)
	// Merge changes the newest entry with the merge key: objects are merged,
	// lists joined, scalars replaced. No such entry is an error.
	Merge = Op(engram.OpMerge)
	// Upsert replaces the newest entry with the merge key, or adds one.
	Upsert = Op(engram.OpUpsert)
	// Delete removes by id, else the newest entry with the merge key. Nothing
	// there is no error.
	Delete = Op(engram.OpDelete)
)

// Entry is what is to be written. A part that is zero is left out.
type Entry struct {
	ID      string
	Content any
	Tags    []string
	// Meta is an object of free keys.
	Meta map[string]any
	// Embedding is for engrams that hold vectors: finite numbers, of the
	// engram's dimension.
	Embedding []float32
	MergeKey  string
	// IdempotencyKey makes a second imprint with it answer as the first did.
	IdempotencyKey string
	// DeadlineMS is the most that an awaited write may take.
	DeadlineMS uint64
}

// Receipt is the engram's word that a write is done.
type Receipt struct {
	Engram string
	Op     Op
	// ID is "" where a delete found nothing.
	ID string
	// Version is 0 after a delete.
	Version uint64
	TookMS  uint64
}

// Imprint writes and waits until it is done.
func (binding Binding) Imprint(op Op, entry Entry) (Receipt, error) {
	return binding.imprint(op, entry, true)
}

// Send hands a write over without waiting for it.
func (binding Binding) Send(op Op, entry Entry) error {
	_, err := binding.imprint(op, entry, false)
	return err
}

func (binding Binding) imprint(op Op, entry Entry, ack bool) (Receipt, error) {
	wire, err := entry.wire()
	if err != nil {
		return Receipt{}, err
	}
	options := engram.ImprintOptions{AwaitAck: ack, DeadlineMs: optional(entry.DeadlineMS)}
	answer := engram.Imprint(string(binding), uint8(op), wire, options)
	runtime.Unpin()
	return receipt(answer)
}

// ImprintMany does several writes with the same op, in order: for each its
// receipt or its error.
func (binding Binding) ImprintMany(op Op, entries []Entry) ([]Receipt, []error) {
	wire := make([]engram.Entry, len(entries))
	receipts, errs := make([]Receipt, len(entries)), make([]error, len(entries))
	for at, entry := range entries {
		var err error
		if wire[at], err = entry.wire(); err != nil {
			errs[at] = err
			return receipts, errs
		}
	}
	options := engram.ImprintOptions{AwaitAck: true}
	answers := engram.ImprintMany(string(binding), uint8(op), wire, options)
	runtime.Unpin()
	for at, answer := range answers {
		receipts[at], errs[at] = receipt(answer)
	}
	return receipts, errs
}

// Query is what to look for, and how. Every part that is set must match; the
// zero query matches every entry.
type Query struct {
	ID string
	// Text is a case-insensitive substring of the content's text.
	Text string
	// Tag is one tag that an entry must carry.
	Tag      string
	MergeKey string
	// Embedding ranks by cosine similarity to this vector.
	Embedding []float32
	// TopK is the most hits; 0 for the engram's own limit.
	TopK uint32
	// DeadlineMS is the most that the call may take; 0 for no limit.
	DeadlineMS uint64
	// Mode is how several engrams behind one binding answer.
	Mode RecallMode
	// MinConfidence is the least score of a hit, 0 to 1.
	MinConfidence float32
	// Tags are tags that an entry must carry, all of them.
	Tags []string
	// SinceMS and UntilMS bound the time of the last write, in milliseconds
	// since 1970.
	SinceMS, UntilMS uint64
}

// RecallMode is how several engrams behind one binding answer.
type RecallMode uint8

const (
	// First is the first to answer.
	First = RecallMode(engram.RecallModeFirst)
	// Merged is all, as one list sorted by score.
	Merged = RecallMode(engram.RecallModeMerge)
	// All is as Merged.
	All = RecallMode(engram.RecallModeAll)
)

// Hit is one entry that was found.
type Hit struct {
	ID string
	// Content is as json makes it; numbers are json.Number.
	Content any
	Tags    []string
	Meta    map[string]any
	// MergeKey is "" for none.
	MergeKey string
	// Version counts the writes of this entry, from 1.
	Version uint64
	// Score is 0 to 1; 1 for an exact or unranked match.
	Score float32
}

// Recalled is what a recall found, best first.
type Recalled struct {
	Hits []Hit
	// Truncated says whether more entries matched than were returned.
	Truncated bool
	TookMS    uint64
}

// Recall looks for entries.
func (binding Binding) Recall(query Query) (Recalled, error) {
	answer := engram.Recall(string(binding), query.wire(), query.options())
	runtime.Unpin()
	return recalled(answer)
}

// RecallMany does several recalls at once: for each its answer or its error.
// The first query says how.
func (binding Binding) RecallMany(queries []Query) ([]Recalled, []error) {
	if len(queries) == 0 {
		return nil, nil
	}
	wire := make([]engram.Query, len(queries))
	for at, query := range queries {
		wire[at] = query.wire()
	}
	answers := engram.RecallMany(string(binding), wire, queries[0].options())
	runtime.Unpin()
	all, errs := make([]Recalled, len(answers)), make([]error, len(answers))
	for at, answer := range answers {
		all[at], errs[at] = recalled(answer)
	}
	return all, errs
}

func (entry Entry) wire() (engram.Entry, error) {
	meta := "{}"
	content, err := toJSON("content", entry.Content)
	if err == nil && entry.Meta != nil {
		meta, err = toJSON("meta", entry.Meta)
	}
	return engram.Entry{
		Id:             optional(entry.ID),
		Content:        content,
		Tags:           entry.Tags,
		Meta:           meta,
		Embedding:      vector(entry.Embedding),
		MergeKey:       optional(entry.MergeKey),
		IdempotencyKey: optional(entry.IdempotencyKey),
	}, err
}

func (query Query) wire() engram.Query {
	return engram.Query{
		Id:        optional(query.ID),
		Text:      optional(query.Text),
		Tag:       optional(query.Tag),
		MergeKey:  optional(query.MergeKey),
		Embedding: vector(query.Embedding),
		TopK:      optional(query.TopK),
	}
}

func (query Query) options() engram.RecallOptions {
	filters := wit.None[engram.Filters]()
	if query.Tags != nil || query.SinceMS != 0 || query.UntilMS != 0 {
		filters = wit.Some(engram.Filters{
			Tags:    query.Tags,
			SinceMs: optional(query.SinceMS),
			UntilMs: optional(query.UntilMS),
		})
	}
	return engram.RecallOptions{
		DeadlineMs:    optional(query.DeadlineMS),
		Mode:          uint8(query.Mode),
		MinConfidence: optional(query.MinConfidence),
		Filters:       filters,
	}
}

func vector(numbers []float32) wit.Option[[]float32] {
	if numbers == nil {
		return wit.None[[]float32]()
	}
	return wit.Some(numbers)
}

func receipt(answer wit.Result[wit.Option[engram.Receipt], engram.EngramError]) (Receipt, error) {
	if answer.Tag() == wit.ResultErr {
		return Receipt{}, engramError(answer.Err())
	}
	from := answer.Ok().Pointer()
	if from == nil {
		return Receipt{}, nil
	}
	done := Receipt{Engram: from.Engram, Op: Op(from.Op), TookMS: from.TookMs}
	if id := from.Id.Pointer(); id != nil {
		done.ID = *id
	}
	if version := from.Version.Pointer(); version != nil {
		done.Version = *version
	}
	return done, nil
}

func recalled(answer wit.Result[engram.RecallResult, engram.EngramError]) (Recalled, error) {
	if answer.Tag() == wit.ResultErr {
		return Recalled{}, engramError(answer.Err())
	}
	from := answer.Ok()
	found := Recalled{Truncated: from.Truncated, TookMS: from.TookMs}
	for _, hit := range from.Hits {
		content, err := fromJSON(hit.Content)
		if err != nil {
			return found, Fail("ENGRAM_JSON", "engram JSON: content of entry "+hit.Id+": "+err.Error())
		}
		meta, err := fromJSON(hit.Meta)
		if err != nil {
			return found, Fail("ENGRAM_JSON", "engram JSON: meta of entry "+hit.Id+": "+err.Error())
		}
		object, _ := meta.(map[string]any)
		one := Hit{ID: hit.Id, Content: content, Tags: hit.Tags, Meta: object, Version: hit.Version, Score: hit.Score}
		if key := hit.MergeKey.Pointer(); key != nil {
			one.MergeKey = *key
		}
		found.Hits = append(found.Hits, one)
	}
	return found, nil
}

func engramError(err engram.EngramError) *Failure {
	switch err.Tag() {
	case engram.EngramErrorNotBound:
		return Fail("ENGRAM_NOT_BOUND", "engram not bound: "+err.NotBound())
	case engram.EngramErrorDenied:
		return Fail("ENGRAM_DENIED", "engram access denied: "+err.Denied())
	case engram.EngramErrorTimeout:
		return again("ENGRAM_TIMEOUT", "the engram did not answer in time")
	case engram.EngramErrorCancelled:
		return Fail("ENGRAM_CANCELLED", "the trace was stopped")
	case engram.EngramErrorOverloaded:
		return again("ENGRAM_OVERLOADED", "engram overloaded: "+err.Overloaded())
	case engram.EngramErrorQuota:
		return Fail("ENGRAM_QUOTA", "engram quota used up: "+err.Quota())
	case engram.EngramErrorInvalid:
		return Fail("ENGRAM_INVALID", "invalid engram request: "+err.Invalid())
	default:
		return again("ENGRAM_BACKEND", "engram failed: "+err.Backend())
	}
}

// again is a failure that may pass.
func again(code, message string) *Failure {
	return &Failure{Code: code, Message: message, Recoverable: true}
}
