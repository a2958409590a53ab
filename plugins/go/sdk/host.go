package soma

import (
	clock "soma/contract/soma_neuron_clock"
	wire "soma/contract/soma_neuron_log"
	random "soma/contract/soma_neuron_random"
	synapse "soma/contract/soma_neuron_synapse"
	"soma/wit/runtime"
	wit "soma/wit/types"
)

// Level is how much a log line matters.
type Level uint8

// The levels of log lines.
const (
	Trace = Level(wire.LevelTrace)
	Debug = Level(wire.LevelDebug)
	Info  = Level(wire.LevelInfo)
	Warn  = Level(wire.LevelWarn)
	Error = Level(wire.LevelError)
)

// Log writes a line on the task's trace; fields may be nil.
func Log(level Level, message string, fields map[string]any) {
	text := "{}"
	if fields != nil {
		if json, err := toJSON("fields", fields); err == nil {
			text = json
		}
	}
	wire.Write(uint8(level), message, text)
}

// NowMS is the time in milliseconds since 1970, as the host has it: virtual
// under test.
func NowMS() uint64 { return clock.WallMs() }

// MonotonicNS is the time in nanoseconds since some fixed point; it never goes
// back.
func MonotonicNS() uint64 { return clock.MonotonicNs() }

// SleepMS waits. STOP and the task's deadline end it; nothing then resumes.
func SleepMS(milliseconds uint64) { clock.SleepMs(milliseconds) }

// RandomBytes is randomness as the host has it: seeded and repeatable under
// test. At most 65 536 at a time; more ends the neuron.
func RandomBytes(count uint32) []byte {
	bytes := random.Bytes(count)
	runtime.Unpin()
	return bytes
}

// RandomU64 is a number out of all 64-bit numbers.
func RandomU64() uint64 { return random.U64() }

// RandomUnit is a number in [0, 1).
func RandomUnit() float64 { return float64(RandomU64()>>11) / (1 << 53) }

// Emission is the type of a cognition signal.
type Emission uint8

// The types that a neuron may emit.
const (
	Plan         = Emission(synapse.EmissionTypePlan)
	MemoryAppend = Emission(synapse.EmissionTypeMemoryAppend)
	Escalation   = Emission(synapse.EmissionTypeEscalation)
	Consensus    = Emission(synapse.EmissionTypeConsensus)
	ContextSync  = Emission(synapse.EmissionTypeContextSync)
	Critique     = Emission(synapse.EmissionTypeCritique)
	Audit        = Emission(synapse.EmissionTypeAudit)
)

// Emit publishes a cognition signal whose parent is the task, with the keys of
// its type, and returns its id. Errors are a *Failure with the code
// EMIT_INVALID, EMIT_DENIED or EMIT_CANCELLED.
func Emit(kind Emission, payload map[string]any) (string, error) {
	text, err := toJSON("payload", payload)
	if err != nil {
		return "", err
	}
	sent := synapse.Emit(uint8(kind), text)
	runtime.Unpin()
	if sent.Tag() == wit.ResultOk {
		return sent.Ok(), nil
	}
	switch err := sent.Err(); err.Tag() {
	case synapse.EmitErrorInvalid:
		return "", Fail("EMIT_INVALID", "invalid signal: "+err.Invalid())
	case synapse.EmitErrorDenied:
		return "", Fail("EMIT_DENIED", "signal denied: "+err.Denied())
	default:
		return "", Fail("EMIT_CANCELLED", "the trace was stopped")
	}
}
