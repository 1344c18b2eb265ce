package behaviour

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/internal/apikey"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// kinds are the things that have ids, by what the first part of a path and a parameter in it say. A route with another parameter has
// to be added, and with it a thing of that kind to strangers.
var kinds = map[string]string{
	"responses id": "response", "conversations id": "conversation", "conversations item": "item", "requests id": "call", "keys id": "key",
	"models model": "", "models owner": "", // names, which are everybody's
}

// idFields are the bodies by which a route takes ids, % in their places, by operation; nil: it takes none. Beside them a body has
// what the route requires.
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

// TestTenantsSeeNothingOfEachOther walks the OpenAPI document: of every id that another tenant has, in every place that takes an id,
// a tenant is told what it is told of an id that never was.
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

// strangers are ids of things of every kind and state.
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

// stranger is a tenant that tries the ids of another one.
type stranger struct {
	tenant                 *stack.Stack
	response, conversation string // of its own
}

// inPath: in the place of each parameter, every id of every kind. The other parameters of the path are its own, or theirs too.
func (a stranger) inPath(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	var names []string
	for _, p := range op.Parameters {
		kind, known := kinds[strings.Split(op.Path, "/")[2]+" "+p.Name]
		if p.In == "path" && !known {
			t.Errorf("nobody knows what {%s} names", p.Name)
		}
		if p.In == "path" && kind != "" {
			names = append(names, p.Name)
		}
	}
	body := string(a.body(op, ""))
	for _, name := range names {
		paths := map[string]bool{}
		for _, conversation := range []string{a.conversation, theirs["conversation"][0]} { // the only kind that others lie in
			for _, item := range append([]string{"msg_own"}, theirs["item"]...) {
				path := strings.Replace(op.Path, "{"+name+"}", "%", 1)
				path = strings.NewReplacer("{id}", conversation, "{item}", item).Replace(path)
				paths[path] = true
				if slices.ContainsFunc(op.Parameters, func(p openapitest.Parameter) bool { return p.Name == "stream" }) {
					paths[path+"?stream=true"] = true
				}
			}
		}
		for path := range paths {
			for _, id := range slices.Concat(slices.Collect(maps.Values(theirs))...) {
				if !strings.Contains(path, id) { // it would stand in two places
					a.alike(t, op, path, body, id, http.StatusNotFound)
				}
			}
		}
	}
}

// inQuery: behind and before every id, in lists of the tenant's own.
func (a stranger) inQuery(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	own := map[string]string{"responses": a.response, "conversations": a.conversation}
	for _, p := range op.Parameters {
		if p.In != "query" || p.Name != "after" && p.Name != "before" {
			continue
		}
		path := strings.Replace(op.Path, "{id}", own[strings.Split(op.Path, "/")[2]], 1)
		for kind, ids := range theirs {
			if op.ID == "listResponses" && kind == "response" { // a place in time, which inFilters tries
				continue
			}
			for _, id := range ids {
				a.alike(t, op, path+"?"+p.Name+"=%", "", id, 0)
			}
		}
	}
}

// inFilters: lists that other ids are to bound or to filter show the tenant's own, and what continues another tenant's is nothing.
func (a stranger) inFilters(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	if op.ID != "listResponses" {
		return
	}
	for name, ids := range map[string][]string{
		"after": theirs["response"], "before": theirs["response"], "previous_response_id": theirs["response"], "conversation": theirs["conversation"],
	} {
		for _, id := range ids {
			status, text := a.tenant.Do(t, op.Method, op.Path+"?"+name+"="+id, nil)
			var list struct{ Data []struct{ ID string } }
			if err := json.Unmarshal(text, &list); err != nil || status != http.StatusOK {
				t.Errorf("%s=%s is answered %d %s (%v)", name, id, status, text, err)
			}
			for _, r := range list.Data {
				if name != "after" && name != "before" || slices.Contains(theirs["response"], r.ID) {
					t.Errorf("%s=%s lists %s", name, id, r.ID)
				}
			}
		}
	}
}

// inBody: in every field that takes an id.
func (a stranger) inBody(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	fields, known := idFields[op.ID]
	if op.HasBody && !known {
		t.Error("nobody knows what ids its body takes")
	}
	path := strings.Replace(op.Path, "{id}", a.conversation, 1)
	for _, field := range fields {
		for _, ids := range theirs {
			for _, id := range ids {
				a.alike(t, op, path, string(a.body(op, field)), id, 0)
			}
		}
	}
}

// bringsItsOwn: an item with the id of one of the other tenant's is what it says itself.
func (a stranger) bringsItsOwn(t *testing.T, ids []string) {
	t.Helper()
	for _, id := range ids {
		body := fmt.Sprintf(`{"items":[{"type":"message","id":%q,"role":"user","content":"mine"}]}`, id)
		status, text := a.tenant.Do(t, http.MethodPost, "/v1/conversations/"+secretConversation(t, a.tenant, "msg_x")+"/items", []byte(body))
		good := status == http.StatusOK && strings.Contains(string(text), "mine")
		refused := status == http.StatusBadRequest && !strings.HasPrefix(id, "msg_") // the id of another type of item
		if !good && !refused || strings.Contains(string(text), "confidential") {
			t.Errorf("an item with the id %s was answered %d %s", id, status, text)
		}
	}
}

// body is a request with the field, and with what is required beside it.
func (a stranger) body(op openapitest.Operation, field string) []byte {
	if !op.HasBody {
		return nil
	}
	all := map[string]json.RawMessage{"model": json.RawMessage(`"mock"`), "metadata": json.RawMessage(`{}`)}
	for _, name := range []string{"input", "prompt"} {
		all[name] = json.RawMessage(`"x"`)
	}
	all["items"] = json.RawMessage(`[{"role":"user","content":"x"}]`)
	if strings.HasPrefix(op.Path, "/v1/responses") {
		delete(all, "prompt")
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+field+"}"), &given); err != nil {
		panic(err) // of this file
	}
	for name, value := range given {
		all[name] = value
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return text
}

var digits = regexp.MustCompile(`[0-9a-f]{32}`)

// alike compares the answers to a request with % for an id of the other tenant's and for one that never was, status 0: any but a
// good one.
func (a stranger) alike(t *testing.T, op openapitest.Operation, path, body, foreign string, status int) {
	t.Helper()
	nobody := digits.ReplaceAllString(foreign, "0190a0b0c0d07000800000000000dead")
	if nobody == foreign {
		nobody = foreign[:len(foreign)-1] + "_"
	}
	ask := func(id string) (int, http.Header, string) {
		got, header, text := a.tenant.Send(t, op.Method, strings.ReplaceAll(path, "%", id), []byte(strings.ReplaceAll(body, "%", id)))
		for _, name := range []string{"X-Request-Id", "Date", "Content-Length"} {
			header.Del(name)
		}
		return got, header, strings.ReplaceAll(string(text), id, "ID")
	}
	theirs, theirHeader, theirText := ask(foreign)
	none, noHeader, noText := ask(nobody)
	if theirs != none || theirText != noText || cmp.Diff(theirHeader, noHeader) != "" {
		t.Errorf("%s %s %s: of %s it answers %d %s, of %s %d %s", op.Method, path, body, foreign, theirs, theirText, nobody, none, noText)
	}
	if status != 0 && theirs != status || theirs < http.StatusBadRequest {
		t.Errorf("%s %s %s: of %s it answers %d %s", op.Method, path, body, foreign, theirs, theirText)
	}
}
