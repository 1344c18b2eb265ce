package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
)

// conversation creates a conversation of messages with the ids and returns its
// id.
func (s *stand) conversation(ids ...string) string {
	s.tb.Helper()
	var items []string
	for _, id := range ids {
		items = append(items, fmt.Sprintf(`{"id":%q,"role":"user","content":%[1]q}`, id))
	}
	r := s.call("POST", "/v1/conversations", `{"items":[`+strings.Join(items, ",")+`]}`)
	if r.status != http.StatusOK {
		s.tb.Fatalf("create answered %d %s", r.status, r.body)
	}
	return r.object(s.tb)["id"].(string)
}

// itemIDs lists the ids of a conversation's items, oldest first.
func (s *stand) itemIDs(conversation string) string {
	s.tb.Helper()
	r := s.call("GET", "/v1/conversations/"+conversation+"/items?order=asc&limit=100", "")
	return r.ids(s.tb)
}

// ids are those of a list.
func (r reply) ids(tb testing.TB) string {
	tb.Helper()
	var list struct {
		Object  string
		Data    []struct{ ID string }
		FirstID *string `json:"first_id"`
		LastID  *string `json:"last_id"`
	}
	if err := json.Unmarshal(r.body, &list); err != nil || r.status != http.StatusOK || list.Object != "list" || list.Data == nil {
		tb.Fatalf("a list answered %d %s", r.status, r.body)
	}
	var ids []string
	for _, it := range list.Data {
		ids = append(ids, it.ID)
	}
	if n := len(ids); (n == 0) != (list.FirstID == nil && list.LastID == nil) || n > 0 && (*list.FirstID != ids[0] || *list.LastID != ids[n-1]) {
		tb.Errorf("the list goes from %v to %v, its items are %v", list.FirstID, list.LastID, ids)
	}
	return strings.Join(ids, " ")
}

func TestConversationObject(t *testing.T) {
	t.Parallel()
	s := raise(t)
	created := s.call("POST", "/v1/conversations", `{"metadata":{"b":"1","a":"\u0000"}}`)
	o := created.object(t)
	id := o["id"].(string)
	want := map[string]any{"id": id, "object": "conversation", "created_at": o["created_at"], "metadata": map[string]any{"a": "\x00", "b": "1"}}
	if diff := cmp.Diff(want, o); diff != "" || !strings.HasPrefix(id, "conv_") || o["created_at"].(float64) < 1.7e9 {
		t.Errorf("created is %s (-want +got):\n%s", created.body, diff)
	}
	same(t, "GET", s.call("GET", "/v1/conversations/"+id, "").body, string(created.body))
	want["metadata"] = map[string]any{"c": "3"}
	updated := s.call("POST", "/v1/conversations/"+id, `{"metadata":{"c":"3"}}`)
	if diff := cmp.Diff(want, updated.object(t)); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	same(t, "GET after the update", s.call("GET", "/v1/conversations/"+id, "").body, string(updated.body))
	want["metadata"] = map[string]any{}
	if diff := cmp.Diff(want, s.call("POST", "/v1/conversations/"+id, `{"metadata":null}`).object(t)); diff != "" {
		t.Errorf("emptied (-want +got):\n%s", diff)
	}
	same(t, "DELETE", s.call("DELETE", "/v1/conversations/"+id, "").body, `{"id":"`+id+`","object":"conversation.deleted","deleted":true}`)
	if r := s.call("DELETE", "/v1/conversations/"+id, ""); r.status != http.StatusNotFound {
		t.Errorf("a second DELETE answered %d %s", r.status, r.body)
	}
}

