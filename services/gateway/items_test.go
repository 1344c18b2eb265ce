package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
)

func TestInputItems(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.concluded(`"input":[{"role":"user","content":"one"},{"type":"function_call","id":"fc_own","call_id":"c1","name":"f","arguments":"{}"},
		{"type":"function_call_output","call_id":"c1","output":"1"}]`, run.Completed, "")
	hex := strings.TrimPrefix(id, idPrefix)
	message, own, output := "msg_"+hex+"_in0000", "fc_own", "fco_"+hex+"_in0002"
	for _, tt := range []struct {
		query string
		more  bool
		ids   []string
	}{
		{"", false, []string{output, own, message}},
		{"?order=desc&limit=2", true, []string{output, own}},
		{"?order=asc", false, []string{message, own, output}},
		{"?order=asc&limit=1", true, []string{message}},
		{"?order=asc&limit=1&after=" + message, true, []string{own}},
		{"?order=asc&after=" + own, false, []string{output}},
		{"?after=" + message, false, nil},
		{"?before=" + message + "&limit=1", true, []string{own}},
		{"?before=" + message, false, []string{output, own}},
		{"?order=asc&after=" + message + "&before=" + output, false, []string{own}},
		{"?after=" + message + "&before=" + output, false, nil},
		{"?limit=100", false, []string{output, own, message}},
	} {
		got := s.call("GET", "/v1/responses/"+id+"/input_items"+tt.query, "")
		var list struct {
			Object  string
			Data    []struct{ ID string }
			FirstID *string `json:"first_id"`
			LastID  *string `json:"last_id"`
			HasMore bool    `json:"has_more"`
		}
		if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK {
			t.Fatalf("%q answered %d %s", tt.query, got.status, got.body)
		}
		var ids []string
		for _, it := range list.Data {
			ids = append(ids, it.ID)
		}
		if diff := cmp.Diff(tt.ids, ids); diff != "" || list.HasMore != tt.more || list.Object != "list" || list.Data == nil {
			t.Errorf("%q has more %v, want %v (-want +got):\n%s", tt.query, list.HasMore, tt.more, diff)
		}
		if n := len(ids); n == 0 && (list.FirstID != nil || list.LastID != nil) || n > 0 && (*list.FirstID != ids[0] || *list.LastID != ids[n-1]) {
			t.Errorf("%q goes from %v to %v, its items are %v", tt.query, list.FirstID, list.LastID, ids)
		}
	}
	got := s.call("GET", "/v1/responses/"+id+"/input_items?limit=1&order=asc", "")
	same(t, "a message", got.body, fmt.Sprintf(`{"object":"list","data":[{"type":"message","id":%q,"status":"completed","role":"user",`+
		`"content":[{"type":"input_text","text":"one"}]}],"first_id":%[1]q,"last_id":%[1]q,"has_more":true}`, message)+"\n")
}

func TestInputItemsThatCannotBeListed(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.background()
	for _, tt := range []struct {
		path        string
		status      int
		param, code any
	}{
		{id + "/input_items?limit=0", 400, "limit", "integer_below_min_value"},
		{id + "/input_items?limit=-1", 400, "limit", "integer_below_min_value"},
		{id + "/input_items?limit=101", 400, "limit", "integer_above_max_value"},
		{id + "/input_items?limit=many", 400, "limit", "invalid_type"},
		{id + "/input_items?order=up", 400, "order", "invalid_value"},
		{id + "/input_items?after=msg_1", 400, "after", "invalid_value"},
		{id + "/input_items?before=msg_1", 400, "before", "invalid_value"},
		{id + "/input_items?include=message.input_image.image_url&include[]=all", 400, "include[1]", "invalid_value"},
		{id + "?include=all", 400, "include[0]", "invalid_value"},
		{id + "?stream=true&include[]=reasoning.encrypted_content&include[]=", 400, "include[1]", "invalid_value"},
		{"resp_1/input_items", 404, nil, nil},
		{"resp_00000000000070008000000000000000/input_items", 404, nil, nil},
	} {
		got := s.call("GET", "/v1/responses/"+tt.path, "")
		if f := got.fault(t); got.status != tt.status || f["param"] != tt.param || f["code"] != tt.code {
			t.Errorf("%s answered %d %s, want %d, param %v, code %v", tt.path, got.status, got.body, tt.status, tt.param, tt.code)
		}
	}
	for _, path := range []string{
		"/input_items", "/input_items?include=message.input_image.image_url", "?include[]=message.output_text.logprobs&include=reasoning.encrypted_content",
	} {
		if got := s.call("GET", "/v1/responses/"+id+path, ""); got.status != http.StatusOK {
			t.Errorf("%s of a queued response answered %d %s, want 200", path, got.status, got.body)
		}
	}
}
