package check

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Metadata reads up to 16 pairs of a key of up to 64 characters and a string of
// up to 512.
func Metadata(v raw.Value) (map[string]string, *Problem) {
	const pairs, keyLength, valueLength = 16, 64, 512
	if p := Type(v, raw.Object); p != nil {
		return nil, p
	}
	if n := v.Len(); n > pairs {
		return nil, OutOfRange("object_above_max_properties", "too many properties",
			"an object with at most "+strconv.Itoa(pairs)+" properties",
			"an object with "+strconv.Itoa(n)+" properties")
	}
	all := make(map[string]string, v.Len())
	for key, m := range v.Members() {
		name := string(key)
		if n := utf8.RuneCountInString(name); n > keyLength {
			return nil, Refuse("", "property_name_above_max_length", fmt.Sprintf(
				"Invalid property name in 'metadata': '%s' is too long. Expected a string with maximum length %d, "+
					"but got a string with length %d instead.", Excerpt(name), keyLength, n))
		}
		value, p := String(m, valueLength)
		if p != nil {
			return nil, p.In(name)
		}
		all[name] = value
	}
	return all, nil
}
