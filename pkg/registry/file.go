package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// File is a registry as written: the shape of the YAML file, or what a program
// hands to New. Zero fields take their defaults.
type File struct {
	Models  []Model  `yaml:"models"`
	Tools   []Tool   `yaml:"tools"`
	Limits  Limits   `yaml:"limits"`
	Tenants []Tenant `yaml:"tenants"`
}

// Model is one model that a request may name.
type Model struct {
	// Name is what requests say. "*" serves every name that is not listed, and
	// hands that name to the upstream.
	Name string `yaml:"name"`
	// Upstream is where the model is served.
	Upstream Upstream `yaml:"upstream"`
	// Lane is the queue of the model's calls, by default one of its own. Models
	// of one lane share its slots.
	Lane string `yaml:"lane"`
	// Concurrency is the lane's number of calls in flight, 1 to 10000, default
	// 64. It needs to be set on one model of a lane only.
	Concurrency int `yaml:"concurrency"`
	// Timeout bounds one call, default 10 minutes.
	Timeout time.Duration `yaml:"timeout"`
	// Attempts bounds the calls of one turn, 1 to 100, default 5.
	Attempts int `yaml:"attempts"`
}

// Upstream is a model server.
type Upstream struct {
	// URL is the API's base, as SDKs take it: http://host:8000/v1.
	URL string `yaml:"url"`
	// Dialect is the API spoken there to answer a response: Chat, the default,
	// or Responses. Requests that are one call, like embeddings, go to their
	// own endpoint below URL whatever it is.
	Dialect string `yaml:"dialect"`
	// NoEncryptedReasoning says that a Responses upstream must not be asked for
	// reasoning.encrypted_content, which OpenAI's refuses of models that do not
	// reason. Without it, what such a model thought is not shown to it again.
	NoEncryptedReasoning bool `yaml:"no_encrypted_reasoning"`
	// Credential is sent as a bearer token, if set.
	Credential Credential `yaml:"credential"`
	// Model is the upstream's name for the model, by default the same.
	Model string `yaml:"model"`
	// Settings say how requests to it are written, as far as they are set.
	Settings `yaml:",inline"`
}

// Origin identifies the model behind an upstream, without its address: 16
// hexadecimal digits of a hash. What an upstream attached to an answer is sent
// back only to the same origin.
func (u Upstream) Origin() string {
	sum := sha256.Sum256([]byte(u.Dialect + "\n" + u.URL + "\n" + u.Model))
	return hex.EncodeToString(sum[:8])
}

// The dialects of upstreams.
const (
	Chat      = "chat"      // chat completions
	Responses = "responses" // the Responses API itself
)

// Dialects returns the names of all dialects.
func Dialects() []string { return []string{Chat, Responses} }

// Effect says what a repeated call of a tool does.
type Effect string

// The effect classes of tools.
const (
	Idempotent  Effect = "idempotent"    // calling twice is as good as once
	AtLeastOnce Effect = "at_least_once" // the default; an Idempotency-Key tells repeats
	AtMostOnce  Effect = "at_most_once"  // attempted once, never again
)

// Tool is one tool that a model may call.
type Tool struct {
	// Name is what the model calls it: 1 to 64 of a-z, A-Z, 0-9, _ and -.
	Name string `yaml:"name"`
	// Description is what the model reads about it.
	Description string `yaml:"description"`
	// Parameters is the JSON Schema of its arguments, of type object, by
	// default the one of a tool that takes none.
	Parameters Schema `yaml:"parameters"`
	// Pool names the tool-runners that run it, default "default".
	Pool string `yaml:"pool"`
	// URL receives the arguments as a JSON body.
	URL string `yaml:"url"`
	// Method is POST (the default), PUT or PATCH.
	Method string `yaml:"method"`
	// Timeout bounds one call, default 1 minute.
	Timeout time.Duration `yaml:"timeout"`
	// Attempts bounds the calls of one step, 1 to 100, default 3; always 1
	// where the effect is at_most_once.
	Attempts int `yaml:"attempts"`
	// Effect says what a repeated call does.
	Effect Effect `yaml:"effect"`
	// Credential is sent as a bearer token, if set.
	Credential Credential `yaml:"credential"`
	// MaxOutputBytes bounds the output that the model gets, 1 to 786432,
	// default 262144.
	MaxOutputBytes int `yaml:"max_output_bytes"`
	// AllowPrivate lets the tool live on a loopback or private address.
	AllowPrivate bool `yaml:"allow_private"`
	// Models are those that are offered the tool, by the names that requests
	// say; nil: all.
	Models []string `yaml:"models"`

	arguments validator
}

