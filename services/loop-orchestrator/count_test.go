package looporchestrator

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/compaction"
)

func counts(body string) func(*store.NewRequest) {
	return func(n *store.NewRequest) { n.Endpoint, n.Body, n.Unstored = run.InputTokens, []byte(body), true }
}

// speaks makes the model's upstream one of another dialect.
func (s *stand) speaks(t *testing.T, dialect string) {
	t.Helper()
	m, _ := s.Registry.Model("m")
	m.Upstream.Dialect = dialect
	reg, err := registry.New(registry.File{
		Models: []registry.Model{m},
		Tools:  []registry.Tool{{Name: "t", Description: "A tool.", URL: "http://127.0.0.1:1/t", AllowPrivate: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Registry, s.caller.Registry = reg, reg
}

func TestTokensAreEstimatedWithoutACall(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.caller.Keys = seals(t)
	s.speaks(t, registry.Chat)
	sealed, err := s.caller.Keys.Seal("default", compaction.Content{Summary: "They met."})
	if err != nil {
		t.Fatal(err)
	}
	first := s.claimed(t, func(n *store.NewRequest) { n.Body = []byte(`{"model":"m","input":"hello world"}`) })
	if err := s.deliver(t.Context(), first, 1, false); err != nil {
		t.Fatal(err)
	}
	calls := s.calls.Load()
	count := func(body string, change ...func(*store.NewRequest)) int64 {
		t.Helper()
		row := s.claimed(t, append(change, counts(body))...)
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
		step := s.ended(t, row, run.Completed)
		var got struct {
			Object    string
			Tokens    int64 `json:"input_tokens"`
			Estimated bool
		}
		if err := json.Unmarshal(step.Output, &got); err != nil || got.Object != "response.input_tokens" || !got.Estimated {
			t.Errorf("%s is counted as %s, %v", body, step.Output, err)
		}
		if step.InputTokens != 0 || step.OutputTokens != 0 {
			t.Errorf("%s: the count has used %d and %d tokens, want none", body, step.InputTokens, step.OutputTokens)
		}
		return got.Tokens
	}
	hello := count(`{"model":"m","input":"hello world"}`)
	if hello != 9 {
		t.Errorf("hello world is %d tokens, want 9", hello)
	}
	for name, got := range map[string]int64{
		"instructions":    count(`{"model":"m","input":"hello world","instructions":"Be brief."}`),
		"a function":      count(`{"model":"m","input":"hello world","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}`),
		"registered ones": count(`{"model":"m","input":"hello world","tools":[{"type":"mcp","server_label":"windlass"}]}`),
		"a history": count(`{"model":"m","input":"hello world"}`, func(n *store.NewRequest) {
			n.Parent = first.ID
		}),
		"a compaction": count(`{"model":"m","input":[{"role":"user","content":"hello world"},{"type":"compaction","encrypted_content":"` + sealed + `"}]}`),
	} {
		if got < hello+5 || got > hello+200 {
			t.Errorf("with %s it is %d tokens, and without it %d", name, got, hello)
		}
	}
	if got := s.calls.Load(); got != calls {
		t.Errorf("the model was called %d times to count", got-calls)
	}
}

func TestTokensAreCountedByAnUpstreamThatCan(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.speaks(t, registry.Responses)
	var path string
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		_, _ = w.Write([]byte(`{"object":"response.input_tokens","input_tokens":77}`))
	}
	var body map[string]any
	s.see = func(b []byte) {
		if err := json.Unmarshal(b, &body); err != nil {
			t.Error(err)
		}
	}
	row := s.claimed(t, counts(`{"model":"m","input":"hi","instructions":"x","store":true,"metadata":{"a":"1"},"max_output_tokens":50,"temperature":1,`+
		`"include":["reasoning.encrypted_content"],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],"tool_choice":"required",`+
		`"reasoning":{"effort":"low"},"text":{"verbosity":"low"},"prompt_cache_key":"k","user":"u"}`))
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := string(s.ended(t, row, run.Completed).Output); got != `{"object":"response.input_tokens","input_tokens":77}` {
		t.Errorf("the answer is %s", got)
	}
	want := map[string]any{
		"model": "m", "instructions": "x", "tool_choice": "required", "reasoning": map[string]any{"effort": "low"}, "text": map[string]any{"verbosity": "low"},
		"input": []any{map[string]any{"type": "message", "role": "user", "content": []any{map[string]any{"type": "input_text", "text": "hi"}}}},
		"tools": []any{map[string]any{"type": "function", "name": "f", "parameters": map[string]any{"type": "object"}, "strict": false}},
	}
	if diff := cmp.Diff(want, body); diff != "" || path != "/responses/input_tokens" {
		t.Errorf("%s was asked (-want +got):\n%s", path, diff)
	}
}

func TestCountsThatFail(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	hi := `{"model":"m","input":"hi"}`
	for name, tt := range map[string]struct {
		dialect, body string
		answer        http.HandlerFunc
		code          string
		status        int
	}{
		"an image": {
			registry.Chat, `{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:x"}]}]}`, nil,
			"input_tokens_not_supported", 400,
		},
		"no such endpoint":     {registry.Responses, hi, status(404, `{"detail":"Not Found"}`), "input_tokens_not_supported", 400},
		"no such method":       {registry.Responses, hi, status(405, ``), "input_tokens_not_supported", 400},
		"no such model":        {registry.Responses, hi, status(404, `{"error":{"message":"No.","code":"model_not_found"}}`), "model_not_found", 404},
		"a fault of the body":  {registry.Responses, hi, status(400, `{"error":{"message":"No.","code":"bad_image"}}`), "bad_image", 400},
		"what cannot be given": {registry.Chat, `{"model":"m","input":[{"type":"web_search_call","id":"ws_1"}]}`, nil, "invalid_prompt", 0},
	} {
		s.speaks(t, tt.dialect)
		s.answer = tt.answer
		row := s.claimed(t, counts(tt.body))
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
		if why := run.ReadFailure(s.ended(t, row, run.Failed).Error); why.Code != tt.code || why.HTTPStatus != tt.status || tt.status == 400 && why.Own == nil {
			t.Errorf("%s: failed by %+v, want %s, %d", name, why, tt.code, tt.status)
		}
	}
	s.speaks(t, registry.Responses)
	s.answer = status(200, `{"output":[]}`) // another attempt may do better
	row := s.claimed(t, counts(hi))
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.look(t, row.ID); got.Status != run.InProgress || got.Attempt != 2 {
		t.Errorf("after a malformed answer the request is %+v, want it parked for another attempt", got)
	}
}
