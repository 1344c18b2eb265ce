// Package suggest finds the names that an unknown name probably meant, for
// texts that say "did you mean". It knows the variants of model names: without
// owner, tag or punctuation.
package suggest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

const (
	most     = 3
	maxWord  = 100  // longer names are not compared letter by letter
	maxNames = 2000 // more are not compared
)

// Names returns up to 3 of the names that are similar to the written one, the
// most similar first.
func Names(written string, names []string) []string {
	type scored struct {
		name  string
		score int
	}
	var near []scored
	for _, name := range names[:min(len(names), maxNames)] {
		if s, ok := distance(strings.ToLower(written), strings.ToLower(name)); ok && name != written {
			near = append(near, scored{name, s})
		}
	}
	slices.SortFunc(near, func(a, b scored) int { return cmp.Or(a.score-b.score, strings.Compare(a.name, b.name)) })
	var best []string
	for _, n := range near[:min(len(near), most)] {
		best = append(best, n.name)
	}
	return best
}

// distance returns how different two names are; false if they are too
// different.
func distance(a, b string) (int, bool) {
	switch {
	case a == b:
		return 0, true
	case stem(a) == stem(b):
		return 1, true
	}
	if longest := max(len(a), len(b)); longest <= maxWord {
		d := min(levenshtein.ComputeDistance(a, b), levenshtein.ComputeDistance(stem(a), stem(b)))
		if d <= longest/3 {
			return 1 + d, true
		}
	}
	switch {
	case len(a) >= 3 && strings.HasPrefix(b, a), len(b) >= 3 && strings.HasPrefix(a, b):
		return 1 + maxWord, true
	case len(a) >= 4 && strings.Contains(b, a), len(b) >= 4 && strings.Contains(a, b):
		return 2 + maxWord, true
	}
	return 0, false
}

// stem returns a model's name without its owner, its tag and its punctuation:
// qwen38b of Qwen/Qwen3-8B:latest.
func stem(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	name, _, _ = strings.Cut(name, ":latest")
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_.: ", r) {
			return -1
		}
		return r
	}, name)
}
