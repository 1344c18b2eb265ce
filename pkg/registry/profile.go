package registry

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// The profiles.
const (
	Compatible = "compatible" // unknown servers: what most servers accept
	OpenAI     = "openai"
	Azure      = "azure"
	VLLM       = "vllm"
	LlamaCpp   = "llamacpp"
	Ollama     = "ollama"
	LMStudio   = "lmstudio"
	TGI        = "tgi"
	Mistral    = "mistral"
	Gemini     = "gemini"
	DeepSeek   = "deepseek"
	OpenRouter = "openrouter"
	Groq       = "groq"
)

// defaults are the settings that neither the registry nor a profile states.
var defaults = Settings{
	DeveloperRole:     RoleSystem,
	MaxTokensField:    MaxTokens,
	Stream:            On,
	StreamOptions:     On,
	Strict:            On,
	ParallelToolCalls: On,
	EmptyContent:      ContentNull,
	ReasoningField:    ReasoningNone,
	CallIDs:           CallIDsAny,
	ToolName:          Off,
	IdempotencyKey:    On,
	KeyHeader:         Authorization,
}

// profiles are sets of settings by name, documented in docs/models.md.
var profiles = map[string]Settings{
	Compatible: {},
	OpenAI:     {DeveloperRole: RoleDeveloper, MaxTokensField: MaxCompletionTokens},
	Azure:      {DeveloperRole: RoleDeveloper, MaxTokensField: MaxCompletionTokens, KeyHeader: "api-key"},
	VLLM:       {DeveloperRole: RoleMerge, MaxTokensField: MaxTokens, ReasoningField: Reasoning},
	LlamaCpp: {
		DeveloperRole:  RoleMerge,
		MaxTokensField: MaxTokens,
		EmptyContent:   ContentText,
		ReasoningField: ReasoningContent,
	},
	Ollama:   {DeveloperRole: RoleSystem, MaxTokensField: MaxTokens, ReasoningField: Reasoning},
	LMStudio: {DeveloperRole: RoleMerge, MaxTokensField: MaxTokens, EmptyContent: ContentText},
	TGI:      {DeveloperRole: RoleMerge, MaxTokensField: MaxTokens},
	Mistral:  {DeveloperRole: RoleMerge, MaxTokensField: MaxTokens, StreamOptions: Off, CallIDs: CallIDsNine},
	Gemini:   {DeveloperRole: RoleSystem, MaxTokensField: MaxTokens, ToolName: On},
	DeepSeek: {
		DeveloperRole:  RoleSystem,
		MaxTokensField: MaxTokens,
		EmptyContent:   ContentText,
		ReasoningField: ReasoningContent,
	},
	OpenRouter: {DeveloperRole: RoleSystem, MaxTokensField: MaxTokens, ReasoningField: Reasoning},
	Groq:       {DeveloperRole: RoleSystem, MaxTokensField: MaxCompletionTokens},
}

// Profiles returns the names of all profiles, sorted.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// hosts maps hosts to profiles. A name that begins with a dot stands for all
// hosts below it.
var hosts = []struct{ host, profile string }{
	{"api.openai.com", OpenAI},
	{".api.openai.com", OpenAI},
	{".openai.azure.com", Azure},
	{".services.ai.azure.com", Azure},
	{".cognitiveservices.azure.com", Azure},
	{"api.mistral.ai", Mistral},
	{"codestral.mistral.ai", Mistral},
	{"generativelanguage.googleapis.com", Gemini},
	{"aiplatform.googleapis.com", Gemini},
	{"-aiplatform.googleapis.com", Gemini},
	{"api.deepseek.com", DeepSeek},
	{"openrouter.ai", OpenRouter},
	{"api.groq.com", Groq},
}

// profileOf returns the profile that follows from an upstream's URL.
func profileOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return Compatible
	}
	name := strings.ToLower(u.Hostname())
	for _, h := range hosts {
		if name == h.host || strings.ContainsAny(h.host[:1], ".-") && strings.HasSuffix(name, h.host) {
			return h.profile
		}
	}
	if u.Port() == "11434" { // no other server is known to listen there
		return Ollama
	}
	return Compatible
}

// Written returns the settings that are written or that the profile states,
// without the defaults.
func (u Upstream) Written() Settings {
	s := u.Settings
	s.Profile = cmp.Or(s.Profile, profileOf(u.URL))
	s = s.or(profiles[s.Profile])
	if s.APIVersion == "" && s.Profile == Azure {
		s.APIVersion = azureVersion(u.URL)
	}
	return s
}

// azureVersion returns the API version for the addresses of Azure that need
// one: those of single deployments.
func azureVersion(address string) string {
	u, err := url.Parse(address)
	if err != nil || !strings.Contains(u.Path, "/deployments/") || u.Query().Has(apiVersion) {
		return ""
	}
	return "2024-10-21" // the newest that is not a preview
}

const apiVersion = "api-version"

// Effective returns the complete settings: those written, then those of the
// profile, then the defaults. Only APIVersion, Headers and Body can be zero.
func (u Upstream) Effective() Settings { return u.Written().or(defaults) }

// or fills fields of s that are not set.
func (s Settings) or(other Settings) Settings {
	s.DeveloperRole = cmp.Or(s.DeveloperRole, other.DeveloperRole)
	s.MaxTokensField = cmp.Or(s.MaxTokensField, other.MaxTokensField)
	s.Stream = cmp.Or(s.Stream, other.Stream)
	s.StreamOptions = cmp.Or(s.StreamOptions, other.StreamOptions)
	s.Strict = cmp.Or(s.Strict, other.Strict)
	s.ParallelToolCalls = cmp.Or(s.ParallelToolCalls, other.ParallelToolCalls)
	s.EmptyContent = cmp.Or(s.EmptyContent, other.EmptyContent)
	s.ReasoningField = cmp.Or(s.ReasoningField, other.ReasoningField)
	s.CallIDs = cmp.Or(s.CallIDs, other.CallIDs)
	s.ToolName = cmp.Or(s.ToolName, other.ToolName)
	s.IdempotencyKey = cmp.Or(s.IdempotencyKey, other.IdempotencyKey)
	s.KeyHeader = cmp.Or(s.KeyHeader, other.KeyHeader)
	return s
}
