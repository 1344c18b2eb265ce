package registry

import (
	"cmp"
	"maps"
)

// Compatible is the profile of servers that are not known: what most of them
// accept.
const Compatible = "compatible"

// defaults are the settings that neither the registry nor a profile has.
var defaults = Settings{
	DeveloperRole: RoleSystem, MaxTokensField: MaxTokens, StreamOptions: On, Strict: On, ParallelToolCalls: On,
	EmptyContent: ContentNull, ReasoningField: ReasoningNone, CallIDs: CallIDsAny, IdempotencyKey: On, KeyHeader: Authorization,
}

// profiles are sets of settings by name.
var profiles = map[string]Settings{
	Compatible: {},
}

// Asked returns the settings that are written or that the profile has.
func (u Upstream) Asked() Settings {
	s := u.Settings
	s.Profile = cmp.Or(s.Profile, Compatible)
	return s.or(profiles[s.Profile])
}

// Effective returns the complete settings: those written, then the profile's,
// then the defaults.
func (u Upstream) Effective() Settings { return u.Asked().or(defaults) }

// or fills what s does not set.
func (s Settings) or(other Settings) Settings {
	s.Profile = cmp.Or(s.Profile, other.Profile)
	s.DeveloperRole = cmp.Or(s.DeveloperRole, other.DeveloperRole)
	s.MaxTokensField = cmp.Or(s.MaxTokensField, other.MaxTokensField)
	s.StreamOptions = cmp.Or(s.StreamOptions, other.StreamOptions)
	s.Strict = cmp.Or(s.Strict, other.Strict)
	s.ParallelToolCalls = cmp.Or(s.ParallelToolCalls, other.ParallelToolCalls)
	s.EmptyContent = cmp.Or(s.EmptyContent, other.EmptyContent)
	s.ReasoningField = cmp.Or(s.ReasoningField, other.ReasoningField)
	s.CallIDs = cmp.Or(s.CallIDs, other.CallIDs)
	s.IdempotencyKey = cmp.Or(s.IdempotencyKey, other.IdempotencyKey)
	s.APIVersion = cmp.Or(s.APIVersion, other.APIVersion)
	s.KeyHeader = cmp.Or(s.KeyHeader, other.KeyHeader)
	if len(other.Headers) > 0 {
		all := maps.Clone(other.Headers)
		maps.Copy(all, s.Headers)
		s.Headers = all
	}
	if len(s.Body) == 0 {
		s.Body = other.Body
	}
	return s
}
