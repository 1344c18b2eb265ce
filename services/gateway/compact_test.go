package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/internal/compaction"
)

const shortened = `{"id":"resp_1","object":"response.compaction","created_at":1,"output":[],"usage":{}}`

// sealed is the encrypted_content of a compaction item.
func sealed(tb testing.TB, secret, tenant string) string {
	tb.Helper()
	keys, err := compaction.ReadKeys(secret)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := keys.Seal(tenant, compaction.Content{Summary: "They met."})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestAHistoryIsCompactedByOneCall(t *testing.T) {
	t.Parallel()
	s := raise(t)
	previous := s.concluded(`"input":"hi"`, run.Completed, "")
	for body, parent := range map[string]string{
		`{"model":"m","input":"hi","instructions":"Be brief.","prompt_cache_key":"k","service_tier":"flex"}`: "",
		`{"model":"m","previous_response_id":"` + previous + `"}`:                                            previous,
		// What Codex sends along says how a response would be made.
		`{"model":"m","input":[{"role":"user","content":"hi"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],"parallel_tool_calls":true,"store":true,"reasoning":{"effort":"low"},"text":{"verbosity":"low"}}`: "",
	} {
		answers := s.later("POST", compactPath, body)
		row := s.claim()
		if row.Tenant != auth.DefaultTenant || row.Model != "m" || row.Endpoint != "responses/compact" || (parent == "") != (row.Parent == [16]byte{}) ||
			parent != "" && run.ResponseID.Format(row.Parent) != parent {
			t.Errorf("%s: the row is %+v", body, row)
		}
		a, err := s.answers.Read(t.Context(), auth.DefaultTenant, row.ID)
		if err != nil || a.Stored || a.Background || a.Streamed {
			t.Errorf("%s: the request is %+v, %v; want it unstored and in the foreground", body, a, err)
		}
		c, err := s.store.Load(t.Context(), row.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "stored body", c.Body, body)
		s.end(row, run.TurnCommit{Output: []byte(shortened), Outcome: run.Completed})
		r := receive(t, answers)
		if r.status != http.StatusOK || r.header.Get(answer.RequestHeader) != callPrefix+run.Hex(row.ID) {
			t.Errorf("%s answered %d %v", body, r.status, r.header)
		}
		same(t, "answer", r.body, shortened)

		if r := s.call("GET", "/v1/responses/"+run.ResponseID.Format(row.ID), ""); r.status != http.StatusNotFound {
			t.Errorf("what was made is read: %d %s", r.status, r.body)
		}
		again := s.call("POST", "/v1/responses", `{"model":"m","input":"hi","previous_response_id":"`+run.ResponseID.Format(row.ID)+`"}`)
		if f := again.fault(t); again.status != http.StatusBadRequest || f["code"] != run.CodePreviousNotFound {
			t.Errorf("what was made is continued: %d %s", again.status, again.body)
		}
		if r := s.call("GET", "/v1/requests/"+callPrefix+run.Hex(row.ID)+"/steps", ""); r.status != http.StatusOK || strings.Contains(string(r.body), "compaction") {
			t.Errorf("the trail is %d %s, want it without what was said", r.status, r.body)
		}
	}
}

func TestACompactionThatFailedIsAnHTTPError(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, tt := range []struct {
		why          run.Failure
		status       int
		param, retry any
	}{
		{run.Failure{Code: "previous_response_not_found", Message: "Deleted."}, 400, "previous_response_id", ""},
		{run.Failure{Code: "invalid_encrypted_content", Message: "Sealed."}, 400, nil, ""},
		{run.Failure{Code: "context_length_exceeded", HTTPStatus: 400, Own: []byte(`{"message":"Long.","type":"invalid_request_error","code":"context_length_exceeded"}`)}, 400, nil, ""},
		{run.Failure{Code: "max_output_tokens", Message: "Cut.", HTTPStatus: 200}, 502, nil, "false"},
		{run.Failure{Code: "rate_limit_exceeded", HTTPStatus: 429, Own: []byte(`{"message":"Slow.","code":"rate_limit_exceeded"}`)}, 429, nil, "false"},
	} {
		answers := s.later("POST", compactPath, `{"model":"m","input":"hi"}`)
		s.end(s.claim(), failedCall(tt.why))
		r := receive(t, answers)
		if f := r.fault(t); r.status != tt.status || f["code"] != tt.why.Code || f["param"] != tt.param || r.header.Get("X-Should-Retry") != tt.retry {
			t.Errorf("%s answered %d %v %s, want %d, param %v", tt.why.Code, r.status, r.header, r.body, tt.status, tt.param)
		}
	}
}

func TestCompactRefuses(t *testing.T) {
	t.Parallel()
	s := raise(t)
	good, foreign := sealed(t, testSeal, auth.DefaultTenant), sealed(t, testSeal, "acme")
	item := func(content string) string { return `{"type":"compaction","encrypted_content":"` + content + `"}` }
	for name, tt := range map[string]struct{ path, fields, param, code string }{
		"no model":                 {compactPath, `"model":null,"input":"hi"`, "model", "missing_required_parameter"},
		"nothing to compact":       {compactPath, `"instructions":"x"`, "input", "missing_required_parameter"},
		"input of another type":    {compactPath, `"input":7`, "input", "invalid_type"},
		"a stream":                 {compactPath, `"input":"hi","stream":true`, "stream", "unsupported_parameter"},
		"in the background":        {compactPath, `"input":"hi","background":true`, "background", "unsupported_parameter"},
		"a warm-up":                {compactPath, `"input":"hi","generate":false`, "generate", "unsupported_parameter"},
		"a conversation":           {compactPath, `"input":"hi","conversation":"conv_1"`, "conversation", "unsupported_parameter"},
		"an unknown response":      {compactPath, `"previous_response_id":"resp_1"`, "previous_response_id", "previous_response_not_found"},
		"a call without output":    {compactPath, `"input":[{"type":"function_call","call_id":"c","name":"f","arguments":""}]`, "input", ""},
		"what no model can see":    {compactPath, `"input":[{"type":"web_search_call","id":"ws_1"}]`, "input[0]", "unsupported_value"},
		"a forged item":            {compactPath, `"input":[{"role":"user","content":"hi"},` + item("AQAA") + `]`, "input[1].encrypted_content", "invalid_encrypted_content"},
		"another tenant's item":    {"/v1/responses", `"input":[` + item(good) + `,` + item(foreign) + `]`, "input[1].encrypted_content", "invalid_encrypted_content"},
		"an item of another key":   {"/v1/responses", `"input":[` + item(sealed(t, "another secret of 16", auth.DefaultTenant)) + `]`, "input[0].encrypted_content", "invalid_encrypted_content"},
		"an item without content":  {"/v1/responses", `"input":[{"type":"compaction"}]`, "input[0].encrypted_content", "missing_required_parameter"},
		"one for a conversation":   {"/v1/conversations", `"items":[` + item(good) + `,` + item(foreign) + `]`, "items[1].encrypted_content", "invalid_encrypted_content"},
		"one a conversation holds": {"/v1/conversations/" + s.conversation() + "/items", `"items":[` + item(foreign) + `]`, "items[0].encrypted_content", "invalid_encrypted_content"},
	} {
		fields := tt.fields
		if strings.HasPrefix(tt.path, "/v1/responses") && !strings.Contains(fields, `"model"`) {
			fields = `"model":"m",` + fields
		}
		r := s.call("POST", tt.path, `{`+fields+`}`)
		code, _ := r.fault(t)["code"].(string)
		if r.status != http.StatusBadRequest || r.fault(t)["param"] != tt.param || code != tt.code {
			t.Errorf("%s answered %d %s, want 400, param %q, code %q", name, r.status, r.body, tt.param, tt.code)
		}
	}
	if n := s.backlog(); n != 0 {
		t.Errorf("%d requests were accepted", n)
	}
}

func TestACompactionItemComesBackAsItCame(t *testing.T) {
	t.Parallel()
	s := raise(t)
	content := sealed(t, testSeal, auth.DefaultTenant)
	item := `{"type":"compaction","id":"cmp_1","encrypted_content":"` + content + `"}`
	r := s.call("POST", "/v1/responses", `{"model":"m","background":true,"input":[`+item+`,{"role":"user","content":"hi"}]}`)
	if r.status != http.StatusOK {
		t.Fatalf("create answered %d %s", r.status, r.body)
	}
	listed := s.call("GET", "/v1/responses/"+r.object(t)["id"].(string)+"/input_items?order=asc", "")
	same(t, "the first item", []byte(listed.object(t)["first_id"].(string)), "cmp_1")
	if !strings.Contains(string(listed.body), item) || strings.Contains(string(listed.body), "They met.") {
		t.Errorf("input_items is %s, want it with %s", listed.body, item)
	}
	id := s.conversation()
	if r := s.call("POST", "/v1/conversations/"+id+"/items", `{"items":[`+item+`]}`); r.status != http.StatusOK || !strings.Contains(string(r.body), item) {
		t.Errorf("a conversation answered %d %s", r.status, r.body)
	}
}

func TestWithoutASealKeyNothingIsCompacted(t *testing.T) {
	t.Parallel()
	content := sealed(t, testSeal, auth.DefaultTenant)
	s := raise(t, func(c *Config) { c.SealKeys = "" })
	r := s.call("POST", compactPath, `{"model":"m","input":"hi"}`)
	if r.status != http.StatusNotFound || r.fault(t)["code"] != "compaction_not_configured" {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	for fields, want := range map[string][2]any{
		`"input":[{"type":"compaction","encrypted_content":"` + content + `"}]`:              {"invalid_encrypted_content", "input[0].encrypted_content"},
		`"input":[{"role":"user","content":"hi"},{"type":"compaction_trigger"}]`:             {"unsupported_parameter", "input[1]"},
		`"input":"hi","context_management":[{"type":"compaction","compact_threshold":1000}]`: {"unsupported_parameter", "context_management"},
	} {
		r := s.call("POST", "/v1/responses", `{"model":"m",`+fields+`}`)
		if f := r.fault(t); r.status != http.StatusBadRequest || f["code"] != want[0] || f["param"] != want[1] {
			t.Errorf("%s is answered %d %s, want %v", fields, r.status, r.body, want)
		}
	}
}

func TestARepeatedCompactionIsTheSame(t *testing.T) {
	t.Parallel()
	s := raise(t)
	const body = `{"model":"m","input":"hi"}`
	first := s.laterSend(s.keyed("k", "POST", compactPath, body))
	row := s.claim()
	second := s.laterSend(s.keyed("k", "POST", compactPath, body))
	s.end(row, run.TurnCommit{Output: []byte(shortened), Outcome: run.Completed})
	for _, answers := range []<-chan reply{first, second} {
		same(t, "the answer", receive(t, answers).body, shortened)
	}
	third := s.sendKeyed("k", compactPath, body)
	wantReplayed(t, "the third", third, true)
	same(t, "the third answer", third.body, shortened)
	if third.header.Get(answer.RequestHeader) != callPrefix+run.Hex(row.ID) || s.backlog() != 0 {
		t.Errorf("%v, and %d more requests", third.header, s.backlog())
	}
	if r := s.sendKeyed("k", "/v1/responses", body); r.status != http.StatusUnprocessableEntity {
		t.Errorf("the key is taken for a response: %d %s", r.status, r.body)
	}
}

func TestAHangUpCancelsACompaction(t *testing.T) {
	t.Parallel()
	s := raise(t)
	ctx, hangUp := context.WithCancel(t.Context())
	r := s.request(ctx, "POST", compactPath, `{"model":"m","input":"hi"}`)
	gone := make(chan error, 1)
	go func() {
		resp, err := s.http.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		gone <- err
	}()
	eventually(t, "the request", func() bool { return s.backlog() == 1 })
	hangUp()
	if err := <-gone; err == nil {
		t.Error("the client was answered")
	}
	eventually(t, "the cancel", func() bool { return s.backlog() == 0 })
}
