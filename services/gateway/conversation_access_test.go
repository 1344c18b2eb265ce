package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
)

// bodies are what the routes with an id take.
var bodies = map[string]string{
	"POST /v1/conversations/%":       `{"metadata":{"a":"b"}}`,
	"POST /v1/conversations/%/items": `{"items":[{"role":"user","content":"x"}]}`,
}

func TestTenantsDoNotSeeEachOthersConversations(t *testing.T) {
	t.Parallel()
	s := raise(t)
	a, _ := s.mint("a")
	b, _ := s.mint("b")
	items := `{"items":[{"id":"msg_1","role":"user","content":"secret of b"}],"metadata":{"secret":"of b"}}`
	free := createdID(t, s.as(b, "POST", "/v1/conversations", items))
	busy := createdID(t, s.as(b, "POST", "/v1/conversations", items))
	running := createdID(t, s.as(b, "POST", "/v1/responses", `{"model":"m","input":"x","background":true,"conversation":"`+busy+`"}`))
	done := createdID(t, s.as(b, "POST", "/v1/responses", `{"model":"m","input":[{"role":"user","content":"x"}],"background":true}`))
	s.claim()
	s.finish(s.claim(), run.Completed, `{"output":[{"type":"reasoning","id":"rs_`+strings.TrimPrefix(done, idPrefix)+`00010000","summary":[]}]}`)
	const unknown = "conv_0123456789abcdef0123456789abcdef"
	for name, key := range map[string]string{"a": a, "default": testKey} {
		for what, id := range map[string]string{"free": free, "busy": busy} {
			for _, route := range perID(t, "/v1/conversations") {
				method, path, _ := strings.Cut(route, " ")
				s.alike(t, name+", a "+what+" one", key, method, strings.Replace(path, "{item}", "msg_1", 1), bodies[route], id, unknown)
			}
			s.alike(t, name+", a "+what+" one", key, "POST", "/v1/responses", `{"model":"m","input":"x","conversation":"%"}`, id, unknown)
		}
		digits := strings.TrimPrefix(done, idPrefix)
		const unknown = "0123456789abcdef0123456789abcdef"
		for ref, nowhere := range map[string]string{
			"msg_1":                     "msg_2",
			"msg_" + digits + "_in0000": "msg_" + unknown + "_in0000",
			"rs_" + digits + "00010000": "rs_" + unknown + "00010000",
		} {
			for path, body := range map[string]string{
				"/v1/responses":     `{"model":"m","input":[{"type":"item_reference","id":"%"}]}`,
				"/v1/conversations": `{"items":[{"type":"item_reference","id":"%"}]}`,
			} {
				s.alike(t, name, key, "POST", path, body, ref, nowhere)
			}
			own := createdID(t, s.as(key, "POST", "/v1/conversations", ""))
			s.alike(t, name, key, "POST", "/v1/conversations/"+own+"/items", `{"items":[{"type":"item_reference","id":"%"}]}`, ref, nowhere)
		}
	}
	for _, id := range []string{free, busy} {
		if r := s.as(b, "GET", "/v1/conversations/"+id, ""); r.object(t)["metadata"].(map[string]any)["secret"] != "of b" {
			t.Errorf("its own tenant reads the conversation as %d %s", r.status, r.body)
		}
		if r := s.as(b, "GET", "/v1/conversations/"+id+"/items/msg_1", ""); r.status != http.StatusOK {
			t.Errorf("its own tenant reads the item as %d %s", r.status, r.body)
		}
	}
	if got := s.lookPublic(running).Status; got != run.InProgress {
		t.Errorf("the running response became %s by what others asked", got)
	}
}

// What names nothing is answered alike, whatever it looks like.
func TestConversationsThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := raise(t)
	there := createdID(t, s.call("POST", "/v1/conversations", ""))
	gone := createdID(t, s.call("POST", "/v1/conversations", "{}"))
	if r := s.call("DELETE", "/v1/conversations/"+gone, ""); r.status != http.StatusOK {
		t.Fatalf("DELETE answered %d %s", r.status, r.body)
	}
	ids := []string{
		gone, run.ConversationID.Format(uuid.New()), strings.ToUpper(there), "resp_" + strings.TrimPrefix(there, conversationPrefix), "conv_", "conv_1",
		"x", there + "0", "%00", "conv_%ff", strings.Repeat("x", 10_000),
	}
	for _, id := range ids {
		for _, route := range perID(t, "/v1/conversations") {
			method, path, _ := strings.Cut(route, " ")
			r := s.call(method, strings.NewReplacer("%", id, "{item}", "msg_1").Replace(path), bodies[route])
			if f := r.fault(t); r.status != http.StatusNotFound || f["code"] != nil || f["param"] != nil ||
				!strings.HasPrefix(f["message"].(string), "Conversation with id '") {
				t.Errorf("%s with %.60q answered %d %.200s, want 404", route, id, r.status, r.body)
			}
		}
	}
	for _, id := range []string{"msg_1", "..%2f", "%00", "%ff", strings.Repeat("x", 10_000)} {
		for _, method := range []string{"GET", "DELETE"} {
			r := s.call(method, "/v1/conversations/"+there+"/items/"+id, "")
			if f := r.fault(t); r.status != http.StatusNotFound || !strings.HasSuffix(f["message"].(string), "not found in conversation.") {
				t.Errorf("%s of the item %.60q answered %d %.200s, want 404", method, id, r.status, r.body)
			}
		}
		r := s.call("GET", "/v1/conversations/"+there+"/items?after="+id, "")
		if f := r.fault(t); r.status != http.StatusNotFound || f["param"] != "after" {
			t.Errorf("a list after %.60q answered %d %.200s, want 404", id, r.status, r.body)
		}
	}
}
