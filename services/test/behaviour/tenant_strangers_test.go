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

	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/test/stack"
)

// stranger is a tenant that tries the ids of another one.
type stranger struct {
	tenant                 *stack.Stack
	response, conversation string // its own
}

// inPath tries every id of every kind in the place of each parameter. The other
// parameters of the path are its own, or the other tenant's, too.
func (a stranger) inPath(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	var names []string
	for _, p := range op.Parameters {
		kind, known := kinds[strings.Split(op.Path, "/")[2]+" "+p.Name]
		if p.In == "path" && !known {
			t.Errorf("kinds has no entry for what {%s} names", p.Name)
		}
		if p.In == "path" && kind != "" {
			names = append(names, p.Name)
		}
	}
	body := string(a.body(op, ""))
	for _, name := range names {
		paths := map[string]bool{}
		for _, conversation := range []string{a.conversation, theirs["conversation"][0]} { // the only kind that contains others
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
				if !strings.Contains(path, id) { // it would be in two places
					a.alike(t, op, path, body, id, http.StatusNotFound)
				}
			}
		}
	}
}

// inQuery tries every id as a cursor, before and after, in the tenant's own
// lists.
func (a stranger) inQuery(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	own := map[string]string{"responses": a.response, "conversations": a.conversation}
	for _, p := range op.Parameters {
		if p.In != "query" || p.Name != "after" && p.Name != "before" {
			continue
		}
		path := strings.Replace(op.Path, "{id}", own[strings.Split(op.Path, "/")[2]], 1)
		for kind, ids := range theirs {
			if op.ID == "listResponses" && kind == "response" { // a position in time, which inFilters tries
				continue
			}
			for _, id := range ids {
				a.alike(t, op, path+"?"+p.Name+"=%", "", id, 0)
			}
		}
	}
}

// inFilters holds that lists that are bounded or filtered by others' ids show
// the tenant's own things, and that a continuation of another tenant's response
// is refused.
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

// inBody tries every field that takes an id.
func (a stranger) inBody(t *testing.T, op openapitest.Operation, theirs map[string][]string) {
	t.Helper()
	fields, known := idFields[op.ID]
	if op.HasBody && !known {
		t.Error("idFields has no entry for its body")
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

// bringsItsOwn holds that an item with the id of the other tenant's item has
// the content of the request.
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

// body returns a request with the field, and with the required fields.
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
		panic(err) // a mistake in this file
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

// alike compares the answers to a request with % for an id of the other tenant
// and for one that never existed; status 0 means any failure.
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
