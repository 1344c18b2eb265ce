package run_test

import (
	"testing"

	"windlass.dev/windlass/pkg/run"
)

// TestEndpoints holds the table: each endpoint has a row with work, and only
// responses run the loop.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	if got := len(run.Endpoints()); got != 6 {
		t.Errorf("there are %d endpoints, want 6", got)
	}
	for _, e := range run.Endpoints() {
		if !e.Known() || e.Work() == run.WorkUnknown || e.Path() != "/v1/"+string(e) {
			t.Errorf("%s: known %v, work %d, path %s", e, e.Known(), e.Work(), e.Path())
		}
		if e.IsResponse() != (e.Work() == run.WorkLoop) || e.IsResponse() != (e.Prefix() == run.ResponseID) {
			t.Errorf("%s: a response %v, work %d, prefix %s", e, e.IsResponse(), e.Work(), e.Prefix())
		}
	}
	for e, want := range map[run.Endpoint]struct{ relayed, streams bool }{
		run.Responses: {false, true}, run.Compact: {}, run.InputTokens: {},
		run.ChatCompletions: {true, true}, run.Completions: {true, true}, run.Embeddings: {true, false},
		"": {}, "responses/": {},
	} {
		if e.Relayed() != want.relayed || e.Streams() != want.streams {
			t.Errorf("%q: relayed %v, streams %v; want %+v", e, e.Relayed(), e.Streams(), want)
		}
	}
	if other := run.Endpoint("batches"); other.Known() || other.IsResponse() || other.Work() != run.WorkUnknown {
		t.Errorf("%s is known", other)
	}
}
