package soma

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Kind is what an input's field can be read as; a uint32 is a whole number,
// written without a fraction.
type Kind interface {
	string | bool | float64 | uint32 | []any | map[string]any
}

// Field is the value under a key of an input object. What is missing or of
// another kind is refused as INVALID_INPUT with the place. `path` says where the
// object is: "input", "input.document".
func Field[T Kind](object map[string]any, path, key string) (T, error) {
	var none T
	value, there := object[key]
	if !there {
		return none, Fail("INVALID_INPUT", fmt.Sprintf("%s: missing field `%s`", path, key))
	}
	fitting, fits := as[T](value)
	if !fits {
		what := fmt.Sprintf("invalid type: %s, expected %s", told(value), expected(none))
		return none, Fail("INVALID_INPUT", fmt.Sprintf("%s.%s: %s", path, key, what))
	}
	return fitting, nil
}

// FieldOr is as Field, for a key that may be missing.
func FieldOr[T Kind](object map[string]any, path, key string, otherwise T) (T, error) {
	if _, there := object[key]; !there {
		return otherwise, nil
	}
	return Field[T](object, path, key)
}

func as[T Kind](value any) (T, bool) {
	var wanted T
	number, isNumber := value.(json.Number)
	switch any(wanted).(type) {
	case uint32:
		whole, err := strconv.ParseUint(string(number), 10, 32)
		wanted, _ = any(uint32(whole)).(T)
		return wanted, isNumber && err == nil
	case float64:
		real, err := number.Float64()
		wanted, _ = any(real).(T)
		return wanted, isNumber && err == nil
	default:
		fitting, fits := value.(T)
		return fitting, fits
	}
}

func expected(kind any) string {
	switch kind.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case uint32:
		return "a whole number from 0 to 4294967295"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func told(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("boolean `%t`", value)
	case json.Number:
		if _, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return fmt.Sprintf("integer `%s`", value)
		}
		return fmt.Sprintf("floating point `%s`", value)
	case string:
		return "string " + strconv.Quote(value)
	case []any:
		return "sequence"
	default:
		return "map"
	}
}
