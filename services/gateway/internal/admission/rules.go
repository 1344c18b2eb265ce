package admission

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/capability"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/toolset"
)

// Rules decide what a request may ask for. They are safe for concurrent use.
type Rules struct {
	Registry *registry.Registry
	Models   *catalog.Models
	Seals    compaction.Keys
	MaxBody  int64 // in bytes
}

// allowed returns the registry with the tools that a principal may call.
func (r *Rules) allowed(who httpapi.Principal) *registry.Registry {
	if who.Tools == nil {
		return r.Registry
	}
	return r.Registry.Only(who.Tools)
}

// Narrow returns a body that names the tools that the key may use, in place of
// the request for all registered ones: the orchestrator does not know the key.
func (r *Rules) Narrow(who httpapi.Principal, body []byte) ([]byte, error) {
	if who.Tools == nil {
		return body, nil
	}
	var asked struct{ Model string }
	_ = json.Unmarshal(body, &asked) // a body with a fault is refused when it is decoded
	names := []string{}
	for _, t := range r.allowed(who).Tools() {
		if t.OfferedTo(asked.Model) {
			names = append(names, t.Name)
		}
	}
	narrowed, f := responses.WithAllowedTools(body, toolset.ServerLabel, names)
	switch {
	case f != nil:
		return nil, f
	case int64(len(narrowed)) > r.MaxBody:
		return nil, httpapi.TooLarge(r.MaxBody)
	}
	return narrowed, nil
}

// Understand decodes a body, refuses what the principal cannot use, and returns
// the model's lane.
func (r *Rules) Understand(who httpapi.Principal, body []byte) (c *responses.Create, lane string, err error) {
	c, f := responses.Decode(body)
	if f = hints.Misplaced(run.Responses, body, c, f); f != nil {
		return nil, "", f
	}
	model, f := r.Models.Find(who, c.Model)
	if f != nil {
		return nil, "", f
	}
	if f := cmp.Or(c.Refusal(), capability.Check(model.Upstream.Dialect, c)); f != nil {
		return nil, "", f
	}
	if err := toolset.Validate(c, r.allowed(who)); err != nil {
		var refusal *toolset.Refusal
		if errors.As(err, &refusal) {
			return nil, "", fault.Invalid(refusal.Param, refusal.Code, refusal.Message)
		}
		return nil, "", err
	}
	if err := r.checkCompaction(who, c); err != nil {
		return nil, "", err
	}
	return c, model.Lane, nil
}

// checkCompaction refuses a compaction that is asked for where there cannot be
// one.
func (r *Rules) checkCompaction(who httpapi.Principal, c *responses.Create) error {
	for i, it := range c.Input {
		at := fmt.Sprintf("input[%d]", i)
		switch {
		case it.Type != compaction.Trigger:
		case i < len(c.Input)-1:
			return fault.Invalid(
				at, "invalid_value",
				fmt.Sprintf("Invalid value: '%s' of the type '%s' must be the final input item.", at, it.Type),
			)
		case !r.Seals.Any():
			return httpapi.Unsupported(
				at,
				fmt.Sprintf("Unsupported parameter: '%s': this server has no key to seal a shorter history with.", at),
			)
		}
	}
	if c.CompactThreshold > 0 && !r.Seals.Any() {
		return httpapi.Unsupported(
			"context_management",
			"Unsupported parameter: 'context_management': this server has no key to seal a shorter history with.",
		)
	}
	return r.CheckSealed(who.Tenant, "input", c.Input)
}

// CheckSealed refuses compaction items that were not sealed for the tenant.
// Their content stays sealed until a model is called.
func (r *Rules) CheckSealed(tenant, param string, items []item.Item) error {
	for i, it := range items {
		if it.Type != compaction.Item {
			continue
		}
		_, err := r.Seals.Open(tenant, it.Encrypted())
		at := fmt.Sprintf("%s[%d].encrypted_content", param, i)
		switch {
		case err == nil:
		case errors.Is(err, compaction.ErrNoKey), errors.Is(err, compaction.ErrSealed):
			return fault.Invalid(at, "invalid_encrypted_content", fmt.Sprintf(
				"The encrypted content of '%s' could not be verified: it was not made by this server for you, or too long ago.",
				at,
			))
		default:
			return fmt.Errorf("open a compaction item: %w", err)
		}
	}
	return nil
}
