package behaviour

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/internal/apikey"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// kinds are the things that have ids, by the first part of a path and a
// parameter in it. A route with another parameter needs an entry, and a thing
// of its kind in strangers.
var kinds = map[string]string{
	"responses id": "response", "conversations id": "conversation", "conversations item": "item", "requests id": "call", "keys id": "key",
	"models model": "", "models owner": "", // names, which all tenants share
}

// idFields are the bodies with ids, % in the place of the id, by operation; nil
// if a route takes no ids. A body also has what the route requires.
var idFields = map[string][]string{
	"createResponse": {
		`"previous_response_id":"%"`, `"conversation":"%"`, `"conversation":{"id":"%"}`, `"input":[{"type":"item_reference","id":"%"}]`,
	},
	"compactResponse": {`"previous_response_id":"%"`, `"input":[{"type":"item_reference","id":"%"}]`},
	"countInputTokens": {
		`"previous_response_id":"%"`, `"conversation":"%"`, `"conversation":{"id":"%"}`, `"input":[{"type":"item_reference","id":"%"}]`,
	},
	"createConversation":      {`"items":[{"type":"item_reference","id":"%"}]`},
	"createConversationItems": {`"items":[{"type":"item_reference","id":"%"}]`},
	"updateConversation":      nil,
	"createKey":               nil,
	"createChatCompletion":    nil,
	"createCompletion":        nil,
	"createEmbedding":         nil,
}

// TestTenantsSeeNothingOfEachOther walks the OpenAPI document. For every id of
// another tenant, in every place that takes an id, a tenant gets the answer of
// an id that never existed.
func TestTenantsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	admin := func(n *keys.NewKey) { n.Scopes = apikey.Scopes }
	a, b := s.As(t, "a", admin), s.As(t, "b", admin)
	theirs, before := strangers(t, b), map[string]string{}
	for _, id := range theirs["response"] {
		before[id] = string(b.Get(t, id).JSON)
	}
	own := stranger{tenant: a, response: a.Ask(t, mock.Plan{Seed: 1}, nil).ID, conversation: secretConversation(t, a, "msg_own")}
	t.Run("walk", func(t *testing.T) {
		for _, op := range openapitest.Operations(t) {
			t.Run(op.ID, func(t *testing.T) {
				t.Parallel()
				own.inPath(t, op, theirs)
				own.inQuery(t, op, theirs)
				own.inFilters(t, op, theirs)
				own.inBody(t, op, theirs)
			})
		}
	})
	own.bringsItsOwn(t, theirs["item"])
	for id, want := range before {
		got := string(b.Get(t, id).JSON)
		if !strings.Contains(want, `"status":"in_progress"`) && !strings.Contains(want, `"status":"queued"`) && got != want {
			t.Errorf("%s was\n%s\nand is\n%s", id, want, got)
		}
	}
	for _, id := range theirs["conversation"] {
		if status, text := b.Do(t, http.MethodGet, "/v1/conversations/"+id+"/items", nil); status != http.StatusOK || !strings.Contains(string(text), "confidential") {
			t.Errorf("its own tenant reads the items of %s as %d %s", id, status, text)
		}
	}
}

// strangers returns ids of things of every kind and state.
func strangers(t *testing.T, b *stack.Stack) map[string][]string {
	t.Helper()
	conversation := secretConversation(t, b, "msg_secret")
	done := b.Ask(t, mock.Plan{Seed: 2, Rounds: 1, Width: 1}, nil)
	on := b.Ask(t, mock.Plan{Seed: 3}, stack.Fields{"conversation": conversation})
	streamed := stack.Streamed(t, b.Stream(t, mock.Plan{Seed: 4}, nil))
	running := b.Background(t, mock.Plan{Seed: 5, ThinkMS: 2500}, nil)
	cancelled := b.Background(t, mock.Plan{Seed: 6, ThinkMS: 2500}, nil)
	b.Cancel(t, cancelled.ID)
	ids := map[string][]string{
		"response":     {done.ID, on.ID, streamed.ID, running.ID, cancelled.ID},
		"conversation": {conversation},
		"item":         {"msg_secret"},
		"call":         {newCall(t, b)},
		"key":          {newKey(t, b)},
	}
	for _, it := range slices.Concat(done.Output, on.Output) {
		ids["item"] = append(ids["item"], it.ID)
	}
	for _, path := range []string{"/v1/responses/" + done.ID + "/input_items", "/v1/conversations/" + conversation + "/items"} {
		_, text := b.Do(t, http.MethodGet, path, nil)
		var list struct{ Data []struct{ ID string } }
		if err := json.Unmarshal(text, &list); err != nil || len(list.Data) == 0 {
			t.Fatalf("%s has the items %s (%v)", path, text, err)
		}
		for _, it := range list.Data {
			ids["item"] = append(ids["item"], it.ID)
		}
	}
	return ids
}

func secretConversation(t *testing.T, s *stack.Stack, item string) string {
	t.Helper()
	body := fmt.Sprintf(`{"items":[{"id":%q,"role":"user","content":"confidential"},{"role":"user","content":"confidential too"}],"metadata":{"s":"secret"}}`, item)
	status, text := s.Do(t, http.MethodPost, "/v1/conversations", []byte(body))
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil || status != http.StatusOK {
		t.Fatalf("a conversation was answered %d %s", status, text)
	}
	return made.ID
}

func newCall(t *testing.T, s *stack.Stack) string {
	t.Helper()
	prompt := mock.Plan{Seed: 7}.Prompt()
	body, err := json.Marshal(map[string]any{"model": "mock", "messages": []any{map[string]string{"role": "user", "content": prompt}}})
	if err != nil {
		t.Fatal(err)
	}
	status, header, text := s.Send(t, http.MethodPost, "/v1/chat/completions", body)
	if status != http.StatusOK {
		t.Fatalf("a chat completion was answered %d %s", status, text)
	}
	return header.Get("Windlass-Request-Id")
}

func newKey(t *testing.T, s *stack.Stack) string {
	t.Helper()
	status, text := s.Do(t, http.MethodPost, "/v1/keys", nil)
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil || status != http.StatusOK {
		t.Fatalf("a key was answered %d %s", status, text)
	}
	return made.ID
}
