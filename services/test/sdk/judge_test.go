package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"strconv"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/test/streamcheck"
)

// judge checks everything that a client received against the documents and the
// rules of streams. The recorder must be closed.
func judge(t *testing.T, exchanges []*exchange) {
	t.Helper()
	full := make(map[string][]byte) // the whole stream of a response, by its id
	for _, x := range exchanges {
		x.judge(t)
		if id := x.streamOf(); id != "" && x.whole && x.after() < 0 {
			full[id] = x.body.Bytes()
		}
	}
	for _, x := range exchanges {
		if id := x.streamOf(); id != "" {
			x.continues(t, full[id])
		}
	}
}

func (x *exchange) String() string {
	return x.request.Method + " " + x.request.URL.RequestURI() + " (answered " + strconv.Itoa(x.status) + ")"
}

func (x *exchange) kind() string {
	kind, _, err := mime.ParseMediaType(x.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

func (x *exchange) judge(t *testing.T) {
	t.Helper()
	switch {
	case x.socket != nil:
		x.judgeSocket(t)
		return
	case x.header.Get("X-Request-Id") == "":
		t.Errorf("%s: the answer has no x-request-id", x)
	}
	if x.kind() == "text/event-stream" {
		if strings.HasPrefix(x.request.URL.Path, "/v1/responses") {
			x.judgeStream(t)
		}
		return
	}
	if !x.whole {
		return // the client did not wait for it
	}
	openapitest.Answer(t, x.request, x.status, x.header, x.body.Bytes())
	x.judgeObject(t)
}

// judgeObject checks a body against the specification of its object type.
func (x *exchange) judgeObject(t *testing.T) {
	t.Helper()
	var object struct {
		Object  string
		Data    []json.RawMessage
		Deleted bool
	}
	if json.Unmarshal(x.body.Bytes(), &object) != nil {
		return // the OpenAPI document has the rules for anything else
	}
	switch {
	case object.Object == "response.compaction":
		if err := spectest.Compaction(t, x.body.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", x, err, x.body.Bytes())
		}
	case object.Object == "response" && !object.Deleted:
		if err := spectest.Response(t, x.body.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", x, err, x.body.Bytes())
		}
	case object.Object == "list" && x.request.URL.Path == "/v1/responses":
		for _, r := range object.Data {
			if err := spectest.Response(t, r); err != nil {
				t.Errorf("%s: %v\n%s", x, err, r)
			}
		}
	case object.Object == "list" && strings.HasSuffix(x.request.URL.Path, "items"):
		for _, item := range object.Data {
			if err := spectest.Item(t, item); err != nil {
				t.Errorf("%s: %v\n%s", x, err, item)
			}
		}
	}
}

func (x *exchange) judgeStream(t *testing.T) {
	t.Helper()
	frames, _ := streamcheck.Frames(x.body.Bytes())
	for _, f := range frames {
		if string(f.Data) == "[DONE]" {
			continue
		}
		if err := errors.Join(spectest.Event(t, f.Data), openapitest.Event(t, f.Data)); err != nil {
			t.Errorf("%s: %v\n%s", x, err, f.Data)
		}
	}
	var violations []streamcheck.Violation
	switch {
	case x.after() >= 0: // compared with the whole stream instead
	case x.whole:
		violations = streamcheck.Check(x.body.Bytes())
	default:
		violations = streamcheck.CheckStart(x.body.Bytes())
	}
	for _, v := range violations {
		t.Errorf("%s: %v", x, v)
	}
	if len(violations) > 0 {
		t.Logf("%s", x.body.Bytes())
	}
}

func (x *exchange) judgeSocket(t *testing.T) {
	t.Helper()
	_, down, err := x.socket.messages()
	if err != nil {
		t.Errorf("%s: %v", x, err)
	}
	for _, m := range down {
		var e struct{ Type string }
		err := json.Unmarshal(m, &e)
		switch {
		case err != nil:
		case e.Type == "error":
			spectest.Conforms(t, spectest.Schema(t, "WebSocketErrorEvent"), m)
		default:
			err = spectest.Event(t, m)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", x, err, m)
		}
	}
	violations := streamcheck.CheckSocket(down)
	for _, v := range violations {
		t.Errorf("%s: %v", x, v)
	}
	if len(violations) > 0 {
		t.Logf("%s", bytes.Join(down, []byte("\n")))
	}
}

// streamOf returns the id of the response whose events were streamed, "" if
// there were no events.
func (x *exchange) streamOf() string {
	if x.kind() != "text/event-stream" || !strings.HasPrefix(x.request.URL.Path, "/v1/responses") {
		return ""
	}
	if _, id, found := strings.Cut(x.request.URL.Path, "/v1/responses/"); found {
		return id
	}
	frames, _ := streamcheck.Frames(x.body.Bytes())
	if len(frames) == 0 {
		return ""
	}
	var created struct{ Response struct{ ID string } }
	_ = json.Unmarshal(frames[0].Data, &created) // an invalid first event has no id
	return created.Response.ID
}

// after returns the sequence number after which the client resumes, -1 for the
// whole stream.
func (x *exchange) after() int64 {
	n, err := strconv.ParseInt(x.request.URL.Query().Get("starting_after"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// continues compares a stream with the whole stream of the same response: to
// the byte, it is the requested part, or, if the client left, the start of it.
func (x *exchange) continues(t *testing.T, full []byte) {
	t.Helper()
	if full == nil {
		if x.after() >= 0 {
			t.Errorf("%s: the whole stream was never read, so that nothing says whether this is its end", x)
		}
		return
	}
	want := streamcheck.Tail(full, x.after())
	frames, _ := streamcheck.Frames(x.body.Bytes())
	got := streamcheck.Join(frames)
	if x.whole && !bytes.Equal(got, want) || !bytes.HasPrefix(want, got) {
		t.Errorf("%s: this is not the same part of the stream that was read before\ngot:\n%s\nwant:\n%s", x, got, want)
	}
}