// Limits are the budgets of one request. Hitting one ends it incomplete.
type Limits struct {
	// MaxTurns bounds the model calls, default 50.
	MaxTurns int `yaml:"max_turns"`
	// MaxToolCalls bounds the tool calls over all turns, default 1000.
	MaxToolCalls int `yaml:"max_tool_calls"`
	// MaxParallelToolCalls bounds the tool calls of one turn, default 128.
	MaxParallelToolCalls int `yaml:"max_parallel_tool_calls"`
	// MaxDepth bounds the levels of sub-agents, default 8.
	MaxDepth int `yaml:"max_depth"`
	// MaxTokens bounds input and output tokens over all turns; 0 is no bound.
	MaxTokens int `yaml:"max_tokens"`
	// MaxOutputBytes bounds what models and tools return over all turns,
	// default 64 MiB.
	MaxOutputBytes int `yaml:"max_output_bytes"`
	// Deadline bounds the time from acceptance to the answer, in the foreground
	// and in the background, default 1 hour.
	Deadline time.Duration `yaml:"deadline"`
}

const (
	defaultPool       = "default"
	maxConcurrency    = 10_000
	maxAttempts       = 100
	maxTimeout        = 24 * time.Hour
	maxDeadline       = 30 * 24 * time.Hour
	maxToolOutput     = 768 << 10 // with its envelope below NATS's max_payload of 1 MiB
	defaultToolOutput = 256 << 10
)

// fill sets what m leaves out, except the concurrency, which its lane decides.
func (m *Model) fill() {
	m.Upstream.Dialect = cmp.Or(m.Upstream.Dialect, Chat)
	if m.Name != wildcard {
		m.Upstream.Model = cmp.Or(m.Upstream.Model, m.Name)
	}
	m.Lane = cmp.Or(m.Lane, laneOf(m.Name))
	m.Timeout = cmp.Or(m.Timeout, 10*time.Minute)
	m.Attempts = cmp.Or(m.Attempts, 5)
}

func (t *Tool) fill() {
	t.Pool = cmp.Or(t.Pool, defaultPool)
	t.Method = cmp.Or(t.Method, "POST")
	t.Timeout = cmp.Or(t.Timeout, time.Minute)
	t.Effect = cmp.Or(t.Effect, AtLeastOnce)
	if t.Effect == AtMostOnce {
		t.Attempts = cmp.Or(t.Attempts, 1)
	}
	t.Attempts = cmp.Or(t.Attempts, 3)
	t.MaxOutputBytes = cmp.Or(t.MaxOutputBytes, defaultToolOutput)
	if len(t.Parameters) == 0 {
		t.Parameters = Schema(`{"type":"object","properties":{}}`)
	}
}

func (l *Limits) fill() {
	l.MaxTurns = cmp.Or(l.MaxTurns, 50)
	l.MaxToolCalls = cmp.Or(l.MaxToolCalls, 1000)
	l.MaxParallelToolCalls = cmp.Or(l.MaxParallelToolCalls, 128)
	l.MaxDepth = cmp.Or(l.MaxDepth, 8)
	l.MaxOutputBytes = cmp.Or(l.MaxOutputBytes, 64<<20)
	l.Deadline = cmp.Or(l.Deadline, time.Hour)
}
