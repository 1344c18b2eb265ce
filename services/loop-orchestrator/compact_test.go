package looporchestrator

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
)

func seals(t *testing.T) compaction.Keys {
	t.Helper()
	keys, err := compaction.ReadKeys("a secret of the tests")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func compacts(body string) func(*store.NewRequest) {
	return func(n *store.NewRequest) { n.Endpoint, n.Body, n.Unstored = run.Compact, []byte(body), true }
}

// says answers every call with a text that ends for a reason.
func (s *stand) says(text, finish string) {
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"` + text + `"},"finish_reason":"` + finish + `"}],"usage":{"prompt_tokens":30,"completion_tokens":4}}`))
	}
}

func TestACompactionIsOneStep(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.caller.Keys = seals(t)
	s.says("They met.", "stop")
	row := s.claimed(t, compacts(`{"model":"m","input":[{"role":"developer","content":"Be brief."},{"role":"user","content":"hi"},
		{"role":"assistant","content":"ho"},{"id":"msg_own","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:x"}]}]}`))
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	step := s.ended(t, row, run.Completed)
	if step.InputTokens != 30 || step.OutputTokens != 4 || s.calls.Load() != 1 {
		t.Errorf("the step has %d and %d tokens after %d calls", step.InputTokens, step.OutputTokens, s.calls.Load())
	}
	if err := spectest.Compaction(t, step.Output); err != nil {
		t.Error(err)
	}
	var got struct {
		ID, Object string
		CreatedAt  int64 `json:"created_at"`
		Output     []json.RawMessage
	}
	if err := json.Unmarshal(step.Output, &got); err != nil || len(got.Output) != 3 {
		t.Fatalf("the answer is %s, %v", step.Output, err)
	}
	id := run.Hex(row.ID)
	if got.ID != "resp_"+id || got.Object != "response.compaction" || got.CreatedAt != run.CreatedAt(row.ID).Unix() {
		t.Errorf("the answer is %s", step.Output)
	}
	for i, want := range []string{
		`{"type":"message","id":"msg_` + id + `_in0000","status":"completed","role":"user","content":[{"type":"input_text","text":"hi"}]}`,
		`{"type":"message","id":"msg_own","status":"completed","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:x","detail":"auto"}]}`,
	} {
		if string(got.Output[i]) != want {
			t.Errorf("item %d is\n%s\nwant\n%s", i, got.Output[i], want)
		}
	}
	var item struct {
		Type, ID  string
		Encrypted string `json:"encrypted_content"`
	}
	if err := json.Unmarshal(got.Output[2], &item); err != nil || item.Type != "compaction" || item.ID != "cmp_"+id+"00010002" {
		t.Errorf("the last item is %s, %v", got.Output[2], err)
	}
	content, err := s.caller.Keys.Open("default", item.Encrypted)
	if err != nil || content.Summary != "They met." || len(content.Kept) != 1 || content.Kept[0].Role != "developer" {
		t.Errorf("it holds %+v, %v", content, err)
	}
}

func TestWhatAModelIsShownOfACompaction(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.caller.Keys = seals(t)
	text, err := s.caller.Keys.Seal("default", compaction.Content{Summary: "They met."})
	if err != nil {
		t.Fatal(err)
	}
	item := `{"type":"compaction","encrypted_content":"` + text + `"}`
	var roles []string
	var last string
	s.see = func(body []byte) {
		var call struct {
			Messages []struct {
				Role    string
				Content string
			}
			Tools json.RawMessage
		}
		if err := json.Unmarshal(body, &call); err != nil {
			t.Error(err)
		}
		roles = nil
		for _, m := range call.Messages {
			summary := ""
			if strings.Contains(m.Content, "<conversation_summary>\nThey met.\n") {
				summary = "(summary)"
			}
			roles, last = append(roles, m.Role+summary), m.Content
		}
		if call.Tools != nil {
			t.Errorf("tools are offered: %s", call.Tools)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*store.NewRequest)
		want   []string
		asked  bool
	}{
		{
			"a response", func(n *store.NewRequest) {
				n.Body = []byte(`{"model":"m","instructions":"x","input":[{"role":"user","content":"hi"},` + item + `,{"role":"user","content":"and?"}]}`)
			},
			[]string{"system", "user", "user(summary)", "user"},
			false,
		},
		{
			"a compaction of it", compacts(`{"model":"m","instructions":"x","tools":[{"type":"function","name":"f"}],"input":[{"role":"user","content":"hi"},` + item + `]}`),
			[]string{"system", "user", "user(summary)", "user"},
			true,
		},
	} {
		if err := s.deliver(t.Context(), s.claimed(t, tt.change), 1, false); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, roles); diff != "" || strings.Contains(last, "Answer with the summary alone") != tt.asked {
			t.Errorf("%s: the last message is %q (-want +got):\n%s", tt.name, last, diff)
		}
	}
}

func TestCompactionsThatFail(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.caller.Keys = seals(t)
	text, err := s.caller.Keys.Seal("acme", compaction.Content{Summary: "They met."})
	if err != nil {
		t.Fatal(err)
	}
	hi := compacts(`{"model":"m","input":"hi"}`)
	for name, tt := range map[string]struct {
		change func(*store.NewRequest)
		keys   compaction.Keys
		finish string
		code   string
		calls  int32
	}{
		"a body that another version took": {compacts(`{"model":"m"}`), s.caller.Keys, "stop", "invalid_prompt", 0},
		"a model that is gone": {func(n *store.NewRequest) {
			compacts(`{"model":"gone","input":"x"}`)(n)
			n.Model = "gone"
		}, s.caller.Keys, "stop", "model_not_found", 0},
		"no secret":             {hi, compaction.Keys{}, "stop", "server_error", 0},
		"half a summary":        {hi, s.caller.Keys, "length", "max_output_tokens", 1},
		"another tenant's item": {compacts(`{"model":"m","input":[{"type":"compaction","encrypted_content":"` + text + `"}]}`), s.caller.Keys, "stop", "invalid_encrypted_content", 0},
		"a response with such an item": {func(n *store.NewRequest) {
			n.Body = []byte(`{"model":"m","input":[{"type":"compaction","encrypted_content":"` + text + `"}]}`)
		}, s.caller.Keys, "stop", "invalid_encrypted_content", 0},
		"a response without a secret": {func(n *store.NewRequest) {
			n.Body = []byte(`{"model":"m","input":[{"role":"user","content":"hi"},{"type":"compaction_trigger"}]}`)
		}, compaction.Keys{}, "stop", "server_error", 0},
		"a response that is not there": {func(n *store.NewRequest) { hi(n); n.Parent = n.ID }, s.caller.Keys, "stop", "previous_response_not_found", 0},
	} {
		s.caller.Keys = tt.keys
		s.says("They met.", tt.finish)
		before := s.calls.Load()
		row := s.claimed(t, tt.change)
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
		if why := run.ReadFailure(s.ended(t, row, run.Failed).Error); why.Code != tt.code || s.calls.Load()-before != tt.calls {
			t.Errorf("%s: failed by %+v after %d calls, want %s after %d", name, why, s.calls.Load()-before, tt.code, tt.calls)
		}
	}
}

func TestAnEmptySummaryIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.caller.Keys = seals(t)
	s.says(" ", "stop")
	row := s.claimed(t, compacts(`{"model":"m","input":"hi"}`))
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.look(t, row.ID); got.Status != run.InProgress || got.Attempt != 2 || got.DueIn <= 0 {
		t.Errorf("the request is %+v, want it parked for another attempt", got)
	}
}

// A history that passes its threshold in the middle of a run is compacted
// between two turns, with all that tools have answered.
func TestARunShortensItsHistory(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.caller.Keys = seals(t)
	answers := []string{
		`{"choices":[{"message":{"tool_calls":[{"id":"c","type":"function","function":{"name":"nope","arguments":"{}"}}]}}],"usage":{"prompt_tokens":990,"completion_tokens":20}}`,
		`{"choices":[{"message":{"content":"They met."}}],"usage":{"prompt_tokens":1100,"completion_tokens":500}}`,
		`{"choices":[{"message":{"content":"Done."}}],"usage":{"prompt_tokens":100,"completion_tokens":3}}`,
	}
	var bodies []string
	s.see = func(body []byte) { bodies = append(bodies, string(body)) }
	s.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answers[len(bodies)-1])) }
	row := s.claimed(t, func(n *store.NewRequest) {
		n.Body = []byte(`{"model":"m","input":"Do it.","max_output_tokens":400,"tools":[{"type":"mcp","server_label":"windlass"}],` +
			`"context_management":[{"type":"compaction","compact_threshold":1000}]}`)
	})
	for turn := 1; turn <= 3; turn++ {
		row = s.look(t, row.ID)
		if row.Turn != turn || row.Outcome != "" {
			t.Fatalf("before turn %d the request is %+v", turn, row)
		}
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	if len(bodies) != 3 || s.look(t, row.ID).Outcome != run.Completed {
		t.Fatalf("after %d calls the request is %+v", len(bodies), s.look(t, row.ID))
	}
	for i, want := range []map[string]bool{
		{"Do it.": true, "nope": false, "Answer with the summary alone": false},
		{"Do it.": true, `"role":"tool"`: true, "Answer with the summary alone": true, "max_tokens": false},
		// The summary's tokens do not count against the answer's limit.
		{"Do it.": true, `"role":"tool"`: false, "They met.": true, `"max_tokens":380`: true},
	} {
		for text, there := range want {
			if strings.Contains(bodies[i], text) != there {
				t.Errorf("call %d has %q: %v, want %v:\n%s", i, text, !there, there, bodies[i])
			}
		}
	}
	c, err := s.Store.Load(t.Context(), row.ID)
	if err != nil {
		t.Fatal(err)
	}
	turns, err := transcript.Turns(c)
	if err != nil || len(turns) != 3 || !turns[1].Compacted() || transcript.Usage(turns).InputTokens != 2190 {
		t.Errorf("the run is %+v, %v; want a compaction in the middle, and all usage in the sum", turns, err)
	}
}
