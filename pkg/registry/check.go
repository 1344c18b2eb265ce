package registry

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Fault is one error of a registry.
type Fault struct {
	File   string // empty if it was built by New
	Line   int    // from 1, with File
	Column int    // from 1, with File
	Path   string // models[0].upstream.url; empty if it is the file itself
	Reason string
}

// Error returns file:line:column: path reason.
func (f *Fault) Error() string {
	text := f.Reason
	if f.Path != "" {
		text = f.Path + " " + text
	}
	if f.File != "" {
		text = fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, text)
	}
	return text
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// New completes and checks a registry written in Go. It takes ownership of the
// file's slices. The error joins a *Fault for each error.
func New(file File) (*Registry, error) {
	r, faults := build(file)
	return r, join(faults)
}

func join(faults []*Fault) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// build returns the registry, or every fault of the file.
func build(file File) (*Registry, []*Fault) {
	c := checker{Registry: Registry{
		models:  map[string]Model{},
		tools:   map[string]Tool{},
		lanes:   laneWidths(file.Models),
		limits:  file.Limits,
		tenants: map[string]Tenant{},
	}}
	for i, m := range file.Models {
		c.model(fmt.Sprintf("models[%d]", i), m)
	}
	for i, t := range file.Tools {
		c.tool(fmt.Sprintf("tools[%d]", i), t)
	}
	c.budgets("limits")
	c.listTenants(file.Tenants)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return &c.Registry, nil
}

// laneWidths takes each lane's concurrency from the first model that states
// one.
func laneWidths(models []Model) map[string]int {
	const standard = 64
	lanes := map[string]int{}
	for _, m := range models {
		m.fill()
		if lanes[m.Lane] == 0 {
			lanes[m.Lane] = m.Concurrency
		}
	}
	for lane, width := range lanes {
		if width == 0 {
			lanes[lane] = standard
		}
	}
	return lanes
}

type checker struct {
	Registry
	faults []*Fault
}

func (c *checker) fault(path, format string, args ...any) {
	c.faults = append(c.faults, &Fault{Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (c *checker) model(at string, m Model) {
	if m.Name != wildcard && !modelName.MatchString(m.Name) {
		c.fault(at+".name", "is %q, want 1 to 256 characters without white space", m.Name)
	} else if _, ok := c.models[m.Name]; ok {
		c.fault(at+".name", "is %q, as another model's", m.Name)
	}
	m.fill()
	c.url(at+".upstream.url", m.Upstream.URL)
	if !slices.Contains(Dialects(), m.Upstream.Dialect) {
		c.fault(at+".upstream.dialect", "is %q, want %s", m.Upstream.Dialect, strings.Join(Dialects(), " or "))
	}
	if m.Upstream.NoEncryptedReasoning && m.Upstream.Dialect != Responses {
		c.fault(at+".upstream.no_encrypted_reasoning", "is only for the dialect %s", Responses)
	}
	c.credential(at+".upstream.credential", m.Upstream.Credential)
	c.settings(at+".upstream", m.Upstream)
	c.token(at+".lane", m.Lane)
	width := c.lanes[m.Lane]
	switch m.Concurrency {
	case 0, width:
		m.Concurrency = width
	default:
		c.fault(at+".concurrency", "is %d, but lane %s has %d by another model", m.Concurrency, m.Lane, width)
	}
	c.checkRange(at+".concurrency", m.Concurrency, 1, maxConcurrency)
	c.duration(at+".timeout", m.Timeout, maxTimeout)
	c.checkRange(at+".attempts", m.Attempts, 1, maxAttempts)
	c.models[m.Name] = m
}

func (c *checker) tool(at string, t Tool) {
	if c.token(at+".name", t.Name); c.tools[t.Name].Name != "" {
		c.fault(at+".name", "is %q, as another tool's", t.Name)
	}
	t.fill()
	var err error
	if t.arguments, err = t.Parameters.compile(); err != nil {
		c.fault(at+".parameters", "%v", err)
	}
	c.token(at+".pool", t.Pool)
	c.url(at+".url", t.URL)
	if !slices.Contains([]string{"POST", "PUT", "PATCH"}, t.Method) {
		c.fault(at+".method", "is %q, want POST, PUT or PATCH", t.Method)
	}
	c.duration(at+".timeout", t.Timeout, maxTimeout)
	c.checkRange(at+".attempts", t.Attempts, 1, maxAttempts)
	switch t.Effect {
	case Idempotent, AtLeastOnce:
	case AtMostOnce:
		if t.Attempts > 1 {
			c.fault(at+".attempts", "is %d, but an at_most_once tool is attempted once", t.Attempts)
		}
	default:
		c.fault(at+".effect", "is %q, want %s, %s or %s", t.Effect, Idempotent, AtLeastOnce, AtMostOnce)
	}
	c.credential(at+".credential", t.Credential)
	c.checkRange(at+".max_output_bytes", t.MaxOutputBytes, 1, maxToolOutput)
	c.modelNames(at+".models", t.Models)
	c.tools[t.Name] = t
}

func (c *checker) budgets(at string) {
	const most = 1 << 40
	l := &c.limits
	l.fill()
	c.checkRange(at+".max_turns", l.MaxTurns, 1, most)
	c.checkRange(at+".max_tool_calls", l.MaxToolCalls, 1, most)
	c.checkRange(at+".max_parallel_tool_calls", l.MaxParallelToolCalls, 1, most)
	c.checkRange(at+".max_depth", l.MaxDepth, 1, most)
	c.checkRange(at+".max_tokens", l.MaxTokens, 0, most)
	c.checkRange(at+".max_output_bytes", l.MaxOutputBytes, 1, most)
	c.duration(at+".deadline", l.Deadline, maxDeadline)
}

func (c *checker) checkRange(at string, n, least, most int) {
	if n < least || n > most {
		c.fault(at, "is %d, want %d to %d", n, least, most)
	}
}

func (c *checker) duration(at string, d, most time.Duration) {
	if d <= 0 || d > most {
		c.fault(at, "is %v, want more than 0 and at most %v", d, most)
	}
}

func (c *checker) token(at, name string) {
	if !legalToken.MatchString(name) {
		c.fault(at, "is %q, want 1 to 64 of a-z, A-Z, 0-9, _ and -", name)
	}
}

// url never quotes the URL, which may hold a password.
func (c *checker) url(at, text string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		c.fault(at, "is missing")
	case !strings.Contains(text, "://") && !strings.Contains(text, "@"):
		c.fault(at, "has no scheme; write http:// or https:// before it")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		c.fault(at, "is no http or https URL with a host")
	case u.User != nil:
		c.fault(at, "holds a user or password; use credential")
	case u.Fragment != "":
		c.fault(at, "has a fragment")
	}
}

// credential never quotes the reference, because people paste the secret itself
// there.
func (c *checker) credential(at string, ref Credential) {
	switch {
	case ref.Env != "" && ref.File != "":
		c.fault(at, "names both an environment variable and a file")
	case ref.Env != "" && !envName.MatchString(ref.Env):
		c.fault(at+".env", "is no name of an environment variable")
	case ref.File != "" && !filepath.IsAbs(ref.File):
		c.fault(at+".file", "is no absolute path")
	}
}
