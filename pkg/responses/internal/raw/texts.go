package raw

import (
	"maps"
	"slices"
)

// AppendTexts appends m as a JSON object of strings, by name, so that equal
// maps give equal bytes.
func AppendTexts(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendText(dst, name)
		dst = append(dst, ':')
		dst = AppendText(dst, m[name])
	}
	return append(dst, '}')
}
