package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
)

// listing is a page as clients read it.
type listing struct {
	Object  string
	Data    []struct{ ID, Status string }
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

func (s *stand) list(key, query string) listing {
	s.tb.Helper()
	r := s.as(key, "GET", "/v1/responses"+query, "")
	var l listing
	if err := json.Unmarshal(r.body, &l); err != nil || r.status != http.StatusOK || l.Object != "list" || l.Data == nil {
		s.tb.Fatalf("list %q answered %d %s", query, r.status, r.body)
	}
	return l
}

func (l listing) ids() []string {
	var ids []string
	for _, r := range l.Data {
		ids = append(ids, r.ID)
	}
	return ids
}

// names gives short names to the ids of a list.
func names(ids []string, of map[string]string) string {
	var short []string
	for _, id := range ids {
		short = append(short, of[id])
	}
	return strings.Join(short, " ")
}

func TestListOfResponses(t *testing.T) {
	t.Parallel()
	s := raise(t)
	other, _ := s.mint("other")
	began := time.Now().Unix()
	conversation := s.call("POST", "/v1/conversations", "{}").object(t)["id"].(string)
	first := s.concluded(`"input":"1","metadata":{"user":"u1","a[b] c":"x&y"}`, run.Completed, "")
	of := map[string]string{
		first: "first",
		s.concluded(`"input":"2","metadata":{"user":"u1"},"previous_response_id":"`+first+`"`, run.Incomplete, ""): "second",
		s.concluded(`"input":"3","metadata":{"user":"u2"}`, run.Cancelled, ""):                                     "third",
		s.concluded(`"input":"4","conversation":"`+conversation+`"`, run.Failed, ""):                               "fourth",
		createdID(t, s.call("POST", "/v1/responses", `{"model":"b","background":true,"input":"5"}`)):               "fifth",
	}
	id := map[string]string{}
	for public, name := range of {
		id[name] = public
	}
	deleted := s.concluded(`"input":"6","metadata":{"user":"u1"}`, run.Completed, "")
	if got := s.call("DELETE", "/v1/responses/"+deleted, ""); got.status != http.StatusOK {
		t.Fatalf("delete answered %d %s", got.status, got.body)
	}
	theirs := createdID(t, s.as(other, "POST", "/v1/responses", `{"model":"m","background":true,"input":"7","metadata":{"user":"u1"}}`))

	for _, tt := range []struct {
		query string
		more  bool
		want  string
	}{
		{"", false, "fifth fourth third second first"},
		{"?order=asc", false, "first second third fourth fifth"},
		{"?limit=2", true, "fifth fourth"},
		{"?limit=2&after=" + id["fourth"], true, "third second"},
		{"?limit=2&after=" + id["second"], false, "first"},
		{"?limit=2&before=" + id["first"], true, "third second"},
		{"?limit=2&before=" + id["third"], false, "fifth fourth"},
		{"?limit=2&order=asc&before=" + id["fourth"], true, "second third"},
		{"?order=asc&after=" + id["first"] + "&before=" + id["fourth"], false, "second third"},
		{"?limit=1&after=" + id["fifth"] + "&before=" + id["second"], true, "fourth"},
		{"?after=" + deleted, false, "fifth fourth third second first"}, // ids are places, of what is not there too
		{"?after=" + theirs, false, "fifth fourth third second first"},
		{"?before=" + theirs, false, ""},
		{"?status=completed", false, "first"},
		{"?status=failed&status[]=incomplete&status=failed", false, "fourth second"},
		{"?status=queued", false, "fifth"},
		{"?model=b", false, "fifth"},
		{"?model=gone", false, ""},
		{"?metadata[user]=u1", false, "second first"},
		{"?metadata%5Buser%5D=u1&limit=1", true, "second"},
		{"?metadata[user]=u1&status=incomplete&model=m", false, "second"},
		{"?metadata[user]=u1&metadata[a[b]%20c]=x%26y", false, "first"},
		{"?metadata[user]=u2&metadata[a[b]%20c]=x%26y", false, ""},
		{"?metadata[u%00]=", false, ""},
		{"?previous_response_id=" + id["first"], false, "second"},
		{"?conversation=" + conversation, false, "fourth"},
		{"?conversation=" + strings.Replace(first, "resp_", "conv_", 1), false, ""},
		{fmt.Sprintf("?created_at[gte]=%d", began), false, "fifth fourth third second first"},
		{fmt.Sprintf("?created_at[lt]=%d", began), false, ""},
		{fmt.Sprintf("?created_at[gt]=%d&order=asc", time.Now().Unix()+1), false, ""},
		{"?created_at[lte]=9223372036854775807&limit=1&order=asc", true, "first"},
		{"?include[]=reasoning.encrypted_content&limit=1", true, "fifth"},
	} {
		l := s.list(testKey, tt.query)
		ids := l.ids()
		if got := names(ids, of); got != tt.want || l.HasMore != tt.more {
			t.Errorf("%q lists %q (%q), more %v; want %q, more %v", tt.query, got, ids, l.HasMore, tt.want, tt.more)
		}
		if n := len(ids); n == 0 && (l.FirstID != nil || l.LastID != nil) || n > 0 && (*l.FirstID != ids[0] || *l.LastID != ids[n-1]) {
			t.Errorf("%q goes from %v to %v, its responses are %v", tt.query, l.FirstID, l.LastID, ids)
		}
	}
	if got := s.list(other, "?metadata[user]=u1").ids(); len(got) != 1 || got[0] != theirs {
		t.Errorf("another tenant is listed %v, want its own %s", got, theirs)
	}
}

// What is listed is what is read by its id.
func TestListedResponses(t *testing.T) {
	t.Parallel()
	s := raise(t)
	s.concluded(`"input":"1"`, run.Completed, `{"type":"message"}`)
	s.concluded(`"input":"2"`, run.Cancelled, "")
	s.background()
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal(s.call("GET", "/v1/responses", "").body, &list); err != nil || len(list.Data) != 3 {
		t.Fatalf("the list has %d entries, %v, want 3", len(list.Data), err)
	}
	for _, listed := range list.Data {
		var r struct{ ID string }
		if err := json.Unmarshal(listed, &r); err != nil {
			t.Fatal(err)
		}
		var one json.RawMessage
		if err := json.Unmarshal(s.call("GET", "/v1/responses/"+r.ID, "").body, &one); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(one), string(listed)); diff != "" {
			t.Errorf("%s (-read +listed):\n%s", r.ID, diff)
		}
	}
}

