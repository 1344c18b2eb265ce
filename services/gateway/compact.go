package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
)

const compactPath = "/v1/" + string(run.Compact)

// compact is POST /v1/responses/compact: a request of one model call, whose answer is a shorter history. It takes what create takes, as
// far as it says which history and which model.
func (s *server) compact(x *exchange, r *http.Request) error {
	body, err := s.readBody(x, r)
	if err != nil {
		return err
	}
	if !s.seals.Any() {
		f := fault.NotFound("Histories are not compacted here: this server has no key to seal them with.")
		f.Code = "compaction_not_configured"
		return f
	}
	return s.callOnHistory(x, r, body, run.Compact, (*responses.Create).CompactRefusal)
}

// refuseCompaction says what of a request's compactions cannot be had; nil when all can.
func (s *server) refuseCompaction(who principal, c *responses.Create) error {
	for i, it := range c.Input {
		at := fmt.Sprintf("input[%d]", i)
		switch {
		case it.Type != compaction.Trigger:
		case i < len(c.Input)-1:
			return fault.Invalid(at, "invalid_value", fmt.Sprintf("Invalid value: '%s' of the type '%s' must be the final input item.", at, it.Type))
		case !s.seals.Any():
			return unsupported(at, fmt.Sprintf("Unsupported parameter: '%s': this server has no key to seal a shorter history with.", at))
		}
	}
	if c.CompactThreshold > 0 && !s.seals.Any() {
		return unsupported("context_management", "Unsupported parameter: 'context_management': this server has no key to seal a shorter history with.")
	}
	return s.opens(who.tenant, "input", c.Input)
}

// opens refuses items that claim to be compactions of the tenant's and are not. Their content stays sealed until a model is called.
func (s *server) opens(tenant, param string, items []item.Item) error {
	for i, it := range items {
		if it.Type != compaction.Item {
			continue
		}
		_, err := s.seals.Open(tenant, it.Encrypted())
		at := fmt.Sprintf("%s[%d].encrypted_content", param, i)
		switch {
		case err == nil:
		case errors.Is(err, compaction.ErrNoKey), errors.Is(err, compaction.ErrSealed):
			return fault.Invalid(at, "invalid_encrypted_content", fmt.Sprintf(
				"The encrypted content of '%s' could not be verified: it was not made by this server for you, or too long ago.", at))
		default:
			return fmt.Errorf("open a compaction item: %w", err)
		}
	}
	return nil
}
