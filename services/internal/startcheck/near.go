package startcheck

import (
	"cmp"
	"slices"
	"strings"
)

// Near are up to three of the names that look like a mistyped or shortened one,
// the nearest first.
func Near(name string, among []string) []string {
	const most = 3
	type scored struct {
		name  string
		score int
	}
	var all []scored
	want := plain(name)
	for _, n := range among {
		have := plain(n)
		distance := edits(want, have)
		switch {
		case want == "" || have == "":
			continue
		case strings.Contains(have, want), strings.Contains(want, have):
			distance = min(distance, 1)
		case distance > max(2, len(want)/4):
			continue
		}
		all = append(all, scored{n, distance})
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.name, b.name))
	})
	names := make([]string, 0, most)
	for _, s := range all[:min(len(all), most)] {
		names = append(names, s.name)
	}
	return names
}

// plain leaves out what people write differently.
func plain(name string) string {
	name = strings.ToLower(name)
	if len(name) > 256 {
		name = name[:256]
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_.:/ ", r) {
			return -1
		}
		return r
	}, name)
}

// edits is the Levenshtein distance of two texts, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
