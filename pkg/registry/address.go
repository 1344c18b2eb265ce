package registry

import (
	"errors"
	"net/url"
	"strings"
)

// endpoints are the paths that people copy from examples into a base URL, the
// longest first.
var endpoints = []string{
	"/responses/input_tokens", "/chat/completions", "/completions", "/embeddings", "/responses", "/models",
}

// errAddress does not quote the URL: it may hold a password.
var errAddress = errors.New("the upstream's url is not a valid http or https URL")

// Endpoint returns the address of a path like /chat/completions below the
// upstream's base. It tolerates slashes at the end of the base, several slashes
// in a row, and a base that names an endpoint; a query of the base, like
// ?api-version=…, follows the path. An API version of the settings replaces
// that of the base.
func (u Upstream) Endpoint(path string) (string, error) {
	at, err := url.Parse(strings.TrimSpace(u.URL))
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" {
		return "", errAddress
	}
	base := cleanPath(at.EscapedPath())
	for _, end := range endpoints {
		if cut, ok := strings.CutSuffix(base, end); ok {
			base = cut
			break
		}
	}
	raw := base + cleanPath(path)
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return "", errAddress
	}
	at.Path, at.RawPath, at.Fragment, at.RawFragment = plain, raw, "", ""
	if version := u.Written().APIVersion; version != "" {
		query := at.Query()
		query.Set(apiVersion, version)
		at.RawQuery = query.Encode()
	}
	return at.String(), nil
}

// cleanPath returns a path without empty segments: "", or one that begins with
// a slash and does not end with one.
func cleanPath(path string) string {
	var out strings.Builder
	for segment := range strings.SplitSeq(path, "/") {
		if segment != "" {
			out.WriteByte('/')
			out.WriteString(segment)
		}
	}
	return out.String()
}
