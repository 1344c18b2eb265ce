// Package origins decides which web pages may call the API from a browser.
//
// An origin is what browsers send of a page: scheme, host and port. A [List]
// allows them by name or by pattern, and [List.Handler] adds the CORS headers
// to every answer and answers preflights, which carry no key, by itself.
// Credentials in the sense of CORS (cookies) are never allowed: the API's only
// credential is the key in a header, so that a page can do nothing without one.
package origins

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// maxAge is how long a browser may remember the answer to a preflight, in
// seconds: the most that Chromium takes.
const maxAge = 7200

// exposed are the headers of answers that a page may read.
var exposed = []string{
	"X-Request-Id",
	"Windlass-Request-Id",
	"Idempotent-Replayed",
	"Retry-After",
	"Retry-After-Ms",
	"X-Should-Retry",
	"Allow",
	"X-Ratelimit-Limit-Requests",
	"X-Ratelimit-Remaining-Requests",
	"X-Ratelimit-Reset-Requests",
	"X-Ratelimit-Limit-Tokens",
	"X-Ratelimit-Remaining-Tokens",
	"X-Ratelimit-Reset-Tokens",
	"Openai-Model",
	"Openai-Organization",
	"Openai-Processing-Ms",
	"Openai-Version",
}

// List is a set of origins. It is immutable and safe for concurrent use; the
// zero List allows none.
type List struct {
	any      bool
	patterns []pattern
}

// pattern is one entry of a list.
type pattern struct {
	scheme, host, port string
	subdomains         bool // of host, and not host itself
	anyPort            bool
}

// Loopback is the entry that stands for pages of the machine itself, on any
// port.
const Loopback = "loopback"

var loopback = []string{
	"http://localhost:*", "https://localhost:*", "http://*.localhost:*", "https://*.localhost:*",
	"http://127.0.0.1:*", "https://127.0.0.1:*", "http://[::1]:*", "https://[::1]:*",
}

// Parse reads a list. Each entry is * (every origin), null (pages without an
// origin, like files and sandboxed frames), [Loopback], or
// scheme://host[:port], where the port may be * and the host may begin with
// "*." for all its subdomains. Empty entries are ignored. The error names the
// entry and what to write.
func Parse(entries []string) (List, error) {
	var l List
	for i := 0; i < len(entries); i++ {
		entry := strings.TrimSpace(entries[i])
		switch entry {
		case "":
			continue
		case "*":
			l.any = true
			continue
		case "null":
			l.patterns = append(l.patterns, pattern{scheme: "null"})
			continue
		case Loopback:
			entries = slices.Concat(entries, loopback)
			continue
		}
		p, err := parse(entry)
		if err != nil {
			return List{}, err
		}
		l.patterns = append(l.patterns, p)
	}
	return l, nil
}

func parse(entry string) (pattern, error) {
	scheme, rest, ok := strings.Cut(strings.ToLower(strings.TrimSuffix(entry, "/")), "://")
	if !ok {
		return pattern{}, fmt.Errorf("%q is not an origin: write it with its scheme, like http://%s or https://%[2]s",
			entry, entry)
	}
	p := pattern{scheme: scheme}
	rest, p.anyPort = strings.CutSuffix(rest, ":*")
	rest, p.subdomains = strings.CutPrefix(rest, "*.")
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.Hostname() == "" || u.Host != rest || strings.Contains(u.Host, "*") ||
		p.anyPort && u.Port() != "" {
		return pattern{}, fmt.Errorf("%q is not an origin: want scheme://host[:port] without a path, "+
			"like https://app.example.com, https://*.example.com or http://localhost:*", entry)
	}
	p.host, p.port = u.Hostname(), port(u)
	return p, nil
}

// port is the port of a URL, "" if it is the scheme's own.
func port(u *url.URL) string {
	switch u.Scheme + ":" + u.Port() {
	case "http:80", "https:443":
		return ""
	}
	return u.Port()
}

// Empty reports whether the list allows no origin at all.
func (l List) Empty() bool { return !l.any && len(l.patterns) == 0 }

// Allows reports whether pages of the origin, as a browser sends it, may call
// the API.
func (l List) Allows(origin string) bool {
	if l.any {
		return true
	}
	if origin == "null" {
		for _, p := range l.patterns {
			if p.scheme == "null" {
				return true
			}
		}
		return false
	}
	u, err := url.Parse(strings.ToLower(origin))
	if err != nil || u.Hostname() == "" || u.Path != "" || u.User != nil {
		return false
	}
	for _, p := range l.patterns {
		if p.matches(u) {
			return true
		}
	}
	return false
}

func (p pattern) matches(u *url.URL) bool {
	host := u.Hostname() == p.host
	if p.subdomains {
		host = strings.HasSuffix(u.Hostname(), "."+p.host)
	}
	return host && u.Scheme == p.scheme && (p.anyPort || port(u) == p.port)
}

// Handler adds the headers to the answers of next, errors included, and answers
// preflights of every path. preflight is called for those first.
func (l List) Handler(preflight func(http.ResponseWriter), next http.Handler) http.Handler {
	o := cors.Options{
		AllowedMethods:      []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders:      []string{"*"}, // those that the page asks for: SDKs add their own
		ExposedHeaders:      exposed,
		MaxAge:              maxAge,
		AllowPrivateNetwork: true, // a listed page of the Internet may call a Windlass in the user's own network
	}
	if l.any {
		o.AllowedOrigins = []string{"*"}
	} else {
		o.AllowOriginFunc = l.Allows
	}
	answer := cors.New(o).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsPreflight(r) {
			preflight(w)
		}
		answer.ServeHTTP(w, r)
	})
}

// IsPreflight reports whether a request is a browser's question whether a page
// may make another.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}
