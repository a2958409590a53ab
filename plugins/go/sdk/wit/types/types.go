// Package types has the types that generated bindings need: options and
// results, as the contract has them.
package types

// Discriminants of the canonical ABI.
const (
	OptionNone uint8 = 0
	OptionSome uint8 = 1
	ResultOk   uint8 = 0
	ResultErr  uint8 = 1
)

// Option is a value or nothing.
type Option[T any] struct {
	value *T
}

// Some is an option with a value.
func Some[T any](value T) Option[T] { return Option[T]{&value} }

// None is an option without one.
func None[T any]() Option[T] { return Option[T]{} }

// Tag is OptionSome or OptionNone.
func (option Option[T]) Tag() uint8 {
	if option.value == nil {
		return OptionNone
	}
	return OptionSome
}

// Some is the value of an option that has one.
func (option Option[T]) Some() T { return *option.value }

// Pointer is nil for an option without a value.
func (option Option[T]) Pointer() *T { return option.value }

// Of is the option of a pointer that may be nil.
func Of[T any](pointer *T) Option[T] { return Option[T]{pointer} }

// Result is a value or an error.
type Result[T any, E any] struct {
	failed bool
	ok     T
	err    E
}

// Ok is a result with a value.
func Ok[T any, E any](value T) Result[T, E] { return Result[T, E]{ok: value} }

// Err is a result with an error.
func Err[T any, E any](err E) Result[T, E] { return Result[T, E]{failed: true, err: err} }

// Tag is ResultOk or ResultErr.
func (result Result[T, E]) Tag() uint8 {
	if result.failed {
		return ResultErr
	}
	return ResultOk
}

// Ok is the value of a result that has one.
func (result Result[T, E]) Ok() T { return result.ok }

// Err is the error of a result that has one.
func (result Result[T, E]) Err() E { return result.err }
