package gateway

import (
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

const compactPath = "/v1/" + string(run.Compact)

// compact is POST /v1/responses/compact: a request of one model call, whose
// answer is a shorter history. It takes what create takes, as far as it says
// which history and which model.
func (s *server) compact(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	if !s.rules.Seals.Any() {
		f := fault.NotFound("Histories are not compacted here: this server has no key to seal them with.")
		f.Code = "compaction_not_configured"
		return f
	}
	return s.callOnHistory(x, r, body, run.Compact, (*responses.Create).CompactRefusal)
}
