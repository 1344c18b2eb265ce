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

// most bounds the items of one answer and the parts of one item: more is a
// fault of the upstream.
const most = 4096

// frame is an event.
type frame struct {
	typ    string
	output int    // the upstream's place of the item; -1: it names none
	itemID string // of the item
	all    json.RawMessage
}

func (e frame) member(name string) json.RawMessage { return rawjson.Member(e.all, name) }

// number is a place; otherwise if the event names none.
func (e frame) number(name string, otherwise int) int {
	n, err := strconv.Atoi(rawjson.Word(e.member(name)))
	if err != nil {
		return otherwise
	}
	return n
}

// stream collects the events of one response. What was heard is the answer: the
// response object of the last event completes it.
type stream struct {
	listen   model.Listen
	heard    []*output
	at       map[int]*output    // by the upstream's place; nil: it is no part of the answer
	ids      map[string]*output // by the upstream's id of the item; nil as well
	finished []loosely
	answer   *model.Answer
}

// Stream reads a response that comes in events.
func (Dialect) Stream(listen model.Listen) model.Stream {
	return &stream{listen: listen, at: map[int]*output{}, ids: map[string]*output{}}
}

// Event takes an event. Those that nobody knows, and those behind the last one,
// say nothing.
func (s *stream) Event(data []byte) error {
	if s.answer != nil {
		return nil
	}
	v, ok := rawjson.Valid(data)
	if !ok || rawjson.Kind(v) != '{' {
		return fmt.Errorf("%w: %d bytes that are no event of a response", model.ErrMalformed, len(data))
	}
	e := frame{typ: rawjson.Text(rawjson.Member(v, "type")), all: v, itemID: rawjson.Text(rawjson.Member(v, "item_id"))}
	e.output = e.number("output_index", -1)
	if p, ok := pieces[e.typ]; ok {
		return s.piece(e, p)
	}
	switch e.typ {
	case "response.output_item.added":
		return s.open(e)
	case "response.output_item.done":
		return s.close(e)
	case "response.content_part.added":
		return s.openPart(e)
	case "response.completed", "response.done":
		return s.end(e, "completed")
	case "response.incomplete":
		return s.end(e, "incomplete")
	case "response.failed", "response.cancelled", "response.error":
		if told := rawjson.Member(e.member("response"), "error"); rawjson.Given(told) {
			return apierror.Reported(apierror.Read(told))
		}
		return apierror.Reported(apierror.Read(e.member("error")))
	case "error":
		return apierror.Reported(apierror.Read(data))
	case "":
		if rawjson.Given(e.member("error")) { // as proxies say it
			return apierror.Reported(apierror.Read(data))
		}
	}
	return nil
}

// Done takes the mark of the end: where each item that began is finished, only
// the last event is missing.
func (s *stream) Done() {
	open := func(o *output) bool { return o.done == nil }
	if s.answer != nil || len(s.heard)+len(s.finished) == 0 || slices.ContainsFunc(s.heard, open) {
		return
	}
	if all, err := s.assemble(nil, false); err == nil {
		s.answer = &model.Answer{Outputs: all, Finish: model.Stopped}
	}
}

// Ended tells whether the last event has come.
func (s *stream) Ended() bool { return s.answer != nil }

// open begins an item.
func (s *stream) open(e frame) error {
	it := e.member("item")
	k, known, err := kind(it)
	if err != nil {
		return err
	}
	id := rawjson.Text(rawjson.Member(it, "id"))
	call := model.ToolCall{}
	if known && (k == model.Function || k == model.Custom) {
		call = readCall(it, k)
		known = call.Name != "" // it is told when the name is there
	}
	if !known {
		s.name(nil, e.output, id)
		return nil
	}
	if o := s.ids[id]; id != "" && o != nil && o.kind == k { // it is begun again
		return nil
	}
	o, err := s.begin(k, call, e.output, id)
	if err != nil {
		return err
	}
	o.begun = it
	s.listen(o.delta(0, item.Part{}))
	return nil
}

func (s *stream) begin(k model.Kind, call model.ToolCall, place int, id string) (*output, error) {
	if len(s.heard) >= most {
		return nil, fmt.Errorf("%w: it has too many items", model.ErrMalformed)
	}
	call.Arguments = "" // they come piece by piece
	o := &output{place: len(s.heard), kind: k, call: call, id: id}
	s.heard = append(s.heard, o)
	s.name(o, place, id)
	return o, nil
}

// name notes how the upstream calls an item. Servers that give all items one
// place speak of the last.
func (s *stream) name(o *output, place int, id string) {
	if place >= 0 {
		s.at[place] = o
	}
	if id != "" {
		s.ids[id] = o
	}
}

// close keeps an item that is complete.
func (s *stream) close(e frame) error {
	it := e.member("item")
	k, known, err := kind(it)
	if err != nil {
		return err
	}
	if !known {
		return nil
	}
	if o := s.find(e, rawjson.Text(rawjson.Member(it, "id")), k); o != nil && o.done == nil {
		o.done = it
		return nil
	}
	if len(s.finished) >= most {
		return fmt.Errorf("%w: it has too many items", model.ErrMalformed)
	}
	place := e.output
	if place < 0 {
		place = len(s.finished)
	}
	s.finished = append(s.finished, loosely{place, it})
	return nil
}

// find is the item of a kind that an event speaks of: by its id, by its place
// or, if the event names neither, or an item of another kind, the last one that
// is not complete. nil: none.
func (s *stream) find(e frame, id string, k model.Kind) *output {
	byID, named := s.ids[id]
	byPlace, placed := s.at[e.output]
	switch {
	case id != "" && byID != nil && byID.kind == k:
		return byID
	case e.output >= 0 && byPlace != nil && byPlace.kind == k:
		return byPlace
	case id != "" && named, e.output >= 0 && (!placed || byPlace == nil):
		return nil
	}
	for _, o := range slices.Backward(s.heard) {
		if o.kind == k && o.done == nil {
			return o
		}
	}
	return nil
}

// ignored tells whether an event speaks of an item that is no part of the
// answer.
func (s *stream) ignored(e frame) bool {
	if o, named := s.ids[e.itemID]; e.itemID != "" && named {
		return o == nil
	}
	o, placed := s.at[e.output]
	return e.output >= 0 && placed && o == nil
}

// end takes the response object.
func (s *stream) end(e frame, status string) error {
	body := e.member("response")
	if !rawjson.Given(body) && len(s.heard)+len(s.finished) > 0 {
		body = json.RawMessage("{}")
	}
	r, err := parse(body)
	if err != nil {
		return err
	}
	if len(r.output)+len(s.heard)+len(s.finished) == 0 && r.status != status {
		status = ""
	}
	finish, err := r.ending(status)
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

// Answer is what was said.
func (s *stream) Answer() (model.Answer, error) {
	if s.answer == nil {
		return model.Answer{}, model.ErrBrokenOff
	}
	return *s.answer, nil
}
