// Package responseapi serves responses: it creates them, and reads, lists,
// cancels and deletes those that are stored.
//
//   - An id is given out only after the request's row is committed; from then
//     on GET finds it and it becomes terminal. A 503 without an id means that
//     the gateway does not know whether the row was written; one with an id
//     means that the request goes on.
//   - A cancel is final when it is answered: the row was terminal before the
//     first byte of the answer. Only background responses can be cancelled. To
//     cancel a response that has ended answers 200 with the final object, as
//     OpenAI does.
//   - With store=false only the client that waits gets the answer; to every
//     other request the id is unknown. A gateway that drains cancels such a
//     request and asks its client to send it again. background=true with
//     store=false is refused, as OpenAI does.
//   - DELETE of a response in flight answers 400; after a DELETE every request
//     for the id answers 404.
//   - GET serves foreground responses in flight too (OpenAI answers 404): that
//     is how a client finds its answer after a drain. It asks for the stream by
//     its query, or by {"stream": true} in a body, which openai-go's
//     GetStreaming sends.
//   - input_items lists what the request itself sent. Items without an id get
//     one from the request's id and their place.
//   - A list takes ids as places in time, not as entries that have to exist:
//     clients that delete what they have listed, or that the purge overtakes,
//     continue.
//   - GET /v1/responses/{id}/steps is ours; its times are RFC 3339 in UTC with
//     milliseconds, durations are milliseconds. What a model got is rebuilt
//     (package audit). A deleted history, and items that a size limit leaves
//     out, are named in input_notice.
package responseapi

import (
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/gateway/internal/wait"
	"windlass.dev/windlass/services/internal/compaction"
)

// Creator creates responses. It is safe for concurrent use.
type Creator struct {
	rules    *admission.Rules
	history  *history.Server
	gate     *admission.Gate
	waiters  *wait.Waiters
	streams  *stream.Server
	answers  *answer.Server
	deadline time.Duration
}

// CreatorOptions is what a Creator needs.
type CreatorOptions struct {
	Rules    *admission.Rules
	History  *history.Server
	Gate     *admission.Gate
	Waiters  *wait.Waiters
	Streams  *stream.Server
	Answers  *answer.Server
	Deadline time.Duration // of requests, from their accept on
}

// NewCreator returns a Creator.
func NewCreator(o CreatorOptions) *Creator {
	return &Creator{
		rules: o.Rules, history: o.History, gate: o.Gate, waiters: o.Waiters, streams: o.Streams, answers: o.Answers,
		deadline: o.Deadline,
	}
}

// Routes are the routes that make requests about responses.
func (s *Creator) Routes() httpapi.Routes {
	return httpapi.Routes{
		run.Responses.Path():   {http.MethodPost: s.create},
		run.Compact.Path():     {http.MethodPost: s.compact},
		run.InputTokens.Path(): {http.MethodPost: s.inputTokens},
	}
}

// Server serves stored responses. It is safe for concurrent use.
type Server struct {
	store         *store.Store
	stored        *answers.Store
	conversations *conversations.Store
	retention     *retention.Store
	bus           *bus.Bus
	waiters       *wait.Waiters
	canceller     *wait.Canceller
	streams       *stream.Server
	answers       *answer.Server
	seals         compaction.Keys
	tasks         *sync.WaitGroup
	log           *zap.Logger
}

// Options is what a ResponseServer needs.
type Options struct {
	Store         *store.Store
	Stored        *answers.Store
	Conversations *conversations.Store
	Retention     *retention.Store
	Bus           *bus.Bus
	Waiters       *wait.Waiters
	Canceller     *wait.Canceller
	Streams       *stream.Server
	Answers       *answer.Server
	Seals         compaction.Keys
	Tasks         *sync.WaitGroup // counts what outlives its handler
	Log           *zap.Logger
}

// New returns a ResponseServer.
func New(o Options) *Server {
	return &Server{
		store:         o.Store,
		stored:        o.Stored,
		conversations: o.Conversations,
		retention:     o.Retention,
		bus:           o.Bus,
		waiters:       o.Waiters,
		canceller:     o.Canceller,
		streams:       o.Streams,
		answers:       o.Answers,
		seals:         o.Seals,
		tasks:         o.Tasks,
		log:           o.Log,
	}
}

// Routes are the routes of stored responses.
func (s *Server) Routes() httpapi.Routes {
	return httpapi.Routes{
		"/v1/responses":                  {http.MethodGet: s.list},
		"/v1/responses/{id}":             {http.MethodGet: s.read, http.MethodDelete: s.delete},
		"/v1/responses/{id}/cancel":      {http.MethodPost: s.cancel},
		"/v1/responses/{id}/input_items": {http.MethodGet: s.inputItems},
		"/v1/responses/{id}/steps":       {http.MethodGet: s.steps},
	}
}
