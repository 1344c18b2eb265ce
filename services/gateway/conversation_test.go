package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
)

// speaks creates a background response on a conversation and returns its row,
// claimed.
func (s *stand) speaks(conversation, fields string) run.Row {
	s.tb.Helper()
	id := createdID(s.tb, s.call("POST", "/v1/responses", `{"model":"m","background":true,"conversation":"`+conversation+`",`+fields+`}`))
	row := s.claim()
	if run.ResponseID.Format(row.ID) != id {
		s.tb.Fatalf("claimed %s, want %s", run.ResponseID.Format(row.ID), id)
	}
	return row
}

// says settles a response as the finalizer does, with items of the ids that it
// adds to its conversation.
func (s *stand) says(row run.Row, outcome run.Status, items ...run.NewItem) {
	s.tb.Helper()
	s.commit(row, run.TurnCommit{Outcome: outcome, Output: []byte(`[]`)})
	err := s.store.Settle(s.tb.Context(), store.Settlement{
		ID: row.ID, Epoch: row.Epoch, Status: outcome, Answer: []byte(`{"output":[]}`), Items: items,
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

func saidCall(id string) run.NewItem {
	return run.NewItem{
		ID: "fc_" + id, Calls: []byte(id),
		Data: fmt.Appendf(nil, `{"type":"function_call","id":"fc_%s","status":"completed","call_id":%[1]q,"name":"f","arguments":"{}"}`, id),
	}
}

func TestResponseOnAConversation(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.conversation("msg_1")
	for _, conversation := range []string{`"` + id + `"`, `{"id":"` + id + `"}`} {
		r := s.call("POST", "/v1/responses", `{"model":"m","input":"x","background":true,"conversation":`+conversation+`}`)
		want := map[string]any{"id": id}
		if diff := cmp.Diff(want, r.object(t)["conversation"]); diff != "" {
			t.Errorf("the response's conversation (-want +got):\n%s", diff)
		}
		row := s.claim()
		if row.Conversation == uuid.Nil || run.ConversationID.Format(row.Conversation) != id {
			t.Errorf("the row is on %s, want %s", uuid.UUID(row.Conversation), id)
		}
		if diff := cmp.Diff(want, s.call("GET", "/v1/responses/"+run.ResponseID.Format(row.ID), "").object(t)["conversation"]); diff != "" {
			t.Errorf("the response's conversation, read (-want +got):\n%s", diff)
		}
		s.says(row, run.Completed)
	}
}

func TestResponseOnAConversationIsRefused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 4000 })
	open, odd, busy, full := s.conversation("msg_1"), s.conversation(), s.conversation(), s.conversation()
	s.says(s.speaks(open, `"input":"x"`), run.Completed, saidCall("c1"), saidCall("c2"))
	if r := s.call("POST", "/v1/conversations/"+odd+"/items", `{"items":[{"type":"function_call_output","call_id":"c9","output":""}]}`); r.status != http.StatusOK {
		t.Fatalf("an output without a call answered %d %s", r.status, r.body)
	}
	running := s.speaks(busy, `"input":"x"`)
	s.says(s.speaks(full, `"input":"x"`), run.Incomplete, run.NewItem{ID: "msg_long", Data: make([]byte, 4001)})
	const (
		output = `{"type":"function_call_output","call_id":"%s","output":""}`
		none   = "No tool output found for function call c"
		noCall = "No tool call found for function call output with call_id c9."
		lock   = "Another process is currently operating on this conversation. Please retry in a few seconds."
	)
	both := fmt.Sprintf(output, "c1") + "," + fmt.Sprintf(output, "c2")
	for _, tt := range []struct {
		name, conversation, input string
		status                    int
		param, code               any
		message                   string // empty: accepted
	}{
		{"unknown", "conv_0123456789abcdef0123456789abcdef", ``, 404, nil, nil, "Conversation with id 'conv_0123456789abcdef0123456789abcdef' not found."},
		{"malformed", "conv_1", ``, 404, nil, nil, "Conversation with id 'conv_1' not found."},
		{"another kind of id", "resp_1", ``, 400, "conversation", "invalid_value", "Invalid 'conversation': 'resp_1'. Expected an ID that begins with 'conv'."},
		{"no calls answered", open, `{"role":"user","content":"x"}`, 400, "input", nil, none + "1."},
		{"one call answered", open, fmt.Sprintf(output, "c1"), 400, "input", nil, none + "2."},
		{"one too many", open, both + "," + fmt.Sprintf(output, "c9"), 400, "input", nil, noCall},
		{"an item that is there", open, both + `,{"id":"msg_1","role":"user","content":"x"}`, 400, "input", nil, "Duplicate item found with id msg_1. Remove duplicate items from your input and try again."},
		{"a reference to what is there", open, both + `,{"id":"msg_1"}`, 400, "input", nil, "Duplicate item found with id msg_1."},
		{"a bad id", open, both + `,{"id":"x","role":"user","content":"x"}`, 400, "input[2].id", "invalid_value", "Invalid 'input[2].id': 'x'."},
		{"an output without a call in it", odd, `{"role":"user","content":"x"}`, 400, "input", nil, noCall},
		{"busy", busy, `{"role":"user","content":"x"}`, 400, "conversation", "conversation_locked", lock},
		{"too long", full, `{"role":"user","content":"x"}`, 400, "conversation", "conversation_too_long", "Conversation with id '" + full + "' is too long: at most 5000 items and 4000 bytes can be continued."},
		{"all answered", open, both, 200, nil, nil, ""},
	} {
		r := s.call("POST", "/v1/responses", `{"model":"m","background":true,"conversation":"`+tt.conversation+`","input":[`+tt.input+`]}`)
		if tt.message == "" {
			if r.status != http.StatusOK {
				t.Errorf("%s: answered %d %s", tt.name, r.status, r.body)
			}
			continue
		}
		f := r.fault(t)
		if r.status != tt.status || f["param"] != tt.param || f["code"] != tt.code || !strings.HasPrefix(f["message"].(string), tt.message) {
			t.Errorf("%s: answered %d %s, want %d, param %v, code %v: %s", tt.name, r.status, r.body, tt.status, tt.param, tt.code, tt.message)
		}
	}
	for _, change := range []struct{ method, path, body string }{
		{"POST", "/items", `{"items":[{"role":"user","content":"x"}]}`},
		{"DELETE", "/items/msg_1", ""},
	} {
		r := s.call(change.method, "/v1/conversations/"+busy+change.path, change.body)
		if f := r.fault(t); r.status != 400 || f["code"] != "conversation_locked" || f["param"] != nil || f["message"] != lock {
			t.Errorf("%s %s of a busy conversation answered %d %s", change.method, change.path, r.status, r.body)
		}
	}
	if r := s.call("POST", "/v1/conversations/"+busy, `{"metadata":{"a":"b"}}`); r.status != http.StatusOK {
		t.Errorf("new metadata of a busy conversation answered %d %s", r.status, r.body)
	}
	if got := s.look(running.ID).Status; got != run.InProgress {
		t.Errorf("the response that was in flight is %s", got)
	}
}

