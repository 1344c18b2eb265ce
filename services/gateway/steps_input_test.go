package gateway

import (
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// shown is the model's input of a step in the trail, as text, and the notice
// beside it.
func (s *stand) readInput(id, query string, step int) (input, notice string) {
	s.tb.Helper()
	r := s.call("GET", "/v1/responses/"+id+"/steps"+query, "")
	if r.status != http.StatusOK {
		s.tb.Fatalf("the trail answered %d %s", r.status, r.body)
	}
	steps := r.object(s.tb)["data"].([]any)
	o := steps[step].(map[string]any)
	notice, _ = o["input_notice"].(string)
	var texts []string
	items, ok := o["input"].([]any)
	if !ok {
		return "none", notice
	}
	for _, it := range items {
		content, _ := it.(map[string]any)["content"].([]any)
		for _, part := range content {
			texts = append(texts, part.(map[string]any)["text"].(string))
		}
	}
	return strings.Join(texts, " "), notice
}

func record(text string) []byte {
	return []byte(`{"items":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"` + text + `"}]}],"usage":{}}`)
}

func TestTheTrailShowsWhatAContinuationContinues(t *testing.T) {
	t.Parallel()
	s := raise(t)
	first := s.background()
	s.commit(s.claim(), run.TurnCommit{Outcome: run.Completed, Output: record("hello")})
	row := s.lookPublic(first)
	if err := s.store.Settle(t.Context(), store.Settlement{
		ID: row.ID, Tenant: auth.DefaultTenant, Epoch: row.Epoch, Status: run.Completed, Answer: []byte(`{"output":[]}`), AfterWork: true,
	}); err != nil {
		t.Fatal(err)
	}
	second := createdID(t, s.call("POST", "/v1/responses",
		`{"model":"m","input":"more","instructions":"Be kind.","background":true,"previous_response_id":"`+first+`"}`))
	s.commit(s.claim(), run.TurnCommit{Outcome: run.Completed, Output: record("bye")})
	if got, notice := s.readInput(second, "", 0); got != "Be kind. hi hello more" || notice != "" {
		t.Errorf("the input is %q, notice %q", got, notice)
	}
	if r := s.call("DELETE", "/v1/responses/"+first, ""); r.status != http.StatusOK {
		t.Fatalf("DELETE answered %d", r.status)
	}
	if got, notice := s.readInput(second, "", 0); got != "Be kind. more" || !strings.Contains(notice, "has been deleted") {
		t.Errorf("the input is %q, notice %q, once what it continues is deleted", got, notice)
	}
}

// TestTheTrailShowsAConversationAsItWas: what was said on it later is not in
// the inputs of before.
func TestTheTrailShowsAConversationAsItWas(t *testing.T) {
	t.Parallel()
	s := raise(t)
	conversation := s.conversation("msg_a")
	ask := func(text, id string) string {
		row := s.speaks(conversation, `"input":[{"role":"user","id":"msg_`+id+`","content":"`+text+`"}]`)
		public := run.ResponseID.Format(row.ID)
		item := func(id, role, kind, text string) run.NewItem {
			return run.NewItem{ID: id, Data: []byte(`{"type":"message","id":"` + id + `","role":"` + role + `","content":[{"type":"` + kind + `","text":"` + text + `"}]}`)}
		}
		s.commit(row, run.TurnCommit{Outcome: run.Completed, Output: record("re " + text)})
		if err := s.store.Settle(t.Context(), store.Settlement{
			ID: row.ID, Epoch: row.Epoch, Status: run.Completed, Answer: []byte(`{"output":[]}`),
			Items: []run.NewItem{
				item("msg_"+id, "user", "input_text", text), item("msg_"+strings.TrimPrefix(public, "resp_")+"00010000", "assistant", "output_text", "re "+text),
			},
		}); err != nil {
			t.Fatal(err)
		}
		return public
	}
	first, second := ask("one", "b"), ask("two", "c")
	for id, want := range map[string]string{first: "msg_a one", second: "msg_a one re one two"} {
		if got, notice := s.readInput(id, "", 0); got != want || notice != "" {
			t.Errorf("the input of %s is %q, want %q; notice %q", id, got, want, notice)
		}
	}
}

func TestTheTrailOfOneTurnShowsMore(t *testing.T) {
	t.Parallel()
	s := raise(t)
	large := strings.Repeat("x", 256<<10)
	id := createdID(t, s.call("POST", "/v1/responses", `{"model":"m","background":true,"input":[{"role":"user","content":"`+large+`"},{"role":"user","content":[{"type":"input_text","text":"last"}]}]}`))
	row := s.claim()
	s.commit(row, run.TurnCommit{Outcome: run.Completed, Output: record("done")})
	if got, notice := s.readInput(id, "", 0); got != "last" || !strings.HasPrefix(notice, "1 items are left out for their size.") || !strings.Contains(notice, "?turn=1") {
		t.Errorf("the input is %q, notice %q", got, notice)
	}
	r := s.call("GET", "/v1/responses/"+id+"/steps?turn=1", "")
	if o := r.object(t)["data"].([]any)[0].(map[string]any); len(o["input"].([]any)) != 2 || o["input_notice"] != nil {
		t.Errorf("the turn alone has %d items, notice %v; want 2", len(o["input"].([]any)), o["input_notice"])
	}
	if n := len(s.call("GET", "/v1/responses/"+id+"/steps?turn=2", "").object(t)["data"].([]any)); n != 0 {
		t.Errorf("a turn that is not there has %d steps", n)
	}
	for _, bad := range []string{"0", "-1", "x", "1.5", ""} {
		r := s.call("GET", "/v1/responses/"+id+"/steps?turn="+bad, "")
		wantRefused(t, "turn "+bad, r, http.StatusBadRequest, "invalid_value")
	}
}

func TestATurnThatCannotBeReadLeavesTheTrailReadable(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.background()
	s.commit(s.claim(), run.TurnCommit{Outcome: run.Completed, Output: []byte(`not a record`)})
	if got, notice := s.readInput(id, "", 0); got != "none" || !strings.Contains(notice, "cannot be read") {
		t.Errorf("the input is %q, notice %q", got, notice)
	}
}