func TestItemsOfAConversation(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.conversation("msg_1", "msg_2", "msg_3")
	path := "/v1/conversations/" + id + "/items"
	added := s.call("POST", path+"?include[]=message.output_text.logprobs", `{"items":[{"role":"assistant","content":"y"},{"type":"acme:item","x":1}]}`)
	ids := strings.Fields(added.ids(t))
	const digits = 32
	if len(ids) != 2 || !strings.HasPrefix(ids[0], "msg_") || !strings.HasPrefix(ids[1], "item_") || added.object(t)["has_more"] != false {
		t.Fatalf("added are %s", added.body)
	}
	message := `{"type":"message","id":"` + ids[0] + `","status":"completed","role":"assistant","content":[{"type":"output_text","text":"y","annotations":[],"logprobs":[]}]}`
	same(t, "an item", s.call("GET", path+"/"+ids[0]+"?include=reasoning.encrypted_content", "").body, message)
	all := "msg_1 msg_2 msg_3 " + ids[0] + " " + ids[1]
	for query, want := range map[string]struct {
		ids  string
		more bool
	}{
		"?order=asc":                     {all, false},
		"":                               {strings.Join([]string{ids[1], ids[0], "msg_3", "msg_2", "msg_1"}, " "), false},
		"?limit=2":                       {ids[1] + " " + ids[0], true},
		"?limit=2&after=" + ids[0]:       {"msg_3 msg_2", true},
		"?limit=2&after=msg_2":           {"msg_1", false},
		"?order=asc&limit=3":             {"msg_1 msg_2 msg_3", true},
		"?order=asc&limit=3&after=msg_3": {ids[0] + " " + ids[1], false},
		"?after=msg_1":                   {"", false},
		"?limit=100&include[]=message.input_image.image_url": {strings.Join([]string{ids[1], ids[0], "msg_3", "msg_2", "msg_1"}, " "), false},
	} {
		r := s.call("GET", path+query, "")
		if got := r.ids(t); got != want.ids || r.object(t)["has_more"] != want.more {
			t.Errorf("%q answered %s, want %s", query, r.body, want.ids)
		}
	}
	same(t, "DELETE of an item", s.call("DELETE", path+"/msg_2", "").body, string(s.call("GET", "/v1/conversations/"+id, "").body))
	if got := s.itemIDs(id); got != strings.Replace(all, "msg_2 ", "", 1) {
		t.Errorf("the items are %s", got)
	}
	if r := s.call("DELETE", path+"/msg_2", ""); r.status != http.StatusNotFound {
		t.Errorf("a second DELETE answered %d %s", r.status, r.body)
	}
	if r := s.call("GET", "/v1/conversations/"+s.conversation()+"/items", ""); r.ids(t) != "" {
		t.Errorf("the items of an empty conversation are %s", r.body)
	}
	if len(strings.TrimPrefix(id, conversationPrefix)) != digits {
		t.Errorf("the id is %s", id)
	}
}

func TestItemsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 2000 })
	id := s.conversation("msg_1")
	path := "/v1/conversations/" + id + "/items"
	long := strings.Repeat("x", 900)
	full := s.conversation()
	for range 2 {
		s.call("POST", "/v1/conversations/"+full+"/items", `{"items":[{"role":"user","content":"`+long+`"}]}`)
	}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		param, code              any
		message                  string
	}{
		{"no JSON", "POST", path, `{`, 400, nil, nil, "We could not parse the JSON body"},
		{"no items", "POST", path, `{}`, 400, "items", "missing_required_parameter", "Missing required parameter: 'items'."},
		{"too many", "POST", path, `{"items":[` + strings.Repeat(`{},`, 20) + `{}]}`, 400, "items", "array_above_max_length", ""},
		{"bad role", "POST", path, `{"items":[{"role":"x","content":""}]}`, 400, "items[0].role", "invalid_value", ""},
		{"wrong prefix", "POST", path, `{"items":[{"id":"x","role":"user","content":""}]}`, 400, "items[0].id", "invalid_value", "Invalid 'items[0].id': 'x'. Expected an ID that begins with 'msg'."},
		{"there already", "POST", path, `{"items":[{"id":"msg_1","role":"user","content":""}]}`, 400, "items", "item_already_in_conversation", "Item already in conversation"},
		{"a reference to what is there", "POST", path, `{"items":[{"type":"item_reference","id":"msg_1"}]}`, 400, "items", "item_already_in_conversation", ""},
		{"twice", "POST", path, `{"items":[{"id":"msg_2","role":"user","content":""},{"id":"msg_2","role":"user","content":""}]}`, 400, "items", "item_already_in_conversation", ""},
		{"a reference to nothing", "POST", path, `{"items":[{"type":"item_reference","id":"rs_1"}]}`, 404, "items", nil, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."},
		{"a reference that is no id", "POST", path, `{"items":[{"type":"item_reference","id":"\u0000"}]}`, 404, "items", nil, ""},
		{"too long", "POST", "/v1/conversations/" + full + "/items", `{"items":[{"role":"user","content":"` + long + `"}]}`, 400, nil, "conversation_too_long", ""},
		{"include", "POST", path + "?include[]=x", `{"items":[{"role":"user","content":""}]}`, 400, "include[0]", "invalid_value", ""},
		{"include of a list", "GET", path + "?include=x", ``, 400, "include[0]", "invalid_value", ""},
		{"include of an item", "GET", path + "/msg_1?include=x", ``, 400, "include[0]", "invalid_value", ""},
		{"limit", "GET", path + "?limit=101", ``, 400, "limit", "integer_above_max_value", "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."},
		{"order", "GET", path + "?order=up", ``, 400, "order", "invalid_value", ""},
		{"after", "GET", path + "?after=msg_2", ``, 404, "after", nil, "No item found with id 'msg_2'"},
		{"unknown item", "GET", path + "/msg_2", ``, 404, nil, nil, "Item with id 'msg_2' not found in conversation."},
		{"method", "PUT", path, ``, 405, nil, "method_not_allowed", ""},
		{"metadata", "POST", "/v1/conversations/" + id, `{"metadata":{"a":1}}`, 400, "metadata.a", "invalid_type", ""},
		{"no metadata", "POST", "/v1/conversations/" + id, `{}`, 400, "metadata", "missing_required_parameter", ""},
		{"a new one with too many", "POST", "/v1/conversations", `{"items":[` + strings.Repeat(`{},`, 20) + `{}]}`, 400, "items", "array_above_max_length", ""},
		{"a new one with a reference", "POST", "/v1/conversations", `{"items":[{"type":"item_reference","id":"rs_1"}]}`, 404, "items", nil, ""},
		{"a new one, huge", "POST", "/v1/conversations", `{"items":"` + strings.Repeat("x", 2000) + `"}`, 413, nil, "request_too_large", ""},
	} {
		r := s.call(tt.method, tt.path, tt.body)
		f := r.fault(t)
		if r.status != tt.status || f["param"] != tt.param || f["code"] != tt.code || !strings.HasPrefix(f["message"].(string), tt.message) {
			t.Errorf("%s: answered %d %s, want %d, param %v, code %v: %s", tt.name, r.status, r.body, tt.status, tt.param, tt.code, tt.message)
		}
	}
	if got := s.itemIDs(id); got != "msg_1" {
		t.Errorf("after all refusals the items are %s", got)
	}
}