// One response after the other, and whatever ends one frees the conversation at
// once.
func TestTheEndOfAResponseFreesItsConversation(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.conversation("msg_1")
	row := s.speaks(id, `"input":"x"`)
	if got := s.call("POST", "/v1/responses/"+run.ResponseID.Format(row.ID)+"/cancel", "").object(t)["status"]; got != "cancelled" {
		t.Fatalf("the cancelled response is %v", got)
	}
	s.says(s.speaks(id, `"input":"x"`), run.Failed, run.NewItem{ID: "msg_lost", Data: []byte(`{}`)})
	s.says(s.speaks(id, `"input":"x"`), run.Incomplete, run.NewItem{ID: "msg_2", Data: []byte(`{"id":"msg_2"}`)})

	ctx, hangUp := context.WithCancel(t.Context())
	r := s.request(ctx, "POST", "/v1/responses", `{"model":"m","input":"x","conversation":"`+id+`"}`)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := s.http.Do(r); err == nil {
			_ = resp.Body.Close()
			t.Errorf("answered %d, want nothing", resp.StatusCode)
		}
	}()
	left := s.claim()
	hangUp()
	<-gone
	eventually(t, "the cancel of an abandoned response", func() bool { return s.look(left.ID).Status == run.Cancelled })
	s.says(s.speaks(id, `"input":"x"`), run.Completed, run.NewItem{ID: "msg_3", Data: []byte(`{"id":"msg_3"}`)})

	answers := s.later("POST", "/v1/responses", `{"model":"m","input":"x","store":false,"conversation":"`+id+`"}`)
	hidden := s.claim()
	s.says(hidden, run.Completed, run.NewItem{ID: "msg_hidden", Data: []byte(`{"id":"msg_hidden"}`)})
	s.bus.DoneHint(run.Hex(hidden.ID))
	if got := receive(t, answers); got.status != http.StatusOK {
		t.Errorf("the response that is not stored answered %d %s", got.status, got.body)
	}
	if got := s.itemIDs(id); got != "msg_1 msg_2 msg_3" {
		t.Errorf("the items are %s, want those of what was stored and not failed", got)
	}
}

func TestManyResponsesOnOneConversation(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.conversation("msg_1")
	const rivals = 8
	answers := make([]reply, rivals)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			answers[i] = s.call("POST", "/v1/responses", `{"model":"m","input":"x","background":true,"conversation":"`+id+`"}`)
		})
	}
	all.Wait()
	won := 0
	for _, r := range answers {
		if r.status == http.StatusOK {
			won++
			continue
		}
		wantRefused(t, "a rival", r, http.StatusBadRequest, "conversation_locked")
	}
	if won != 1 || s.backlog() != 1 {
		t.Errorf("%d were accepted and %d are queued, want one", won, s.backlog())
	}
}

func TestDeletedConversationOfAResponse(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.conversation("msg_1")
	row := s.speaks(id, `"input":"x"`)
	if r := s.call("DELETE", "/v1/conversations/"+id, ""); r.status != http.StatusOK {
		t.Fatalf("DELETE of a busy conversation answered %d %s", r.status, r.body)
	}
	s.says(row, run.Completed, run.NewItem{ID: "msg_2", Data: []byte(`{}`)})
	if r := s.call("GET", "/v1/responses/"+run.ResponseID.Format(row.ID), ""); r.status != http.StatusOK {
		t.Errorf("the response is answered %d %s", r.status, r.body)
	}
	if r := s.call("GET", "/v1/conversations/"+id+"/items", ""); r.status != http.StatusNotFound {
		t.Errorf("the items of the deleted conversation are answered %d %s", r.status, r.body)
	}
}
