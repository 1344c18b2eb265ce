package registry

import "fmt"

// Settings say how requests to an upstream are written, because servers differ
// in what they accept. A zero field is not set: the profile decides, and then
// the default. Upstream.Effective has every field.
type Settings struct {
	// Profile names a set of settings: see Profiles. By default it follows from
	// the URL's host, and is Compatible for unknown hosts.
	Profile string `yaml:"profile"`
	// DeveloperRole is the role of developer messages: RoleDeveloper,
	// RoleSystem (the default), RoleMerge or RoleUser.
	DeveloperRole string `yaml:"developer_role"`
	// MaxTokensField names the member of a chat completion that bounds the
	// answer: max_tokens (the default) or max_completion_tokens.
	MaxTokensField string `yaml:"max_tokens_field"`
	// Stream streams answers to clients that ask for a stream, by default On.
	// If Off, the upstream is asked for whole answers, and clients get their
	// events at the end.
	Stream Switch `yaml:"stream"`
	// StreamOptions asks for the usage of a stream, by default On.
	StreamOptions Switch `yaml:"stream_options"`
	// Strict sends strict of functions and of JSON schemas, by default On.
	Strict Switch `yaml:"strict"`
	// ParallelToolCalls sends parallel_tool_calls, by default On.
	ParallelToolCalls Switch `yaml:"parallel_tool_calls"`
	// EmptyContent is the content of an assistant message that has tool calls
	// and no text: ContentNull (the default) or ContentText.
	EmptyContent string `yaml:"empty_content"`
	// ReasoningField names the member of an assistant message that has the
	// reasoning of another upstream or a client: reasoning_content, reasoning,
	// or ReasoningNone (the default), which leaves it out. Reasoning of the
	// same upstream goes back under its own name.
	ReasoningField string `yaml:"reasoning_field"`
	// CallIDs limits the ids of tool calls: CallIDsAny (the default) or
	// CallIDsNine, 9 letters and digits.
	CallIDs string `yaml:"call_ids"`
	// ToolName sends the tool's name with its result, by default Off.
	ToolName Switch `yaml:"tool_name"`
	// IdempotencyKey sends the header Idempotency-Key, by default On.
	IdempotencyKey Switch `yaml:"idempotency_key"`
	// APIVersion is sent as the query's api-version, if set.
	APIVersion string `yaml:"api_version"`
	// KeyHeader is the header of the credential, by default Authorization with
	// a bearer token.
	KeyHeader string `yaml:"key_header"`
	// Headers are sent with each request.
	Headers map[string]string `yaml:"headers"`
	// Body has members that are added to chat completions and responses without
	// them.
	Body Members `yaml:"body"`
}

// The values of settings.
const (
	RoleDeveloper = "developer"
	RoleSystem    = "system"
	RoleMerge     = "merge" // one leading system message holds these and the system's
	RoleUser      = "user"  // as RoleMerge, but at the head of the first user message

	MaxTokens           = "max_tokens"
	MaxCompletionTokens = "max_completion_tokens"

	ContentNull = "none" // null
	ContentText = "text" // ""

	ReasoningContent = "reasoning_content"
	Reasoning        = "reasoning"
	ReasoningNone    = "none"

	CallIDsAny  = "any"
	CallIDsNine = "nine"

	Authorization = "Authorization"
)

// Switch is On, Off or not set.
type Switch string

// The values of a switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// UnmarshalYAML takes on, off, true and false.
func (s *Switch) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	switch v {
	case nil:
		*s = ""
	case true:
		*s = On
	case false:
		*s = Off
	default:
		*s = Switch(fmt.Sprint(v)) // checked later, with its position
	}
	return nil
}

// Members is a JSON object as text.
type Members []byte

// UnmarshalYAML takes the object written as YAML and keeps its keys in order.
func (m *Members) UnmarshalYAML(unmarshal func(any) error) error {
	return (*Schema)(m).UnmarshalYAML(unmarshal)
}
