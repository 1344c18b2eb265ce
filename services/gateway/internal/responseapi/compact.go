package responseapi

import (
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// compact is POST /v1/responses/compact: a request of one model call, whose
// answer is a shorter history. Of the parameters of create it takes those that
// name the history and the model. It is not stored, because it is made to be
// sent back, and failures are HTTP errors, because OpenAI's object has no
// status.
func (s *Creator) compact(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	if !s.rules.Seals.Any() {
		f := fault.NotFound("Histories are not compacted here: this server has no key to seal them with.")
		f.Code = "compaction_not_configured"
		return f
	}
	return s.createCall(x, r, body, run.Compact, (*responses.Create).CompactRefusal)
}