// Items that the tenant has already are given to a conversation as they are,
// whatever is said of them.
func TestItemsAreKnownByTheirIDs(t *testing.T) {
	t.Parallel()
	s := raise(t)
	s.conversation("msg_1")
	done := s.concluded(`"input":"asked"`, run.Completed, `{"type":"message","id":"msg_?","status":"completed","role":"assistant","content":[]}`)
	asked := "msg_" + strings.TrimPrefix(done, idPrefix) + "_in0000"
	id := s.conversation()
	r := s.call("POST", "/v1/conversations/"+id+"/items", `{"items":[{"id":"msg_1","role":"user","content":"another"},
		{"type":"item_reference","id":"`+asked+`"},{"id":"msg_new","role":"user","content":"new"}]}`)
	if got := r.ids(t); got != "msg_1 "+asked+" msg_new" || strings.Contains(string(r.body), "another") || !strings.Contains(string(r.body), `"asked"`) {
		t.Errorf("added are %s", r.body)
	}
	r = s.call("POST", "/v1/conversations", `{"items":[{"id":"`+asked+`"}]}`)
	if got := s.itemIDs(r.object(t)["id"].(string)); got != asked {
		t.Errorf("the new conversation's items are %s", got)
	}
	if r := s.call("DELETE", "/v1/responses/"+done, ""); r.status != http.StatusOK {
		t.Fatalf("DELETE answered %d", r.status)
	}
	if got := s.call("POST", "/v1/conversations/"+s.conversation()+"/items", `{"items":[{"id":"`+asked+`"}]}`); got.ids(t) != asked {
		t.Errorf("an item of a deleted response, which conversations have, is answered %s", got.body)
	}
}

func TestItemsAddedTogether(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.conversation()
	const rivals = 3 // as many as can lose to the others and still have a try left
	var all sync.WaitGroup
	for range rivals {
		all.Go(func() {
			r := s.call("POST", "/v1/conversations/"+id+"/items", `{"items":[{"role":"user","content":"x"},{"role":"user","content":"y"}]}`)
			if r.status != http.StatusOK {
				t.Errorf("answered %d %s", r.status, r.body)
			}
		})
	}
	all.Wait()
	ids := strings.Fields(s.itemIDs(id))
	if len(ids) != 2*rivals {
		t.Fatalf("the items are %v", ids)
	}
	for i := 0; i < len(ids); i += 2 { // of one request side by side
		if ids[i][:36] != ids[i+1][:36] {
			t.Errorf("items %d and %d are of two requests: %v", i, i+1, ids)
		}
	}
}
