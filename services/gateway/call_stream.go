package gateway

import (
	"net/http"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// streamCall accepts a request that is one model call and sends the upstream's
// chunks as they come.
func (s *server) streamCall(x *httpapi.Exchange, r *http.Request, n store.NewRequest) error {
	reader, err := s.streams.Read(n.ID) // before the row is written, so that no chunk is missed
	if err != nil {
		return err
	}
	defer reader.Close()
	row, err := s.gate.Accept(r.Context(), x, &n)
	if err != nil {
		return err
	}
	x.Header().Set(callHeader, run.CallID.Format(n.ID))
	s.gate.Dispatch(r.Context(), row)
	return s.streams.FollowCall(x, r, n, reader)
}
