package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

const counted = `{"object":"response.input_tokens","input_tokens":9,"estimated":true}`

func TestTokensAreCountedByOneStep(t *testing.T) {
	t.Parallel()
	s := raise(t)
	previous := s.concluded(`"input":"hi"`, run.Completed, "")
	for body, parent := range map[string]string{
		`{"model":"m","input":"hi","instructions":"Be brief.","store":true,"metadata":{"a":"1"}}`:  "",
		`{"model":"m","input":"hi","previous_response_id":"` + previous + `"}`:                     previous,
		`{"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{}}]}`:      "",
		`{"model":"m","input":[{"type":"item_reference","id":"` + inputOf(t, s, previous) + `"}]}`: "",
	} {
		answers := s.later("POST", inputTokensPath, body)
		row := s.claim()
		if row.Endpoint != "responses/input_tokens" || (parent == "") != (row.Parent == [16]byte{}) || parent != "" && run.ResponseID.Format(row.Parent) != parent {
			t.Errorf("%s: the row is %+v", body, row)
		}
		a, err := s.answers.Read(t.Context(), auth.DefaultTenant, row.ID)
		if err != nil || a.Stored || a.Background || a.Streamed {
			t.Errorf("%s: the request is %+v, %v; want it unstored and in the foreground", body, a, err)
		}
		s.end(row, run.TurnCommit{Output: []byte(counted), Outcome: run.Completed})
		r := receive(t, answers)
		if r.status != http.StatusOK || r.header.Get(answer.RequestHeader) != callPrefix+run.Hex(row.ID) {
			t.Errorf("%s answered %d %v", body, r.status, r.header)
		}
		same(t, "answer", r.body, counted)
	}
	if got := s.list(testKey, "").ids(); len(got) != 1 {
		t.Errorf("the list has %v, want no counts", got)
	}
}

// inputOf is the id of the first item of a response's input.
func inputOf(t *testing.T, s *stand, id string) string {
	t.Helper()
	return s.call("GET", "/v1/responses/"+id+"/input_items", "").object(t)["first_id"].(string)
}

// The items of a conversation count as input. A count neither locks the
// conversation nor waits for its lock.
func TestTokensOfAConversation(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.call("POST", "/v1/conversations", `{"items":[{"role":"user","content":"hello"},{"role":"assistant","content":"hi"}]}`).object(t)["id"].(string)
	locks := createdID(t, s.call("POST", "/v1/responses", `{"model":"m","background":true,"input":"one","conversation":"`+id+`"}`))
	s.claim()
	answers := s.later("POST", inputTokensPath, `{"model":"m","input":"two","conversation":"`+id+`"}`)
	row := s.claim()
	c, err := s.store.Load(t.Context(), row.ID)
	if err != nil {
		t.Fatal(err)
	}
	body, f := responses.Decode(c.Body)
	if f != nil || len(body.Input) != 3 || row.Conversation != [16]byte{} {
		t.Errorf("counted is %s, %v, on the conversation %s", c.Body, f, uuid.UUID(row.Conversation))
	}
	for i, want := range []string{"hello", "hi", "two"} {
		if got := string(body.Input[i].JSON()); !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("item %d is %s, want %s", i, got, want)
		}
	}
	s.end(row, run.TurnCommit{Output: []byte(counted), Outcome: run.Completed})
	if r := receive(t, answers); r.status != http.StatusOK {
		t.Errorf("answered %d %s", r.status, r.body)
	}
	var list struct{ Data []json.RawMessage }
	if err := json.Unmarshal(s.call("GET", "/v1/conversations/"+id+"/items", "").body, &list); err != nil || len(list.Data) != 2 {
		t.Errorf("the conversation has %d items, %v, want its two", len(list.Data), err)
	}
	if r := s.call("POST", "/v1/responses/"+locks+"/cancel", ""); r.status != http.StatusOK {
		t.Errorf("what holds the conversation is gone: %d %s", r.status, r.body)
	}
}

func TestCountsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for name, tt := range map[string]struct{ fields, param, code string }{
		"no model":              {`"model":null,"input":"hi"`, "model", "missing_required_parameter"},
		"nothing to count":      {`"instructions":"x"`, "input", "missing_required_parameter"},
		"input of another type": {`"input":7`, "input", "invalid_type"},
		"a stream":              {`"input":"hi","stream":true`, "stream", "unsupported_parameter"},
		"in the background":     {`"input":"hi","background":true`, "background", "unsupported_parameter"},
		"a warm-up":             {`"input":"hi","generate":false`, "generate", "unsupported_parameter"},
		"an unknown response":   {`"input":"hi","previous_response_id":"resp_1"`, "previous_response_id", "previous_response_not_found"},
		"what no model can see": {`"input":[{"type":"web_search_call","id":"ws_1"}]`, "input[0]", "unsupported_value"},
		"both histories":        {`"input":"hi","previous_response_id":"resp_1","conversation":"conv_1"`, "previous_response_id", "mutually_exclusive_parameters"},
	} {
		fields := tt.fields
		if !strings.Contains(fields, `"model"`) {
			fields = `"model":"m",` + fields
		}
		r := s.call("POST", inputTokensPath, `{`+fields+`}`)
		if f := r.fault(t); r.status != http.StatusBadRequest || f["param"] != tt.param || f["code"] != tt.code {
			t.Errorf("%s answered %d %s, want 400, param %q, code %q", name, r.status, r.body, tt.param, tt.code)
		}
	}
	if r := s.call("POST", inputTokensPath, `{"model":"m","input":"hi","conversation":"conv_0190a0b0c0d07000800000000000dead"}`); r.status != http.StatusNotFound {
		t.Errorf("a conversation that is not there is answered %d %s", r.status, r.body)
	}
	if n := s.backlog(); n != 0 {
		t.Errorf("%d requests were accepted", n)
	}
}

func TestACountThatFailedIsAnHTTPError(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", inputTokensPath, `{"model":"m","input":"hi"}`)
	s.end(s.claim(), failedCall(run.Failure{
		Code: "input_tokens_not_supported", HTTPStatus: 400, Own: []byte(`{"message":"No.","type":"invalid_request_error","code":"input_tokens_not_supported"}`),
	}))
	wantRefused(t, "a count", receive(t, answers), http.StatusBadRequest, "input_tokens_not_supported")
}