// No list shows what only the client that waited may see, and no request
// that is no response.
func TestListOfWhatIsNotStored(t *testing.T) {
	t.Parallel()
	s := raise(t)
	waiting := s.later("POST", "/v1/responses", `{"model":"m","store":false,"input":"hi","metadata":{"a":"1"}}`)
	row := s.claim()
	s.finish(row, run.Completed, fmt.Sprintf(`{"id":%q,"output":[]}`, run.ResponseID.Format(row.ID)))
	s.bus.DoneHint(run.Hex(row.ID))
	if got := receive(t, waiting); got.status != http.StatusOK {
		t.Fatalf("the client was answered %d %s", got.status, got.body)
	}
	for _, query := range []string{"", "?metadata[a]=1", "?status=completed", "?model=m"} {
		if got := s.list(testKey, query).ids(); got != nil {
			t.Errorf("%q lists %v, want nothing", query, got)
		}
	}
}

// A response that a gateway without labels has accepted is listed, and not
// found by its metadata.
func TestListOfResponsesWithoutLabels(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.concluded(`"input":"1","metadata":{"a":"1"}`, run.Completed, "")
	s.move(id, `DELETE FROM labels WHERE request_id = $1`)
	for query, want := range map[string]int{"": 1, "?status=completed&model=m": 1, "?metadata[a]=1": 0} {
		if got := s.list(testKey, query).ids(); len(got) != want {
			t.Errorf("%q lists %v, want %d", query, got, want)
		}
	}
}

func TestListsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := raise(t)
	many := ""
	for i := range 17 {
		many += fmt.Sprintf("&metadata[k%d]=v", i)
	}
	for _, tt := range []struct{ query, param, code string }{
		{"limit=0", "limit", "integer_below_min_value"},
		{"limit=101", "limit", "integer_above_max_value"},
		{"order=up", "order", "invalid_value"},
		{"after=resp_1", "after", "invalid_value"},
		{"before=msg_0190a0b0c0d07000800000000000dead", "before", "invalid_value"},
		{"status=expired", "status", "invalid_value"},
		{"status=", "status", "invalid_value"},
		{"model=%00", "model", "invalid_value"},
		{"model=%ff", "model", "invalid_value"},
		{"metadata=x", "metadata", "invalid_type"},
		{"metadata[a=x", "metadata", "invalid_type"},
		{"metadata[a]=x&metadata[a]=y", "metadata", "invalid_type"},
		{many, "metadata", "object_above_max_properties"},
		{"metadata[a]=" + strings.Repeat("x", 513), "metadata.a", "string_above_max_length"},
		{"previous_response_id=x", "previous_response_id", "invalid_value"},
		{"conversation=conv_x", "conversation", "invalid_value"},
		{"created_at[gt]=yesterday", "created_at[gt]", "invalid_type"},
		{"created_at[lte]=-1", "created_at[lte]", "integer_below_min_value"},
		{"include=all", "include[0]", "invalid_value"},
	} {
		got := s.call("GET", "/v1/responses?"+tt.query, "")
		if f := got.fault(t); got.status != http.StatusBadRequest || f["param"] != tt.param || f["code"] != tt.code {
			t.Errorf("%s answered %d %s, want 400, param %s, code %s", tt.query, got.status, got.body, tt.param, tt.code)
		}
	}
}
