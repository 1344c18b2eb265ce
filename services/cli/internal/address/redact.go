package address

import (
	"net/url"
	"strings"
)

// Redact returns a URL without user, password and query.
func Redact(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "the given URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// RedactToDial returns the URL that a server gives for itself as a client on
// this machine writes it, without user, password and query.
func RedactToDial(text string) string {
	redacted := Redact(text)
	scheme, rest, found := strings.Cut(redacted, "://")
	if !found {
		return redacted
	}
	host, _ := ToDial(rest)
	return scheme + "://" + host
}
