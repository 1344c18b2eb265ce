package responsesapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/apierror"
)

// maxItems bounds the items of one answer and the parts of one item.
const maxItems = 4096

// streamEvent is an event of a response.
type streamEvent struct {
	typ    string
	index  int // the upstream's index of the item; -1 if absent
	itemID string
	all    json.RawMessage
}

func (e streamEvent) member(name string) json.RawMessage { return rawjson.Member(e.all, name) }

// number returns an index of the event, or absent if the event has none.
func (e streamEvent) number(name string, absent int) int {
	n, err := strconv.Atoi(rawjson.Scalar(e.member(name)))
	if err != nil {
		return absent
	}
	return n
}

// stream collects the events of a response. The streamed outputs are the
// answer, and the response object of the last event completes them.
type stream struct {
	listen   model.Listen
	outputs  []*output
	byIndex  map[int]*output    // by the upstream's index; nil: not part of the answer
	byID     map[string]*output // by the upstream's item id; nil likewise
	unopened []unopenedItem
	answer   *model.Answer
}

// Stream reads a response that comes in events.
func (Dialect) Stream(listen model.Listen) model.Stream {
	return &stream{listen: listen, byIndex: map[int]*output{}, byID: map[string]*output{}}
}

// Event adds an event. Events of unknown types, and those after the last one,
// are ignored.
func (s *stream) Event(data []byte) error {
	if s.answer != nil {
		return nil
	}
	v, ok := rawjson.Valid(data)
	if !ok || rawjson.Kind(v) != '{' {
		return fmt.Errorf("%w: %d bytes that are no event of a response", model.ErrMalformed, len(data))
	}
	e := streamEvent{all: v}
	e.typ, e.itemID = rawjson.Text(e.member("type")), rawjson.Text(e.member("item_id"))
	e.index = e.number("output_index", -1)
	if p, ok := pieceEvents[e.typ]; ok {
		return s.addPiece(e, p)
	}
	switch e.typ {
	case "response.output_item.added":
		return s.openItem(e)
	case "response.output_item.done":
		return s.closeItem(e)
	case "response.content_part.added":
		return s.openPart(e)
	case "response.completed", "response.done":
		return s.endResponse(e, "completed")
	case "response.incomplete":
		return s.endResponse(e, "incomplete")
	case "response.failed", "response.cancelled", "response.error":
		if failure := rawjson.Member(e.member("response"), "error"); rawjson.IsSet(failure) {
			return apierror.Reported(apierror.Read(failure))
		}
		return apierror.Reported(apierror.Read(e.member("error")))
	case "error":
		return apierror.Reported(apierror.Read(data))
	case "":
		if rawjson.IsSet(e.member("error")) { // of a proxy
			return apierror.Reported(apierror.Read(data))
		}
	}
	return nil
}

// Done records that the upstream marked the end. If each output is done, only
// the last event is missing.
func (s *stream) Done() {
	open := func(o *output) bool { return o.done == nil }
	if s.answer != nil || len(s.outputs)+len(s.unopened) == 0 || slices.ContainsFunc(s.outputs, open) {
		return
	}
	if all, err := s.assemble(nil, false); err == nil {
		s.answer = &model.Answer{Outputs: all, Finish: model.Stopped}
	}
}

// Ended reports whether the last event has come.
func (s *stream) Ended() bool { return s.answer != nil }

// openItem opens the output of an item.
func (s *stream) openItem(e streamEvent) error {
	it := e.member("item")
	k, known, err := kindOf(it)
	if err != nil {
		return err
	}
	id := rawjson.Text(rawjson.Member(it, "id"))
	call := model.ToolCall{}
	if known && (k == model.Function || k == model.Custom) {
		call = readCall(it, k)
		known = call.Name != "" // otherwise it is opened when the name has come
	}
	if !known {
		s.nameOutput(nil, e.index, id)
		return nil
	}
	if o := s.byID[id]; id != "" && o != nil && o.kind == k { // repeated
		return nil
	}
	o, err := s.openOutput(k, call, e.index, id)
	if err != nil {
		return err
	}
	o.begun = it
	s.listen(o.delta(0, item.Part{}))
	return nil
}

func (s *stream) openOutput(k model.Kind, call model.ToolCall, place int, id string) (*output, error) {
	if len(s.outputs) >= maxItems {
		return nil, fmt.Errorf("%w: it has too many items", model.ErrMalformed)
	}
	call.Arguments = "" // they come in pieces
	o := &output{place: len(s.outputs), kind: k, call: call, id: id}
	s.outputs = append(s.outputs, o)
	s.nameOutput(o, place, id)
	return o, nil
}

// nameOutput records how the upstream refers to an item. A server that gives
// all items one index means the last one.
func (s *stream) nameOutput(o *output, place int, id string) {
	if place >= 0 {
		s.byIndex[place] = o
	}
	if id != "" {
		s.byID[id] = o
	}
}

// closeItem keeps an item that is complete.
func (s *stream) closeItem(e streamEvent) error {
	it := e.member("item")
	k, known, err := kindOf(it)
	if err != nil {
		return err
	}
	if !known {
		return nil
	}
	if o := s.findOutput(e, rawjson.Text(rawjson.Member(it, "id")), k); o != nil && o.done == nil {
		o.done = it
		return nil
	}
	if len(s.unopened) >= maxItems {
		return fmt.Errorf("%w: it has too many items", model.ErrMalformed)
	}
	place := e.index
	if place < 0 {
		place = len(s.unopened)
	}
	s.unopened = append(s.unopened, unopenedItem{place, it})
	return nil
}

// findOutput returns the output of a kind that an event refers to: by id, by
// index or, if the event has neither or they are of another kind, the last one
// that is not done. It returns nil if there is no such output.
func (s *stream) findOutput(e streamEvent, id string, k model.Kind) *output {
	byID, named := s.byID[id]
	byPlace, placed := s.byIndex[e.index]
	switch {
	case id != "" && byID != nil && byID.kind == k:
		return byID
	case e.index >= 0 && byPlace != nil && byPlace.kind == k:
		return byPlace
	case id != "" && named, e.index >= 0 && (!placed || byPlace == nil):
		return nil
	}
	for _, o := range slices.Backward(s.outputs) {
		if o.kind == k && o.done == nil {
			return o
		}
	}
	return nil
}

// isIgnored reports whether an event refers to an item that is not part of the
// answer.
func (s *stream) isIgnored(e streamEvent) bool {
	if o, named := s.byID[e.itemID]; e.itemID != "" && named {
		return o == nil
	}
	o, placed := s.byIndex[e.index]
	return e.index >= 0 && placed && o == nil
}

// endResponse completes the answer with the response object of the last event.
func (s *stream) endResponse(e streamEvent, status string) error {
	body := e.member("response")
	if !rawjson.IsSet(body) && len(s.outputs)+len(s.unopened) > 0 {
		body = json.RawMessage("{}")
	}
	r, err := parseResponse(body)
	if err != nil {
		return err
	}
	if len(r.output)+len(s.outputs)+len(s.unopened) == 0 && r.status != status {
		status = ""
	}
	finish, err := r.finish(status)
	if err != nil {
		return err
	}
	all, err := s.assemble(r.output, finish != model.Stopped)
	if err != nil {
		return err
	}
	s.answer = &model.Answer{Outputs: all, Usage: r.usage, Finish: finish}
	return nil
}

// Answer returns the complete answer.
func (s *stream) Answer() (model.Answer, error) {
	if s.answer == nil {
		return model.Answer{}, model.ErrBrokenOff
	}
	return *s.answer, nil
}
