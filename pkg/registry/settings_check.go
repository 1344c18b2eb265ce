package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/suggest"
)

const (
	maxHeaders   = 32
	maxBodyBytes = 64 << 10
)

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	versionRe  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// reservedHeaders are Windlass's own; a credential belongs into credential.
var reservedHeaders = []string{
	"Accept", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host",
	"Idempotency-Key", "Proxy-Authorization", "Te", "Traceparent", "Trailer", "Transfer-Encoding", "Upgrade",
}

// reservedMembers are what a request is about or what a budget bounds.
var reservedMembers = []string{
	"model", "messages", "input", "prompt", "instructions", "tools", "tool_choice", "functions",
	"function_call", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens",
	"max_output_tokens", "store", "background", "previous_response_id", "conversation",
}

func (c *checker) settings(at string, u Upstream) {
	s := u.Settings
	if _, ok := profiles[s.Profile]; s.Profile != "" && !ok {
		c.fault(at+".profile", "is %q, %s", s.Profile, nearest(s.Profile, Profiles()))
	}
	c.choice(at+".developer_role", s.DeveloperRole, RoleDeveloper, RoleSystem, RoleMerge, RoleUser)
	c.choice(at+".max_tokens_field", s.MaxTokensField, MaxTokens, MaxCompletionTokens)
	c.choice(at+".stream", string(s.Stream), string(On), string(Off))
	c.choice(at+".stream_options", string(s.StreamOptions), string(On), string(Off))
	c.choice(at+".strict", string(s.Strict), string(On), string(Off))
	c.choice(at+".parallel_tool_calls", string(s.ParallelToolCalls), string(On), string(Off))
	c.choice(at+".empty_content", s.EmptyContent, ContentNull, ContentText)
	c.choice(at+".reasoning_field", s.ReasoningField, ReasoningContent, Reasoning, ReasoningNone)
	c.choice(at+".call_ids", s.CallIDs, CallIDsAny, CallIDsNine)
	c.choice(at+".tool_name", string(s.ToolName), string(On), string(Off))
	c.choice(at+".idempotency_key", string(s.IdempotencyKey), string(On), string(Off))
	if s.APIVersion != "" && !versionRe.MatchString(s.APIVersion) {
		c.fault(at+".api_version", "is %q, want 1 to 64 of a-z, A-Z, 0-9, ., _ and -", s.APIVersion)
	}
	if s.KeyHeader != "" {
		c.keyHeader(at+".key_header", s.KeyHeader)
	}
	c.headers(at+".headers", s)
	c.body(at+".body", s.Body)
}

func (c *checker) choice(at, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		c.fault(at, "is %q, %s", value, nearest(value, known))
	}
}

func (c *checker) keyHeader(at, name string) {
	if !headerName.MatchString(name) {
		c.fault(at, "is %q, which is no name of a header", name)
	} else if key := http.CanonicalHeaderKey(name); key != Authorization && slices.Contains(reservedHeaders, key) {
		c.fault(at, "is %q, which Windlass sets itself", name)
	}
}

// headers never quotes a value: people paste secrets there.
func (c *checker) headers(at string, s Settings) {
	if len(s.Headers) > maxHeaders {
		c.fault(at, "has %d headers, want at most %d", len(s.Headers), maxHeaders)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		place := at + "." + name
		key := http.CanonicalHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			c.fault(at, "has %q, which is no name of a header", name)
		case key == Authorization:
			c.fault(place, "holds a credential; use credential and key_header")
		case slices.Contains(reservedHeaders, key):
			c.fault(place, "is set by Windlass itself")
		case strings.EqualFold(name, s.KeyHeader):
			c.fault(place, "is the header of the credential, by key_header")
		case strings.ContainsFunc(s.Headers[name], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			c.fault(place, "has a control character in its value")
		}
	}
}

func (c *checker) body(at string, m Members) {
	if len(m) == 0 {
		return
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(m, &all); err != nil || all == nil {
		c.fault(at, "is no mapping")
		return
	}
	if len(m) > maxBodyBytes {
		c.fault(at, "has %d bytes as JSON, want at most %d", len(m), maxBodyBytes)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(reservedMembers, name) {
			c.fault(at+"."+name, "is decided by each request and cannot be set for all of them")
		}
	}
}

// suggest names the value that is meant most likely, and all that there are.
func nearest(value string, known []string) string {
	want := "want one of " + strings.Join(known, ", ")
	if meant := suggest.Names(value, known); len(meant) > 0 {
		return fmt.Sprintf("did you mean %s? %s", meant[0], want)
	}
	return want
}
