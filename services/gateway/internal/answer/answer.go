// Package answer answers HTTP requests with the requests that they made: it
// accepts a request that is one model call, waits for the end of a request, and
// shows it.
//
// A request that is one model call is never stored: only the client that waits
// for it gets its answer. Its id is in a header, because the body's id is the
// upstream's (TestACallIsAnsweredWithWhatTheUpstreamSaid in package gateway).
package answer

import (
	"net/http"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

// RequestHeader names the request in every answer that comes from a model call.
// The form is the one of GET /v1/requests/{id}/steps.
const RequestHeader = "Windlass-Request-Id"

// Server answers exchanges with requests. It is safe for concurrent use.
type Server struct {
	gate    *admission.Gate
	waiters *wait.Waiters
	streams *stream.Server
}

// New returns an Answers.
func New(g *admission.Gate, w *wait.Waiters, s *stream.Server) *Server {
	return &Server{gate: g, waiters: w, streams: s}
}

// Call accepts a request that is one model call and answers with its end.
func (s *Server) Call(x *httpapi.Exchange, r *http.Request, n store.NewRequest) error {
	ended := s.waiters.Watch(n.ID) // before the row is written, so that its end is not missed
	defer s.waiters.Forget(n.ID)
	row, err := s.gate.Accept(r.Context(), x, &n)
	if err != nil {
		return err
	}
	x.Release(0)
	x.Header().Set(RequestHeader, run.CallID.Format(n.ID))
	s.gate.Dispatch(r.Context(), row)
	return s.Await(x, r, n, ended)
}

// StreamCall accepts a request that is one model call and sends the upstream's
// chunks as they come.
func (s *Server) StreamCall(x *httpapi.Exchange, r *http.Request, n store.NewRequest) error {
	reader, err := s.streams.Read(x.Who, n.ID) // before the row is written, so that no chunk is missed
	if err != nil {
		return err
	}
	defer reader.Close()
	row, err := s.gate.Accept(r.Context(), x, &n)
	if err != nil {
		return err
	}
	x.Release(0)
	x.Header().Set(RequestHeader, run.CallID.Format(n.ID))
	s.gate.Dispatch(r.Context(), row)
	return s.streams.FollowCall(x, r, n, reader)
}

// Await answers with the end of a request; see [wait.Waiters.Await].
func (s *Server) Await(x *httpapi.Exchange, r *http.Request, n store.NewRequest, ended <-chan struct{}) error {
	a, err := s.waiters.Await(r.Context(), n, ended)
	if err != nil {
		return err
	}
	return s.Show(x, a)
}

// Show answers with a request in its present state.
func (s *Server) Show(x *httpapi.Exchange, a *answers.Answer) error {
	if render.IsCall(a) {
		return s.showCall(x, a)
	}
	body, err := render.Response(a)
	if err != nil {
		return err
	}
	x.Send(http.StatusOK, body)
	return nil
}

// showCall answers with the end of a request that is one model call: the
// upstream's answer, its chunks if it was streamed, or an HTTP error.
func (s *Server) showCall(x *httpapi.Exchange, a *answers.Answer) error {
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
