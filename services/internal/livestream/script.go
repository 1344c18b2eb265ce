package livestream

import (
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
)

// Opening returns the first events of a response's stream. They follow from the
// request alone, so a gateway sends them at once and no worker writes them.
func Opening(id uuid.UUID, request *responses.Create) []event.Event {
	r := responses.Response{
		ID: run.ResponseID.Format(id), Request: request, Status: run.InProgress, CreatedAt: run.CreatedAt(id),
	}
	if !request.Background {
		return []event.Event{event.Response("response.created", r.JSON())}
	}
	r.Status = run.Queued
	object := r.JSON()
	return []event.Event{event.Response("response.created", object), event.Response("response.queued", object)}
}

// Replay returns the events of a response that ended without a live stream,
// except the terminal one. output is that of the final object.
func Replay(id uuid.UUID, request *responses.Create, output []item.Item) []event.Event {
	r := responses.Response{
		ID: run.ResponseID.Format(id), Request: request, Status: run.InProgress, CreatedAt: run.CreatedAt(id),
	}
	events := append(Opening(id, request), event.Response("response.in_progress", r.JSON()))
	for i, it := range output {
		events = append(events, event.Replay(i, it)...)
	}
	return events
}

// Terminal is the last event of a stream: the final object, under the name that
// clients expect for its status.
func Terminal(status run.Status, object []byte) event.Event {
	switch status {
	case run.Completed, run.Incomplete:
		return event.Response("response."+string(status), object)
	}
	return event.Response("response.failed", object) // there is no response.cancelled
}
