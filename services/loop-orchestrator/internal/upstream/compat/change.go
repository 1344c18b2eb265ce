package compat

import (
	"cmp"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// Kind is what a change does.
type Kind string

// The kinds of changes. Name is what each is about.
const (
	Omit         Kind = "omit"          // leaves out a member of the body, or one of an object in it: text.verbosity
	OmitInTools  Kind = "omit_in_tools" // leaves out a member of each function: strict
	OmitInFormat Kind = "omit_in_format"
	OmitInItems  Kind = "omit_in_messages" // leaves out a member of each message
	OmitInCalls  Kind = "omit_in_calls"    // leaves out a member of each tool call
	OmitSealed   Kind = "omit_sealed"      // does not ask for encrypted reasoning
	Bound        Kind = "bound"            // Name is the member that bounds the answer
	Role         Kind = "role"             // Name is registry.RoleSystem, RoleMerge or RoleUser
	EmptyText    Kind = "empty_text"       // content beside tool calls is "", never null
	NineIDs      Kind = "nine_ids"         // ids of calls have 9 letters and digits
	ToolNames    Kind = "tool_names"       // results name their tool
)

// Change is one difference of an upstream. It is comparable.
type Change struct {
	Kind Kind
	Name string
}

// String names parameters only, so that it can be logged.
func (c Change) String() string {
	if c.Name == "" {
		return string(c.Kind)
	}
	return string(c.Kind) + " " + c.Name
}

// Compare orders changes by kind and name.
func Compare(a, b Change) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// The paths with changes, below the base URL.
const (
	chatPath      = "/chat/completions"
	responsesPath = "/responses"
	textPath      = "/completions"
)

// Request is a body for an upstream.
type Request struct {
	Path string // below the base URL
	Body []byte
	// IsClients reports whether a client wrote that member of the body. If it
	// is nil, Windlass wrote the body.
	IsClients func(name string) bool
}

func (r Request) isClients(name string) bool { return r.IsClients != nil && r.IsClients(name) }

func (r Request) responses() bool { return strings.HasPrefix(r.Path, responsesPath) }

// Settings returns the changes that an upstream's settings ask for. Only
// explicit settings and the profile change a client's own body, or a body for
// the Responses API, whose servers know its roles.
func Settings(u registry.Upstream, r Request) []Change {
	s := u.Effective()
	asked := s
	if r.IsClients != nil || r.responses() {
		asked = u.Written()
	}
	var all []Change
	add := func(when bool, kind Kind, name string) {
		if when {
			all = append(all, Change{kind, name})
		}
	}
	chat := r.Path == chatPath
	if !chat && !r.responses() && r.Path != textPath {
		return nil
	}
	add(s.Stream == registry.Off, Omit, "stream")
	add(s.Stream == registry.Off || s.StreamOptions == registry.Off, Omit, "stream_options")
	add(s.ParallelToolCalls == registry.Off, Omit, "parallel_tool_calls")
	add(s.Strict == registry.Off, OmitInTools, "strict")
	add(s.Strict == registry.Off, OmitInFormat, "strict")
	role := asked.DeveloperRole
	add(role != "" && role != registry.RoleDeveloper, Role, role)
	if chat {
		add(asked.MaxTokensField != "", Bound, asked.MaxTokensField)
		add(asked.EmptyContent == registry.ContentText, EmptyText, "")
		add(s.CallIDs == registry.CallIDsNine, NineIDs, "")
		add(s.ToolName == registry.On, ToolNames, "")
	}
	return all
}

// lastOfEach keeps the last of the changes that exclude each other.
func lastOfEach(changes []Change) []Change {
	var out []Change
	for _, c := range changes {
		if c.Kind == Bound || c.Kind == Role {
			out = slices.DeleteFunc(out, func(o Change) bool { return o.Kind == c.Kind })
		}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
