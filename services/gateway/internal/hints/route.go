package hints

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Routes are the patterns of an API, as http.ServeMux has them, with the
// methods that each answers.
type Routes map[string][]string

const (
	maxPath     = 500 // longer paths get no hint
	maxSegments = 8
)

// prefixes are those that base URLs of other servers end with.
var prefixes = []string{"/v1", "/api", "/openai", "/v2", "/v1beta"}

// others are paths of other APIs, without their prefix, and what does the same
// here.
var others = map[string]string{
	"/chat": "/v1/chat/completions", "/messages": "/v1/chat/completions", "/generate": "/v1/completions",
	"/embed": "/v1/embeddings", "/embedding": "/v1/embeddings", "/tags": "/v1/models", "/responses/create": "/v1/responses",
}

// Route says in a sentence which route a request for a path that is not there
// probably meant; "" if none is near.
func (routes Routes) Route(method, written string) string {
	clean := path.Clean("/" + written)
	if len(written) > maxPath || clean == "/" {
		return ""
	}
	tail := withoutPrefixes(clean)
	for _, p := range []string{clean, "/v1" + tail, tail, others[strings.ToLower(tail)]} {
		pattern, right := routes.match(p)
		if pattern == "" || right == written {
			continue
		}
		hint := "Did you mean " + routes.with(method, pattern, right) + "?"
		if "/v1"+tail != clean && strings.HasPrefix(right, "/v1/") {
			hint += " Check the base URL of the client: it ends with one /v1."
		}
		return hint
	}
	if near := routes.near(method, "/v1"+tail); len(near) > 0 {
		return "Did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// withoutPrefixes is a path behind all the prefixes that it begins with.
func withoutPrefixes(p string) string {
	for _, prefix := range prefixes {
		if len(p) > len(prefix) && strings.EqualFold(p[:len(prefix)], prefix) && p[len(prefix)] == '/' {
			return withoutPrefixes(p[len(prefix):])
		}
	}
	return p
}

// match returns the pattern that serves a path, and the path with the
// pattern's letters. A pattern without parameters goes first. "": none does.
func (routes Routes) match(p string) (pattern, right string) {
	segments := strings.Split(p, "/")
	for _, candidate := range slices.Sorted(maps.Keys(routes)) {
		fitted, ok := fit(strings.Split(candidate, "/"), segments)
		if !ok {
			continue
		}
		if !strings.Contains(candidate, "{") {
			return candidate, fitted
		}
		if pattern == "" {
			pattern, right = candidate, fitted
		}
	}
	return pattern, right
}

func fit(pattern, segments []string) (string, bool) {
	fitted := make([]string, 0, len(segments))
	for i, s := range pattern {
		switch {
		case i >= len(segments):
			return "", false
		case strings.HasSuffix(s, "...}") && segments[i] != "":
			return strings.Join(append(fitted, segments[i:]...), "/"), true
		case isParameter(s) && segments[i] != "":
			fitted = append(fitted, segments[i])
		case strings.EqualFold(s, segments[i]):
			fitted = append(fitted, s)
		default:
			return "", false
		}
	}
	return strings.Join(fitted, "/"), len(pattern) == len(segments)
}

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

// with is a path with the method that was asked for, or else those it has.
func (routes Routes) with(method, pattern, p string) string {
	if slices.Contains(routes[pattern], method) {
		return method + " " + p
	}
	return strings.Join(routes[pattern], " or ") + " " + p
}

// near returns the patterns nearest to a path.
func (routes Routes) near(method, p string) []string {
	segments := strings.Split(strings.ToLower(p), "/")
	if len(segments) > maxSegments {
		return nil
	}
	type scored struct {
		text  string
		score int
	}
	var found []scored
	for pattern, methods := range routes {
		s, ok := distance(strings.Split(pattern, "/"), segments)
		if !ok {
			continue
		}
		if !slices.Contains(methods, method) {
			s++
		}
		found = append(found, scored{routes.with(method, pattern, pattern), s})
	}
	slices.SortFunc(found, func(a, b scored) int { return cmp.Or(a.score-b.score, strings.Compare(a.text, b.text)) })
	var near []string
	for _, f := range found[:min(len(found), most)] {
		if f.score == found[0].score {
			near = append(near, f.text)
		}
	}
	return near
}

// apart is the number of letters by which a path's fixed segments differ from a
// pattern's; false: they differ by more than a slip.
func distance(pattern, segments []string) (int, bool) {
	if len(pattern) != len(segments) {
		return 0, false
	}
	total := 0
	for i, s := range pattern {
		if isParameter(s) {
			continue
		}
		if len(segments[i]) > maxWord {
			return 0, false
		}
		d := levenshtein.ComputeDistance(s, segments[i])
		if d > max(1, len(s)/3) {
			return 0, false
		}
		total += d
	}
	return total, true
}
