package sdk

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"windlass.dev/windlass/services/mock"
)

type goStream = ssestream.Stream[responses.ResponseStreamEventUnion]

// gathered returns every event of a stream.
func gathered(t *testing.T, stream *goStream) []responses.ResponseStreamEventUnion {
	t.Helper()
	defer func() { _ = stream.Close() }()
	var events []responses.ResponseStreamEventUnion
	for stream.Next() {
		events = append(events, stream.Current())
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if len(events) == 0 {
		t.Fatal("the stream has no event")
	}
	return events
}

func raw(events []responses.ResponseStreamEventUnion) []string {
	texts := make([]string, len(events))
	for i, e := range events {
		texts[i] = e.RawJSON()
	}
	return texts
}

// finished returns the final response of a stream. Its text is that of the
// deltas.
func finished(t *testing.T, events []responses.ResponseStreamEventUnion) responses.Response {
	t.Helper()
	end := events[len(events)-1]
	if end.Type != "response.completed" {
		t.Fatalf("the stream ends with %s", end.RawJSON())
	}
	var text strings.Builder
	for n, e := range events {
		if e.SequenceNumber != int64(n) {
			t.Errorf("event %d has the sequence number %d", n, e.SequenceNumber)
		}
		if e.Type == "response.output_text.delta" {
			text.WriteString(e.Delta)
		}
	}
	if text.String() != end.Response.OutputText() {
		t.Errorf("the deltas are %q, the text %q", text.String(), end.Response.OutputText())
	}
	return end.Response
}

func (g *goClient) stream(t *testing.T) {
	events := gathered(t, g.Responses.NewStreaming(t.Context(), g.params(mock.Plan{Text: "One two three."})))
	r := finished(t, events)
	if r.OutputText() != "One two three." {
		t.Errorf("the text is %q", r.OutputText())
	}
	if again := g.get(t, r.ID); again.RawJSON() != r.RawJSON() {
		t.Errorf("it is read as %s, the stream ended with %s", again.RawJSON(), r.RawJSON())
	}
}

func (g *goClient) streamFunctions(t *testing.T) {
	params := g.params(mock.Plan{Rounds: 1, Tool: "lookup", RawArguments: `{"number":"7"}`})
	params.Tools = []responses.ToolUnionParam{lookup()}
	events := gathered(t, g.Responses.NewStreaming(t.Context(), params))
	var arguments strings.Builder
	for _, e := range events {
		if e.Type == "response.function_call_arguments.delta" {
			arguments.WriteString(e.Delta)
		}
	}
	r := finished(t, events)
	if got := r.Output[0].AsFunctionCall().Arguments; got != `{"number":"7"}` || arguments.String() != got {
		t.Errorf("the arguments are %s, the deltas %s", got, arguments.String())
	}
}

func (g *goClient) streamTools(t *testing.T) {
	events := gathered(t, g.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{
		Model: "demo", Input: text("What is the weather in Paris and Tokyo?"), Tools: []responses.ToolUnionParam{hosted()},
	}))
	seen := map[string]int{}
	for _, e := range events {
		seen[e.Type]++
	}
	lists, calls := seen["response.mcp_list_tools.completed"], seen["response.mcp_call.completed"]
	if r := finished(t, events); lists != 1 || calls != 2 || len(r.Output) != 4 {
		t.Errorf("%d lists and %d calls ended, the output is %s", lists, calls, r.RawJSON())
	}
}

func (g *goClient) streamErrors(t *testing.T) {
	hot := g.params(mock.Plan{})
	hot.Temperature = openai.Float(9)
	stream := g.Responses.NewStreaming(t.Context(), hot)
	var e *openai.Error
	if stream.Next() || !errors.As(stream.Err(), &e) || e.StatusCode != http.StatusBadRequest {
		t.Errorf("a bad request is streamed with %v", stream.Err())
	}
	stream = g.Responses.NewStreaming(t.Context(), g.params(mock.Plan{ModelFaults: []mock.Fault{{Status: http.StatusUnprocessableEntity}}}))
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
	}
	if stream.Err() == nil && last.Type != "response.failed" {
		t.Errorf("a failure ends with %s and no error", last.RawJSON())
	}
}

// resume drops a background stream and resumes it at every sequence number.
// judge compares the recorder's bytes.
func (g *goClient) resume(t *testing.T) {
	params := g.params(mock.Plan{Text: "Turn by turn the load goes up.", TokenRate: 50})
	params.Background = param.NewOpt(true)
	live := g.Responses.NewStreaming(t.Context(), params)
	if !live.Next() {
		t.Fatal(live.Err())
	}
	id := live.Current().Response.ID
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	full := gathered(t, g.Responses.GetStreaming(t.Context(), id, responses.ResponseGetParams{})) // while it runs
	finished(t, full)
	for n := range len(full) {
		rest := g.Responses.GetStreaming(t.Context(), id, responses.ResponseGetParams{StartingAfter: param.NewOpt(int64(n))})
		var events []responses.ResponseStreamEventUnion
		for rest.Next() {
			events = append(events, rest.Current())
		}
		if diff := cmp.Diff(raw(full[n+1:]), raw(events)); diff != "" || rest.Err() != nil {
			t.Errorf("after %d: %v (-want +got):\n%s", n, rest.Err(), diff)
		}
	}
}
