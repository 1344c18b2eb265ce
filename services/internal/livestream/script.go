package livestream

import (
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/dispatch"
)

// Opening is the first events of a response's stream. They follow from the request alone, so that nobody has to write them and a
// client sees them at once.
func Opening(id uuid.UUID, request *responses.Create) []event.Event {
	r := responses.Response{
		ID: "resp_" + dispatch.BusID(id), Request: request, Status: run.InProgress, CreatedAt: dispatch.CreatedAt(id),
	}
	if !request.Background {
		return []event.Event{event.Response("response.created", r.JSON())}
	}
	r.Status = run.Queued
	object := r.JSON()
	return []event.Event{event.Response("response.created", object), event.Response("response.queued", object)}
}

// Replay is the stream of a response that nobody streamed, told at its end: everything but the terminal event. output is that of the
// final object.
func Replay(id uuid.UUID, request *responses.Create, output []item.Item) []event.Event {
	r := responses.Response{
		ID: "resp_" + dispatch.BusID(id), Request: request, Status: run.InProgress, CreatedAt: dispatch.CreatedAt(id),
	}
	events := append(Opening(id, request), event.Response("response.in_progress", r.JSON()))
	for i, it := range output {
		events = append(events, event.Replay(i, it)...)
	}
	return events
}

// Terminal is the last event of a stream: the final object, under the name that clients know for its status.
func Terminal(status run.Status, object []byte) event.Event {
	switch status {
	case run.Completed, run.Incomplete:
		return event.Response("response."+string(status), object)
	}
	return event.Response("response.failed", object) // there is no response.cancelled
}
