package gateway

import (
	"net/http"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// showCall answers with the end of a request that is one model call: the
// upstream's answer, its chunks if it was streamed, or an HTTP error.
func (s *server) showCall(x *httpapi.Exchange, a *store.Answer) error {
	if a.Status == run.Completed && a.Streamed {
		return s.streams.ReplayEndedCall(x, a)
	}
	if a.Status == run.Completed && a.Final != nil {
		x.Send(http.StatusOK, a.Final)
		return nil
	}
	f, err := render.CallFault(a)
	if err != nil {
		return err
	}
	render.SendCallFault(x, f)
	return nil
}
