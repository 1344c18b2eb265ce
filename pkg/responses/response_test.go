package responses

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/spectest"
)

func conforms(t testing.TB, s *jsonschema.Schema, b []byte) {
	t.Helper()
	spectest.Conforms(t, s, b)
	if bytes.ContainsAny(b, "\r\n") {
		t.Errorf("a line break in %s", b)
	}
}

func decode(t testing.TB, in string) *Create {
	t.Helper()
	c, err := Decode([]byte(in))
	if err != nil {
		t.Fatalf("Decode(%s): %s", in, err.JSON())
	}
	return c
}

// strictly is everything but what the specification does not have.
func strictly(t testing.TB) *Create {
	c := decode(t, everything)
	c.Tools = c.Tools[:2]
	c.ToolChoice = decode(t, body(`"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"f"}]}`)).ToolChoice
	return c
}

var at = time.Unix(1_700_000_000, 999)

func TestResponseConformsToTheSpecification(t *testing.T) {
	t.Parallel()
	resource := spectest.Schema(t, "ResponseResource")
	minimal := decode(t, `{"model":"m","input":"x"}`)
	output := []item.Item{
		item.Reasoning{ID: "rs_1", Summary: []string{"s", "t"}, Text: "hm", Encrypted: "e"}.Item(),
		item.Reasoning{ID: "rs_2"}.Item(),
		item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "a\n\x00\u2028b"},
			item.Part{Type: "refusal", Text: "no"}),
		item.Call{ID: "fc_1", CallID: "c1", Name: "f", Arguments: `{"a":"` + "\xff" + `"}`, Status: "completed"}.Function(),
		item.FunctionOutput("fco_1", "c1", "completed", "x"),
	}
	for name, r := range map[string]Response{
		"minimal":    {ID: "resp_1", Request: minimal, Status: run.Queued, CreatedAt: at},
		"everything": {ID: "resp_1", Request: strictly(t), Status: run.Completed, CreatedAt: at, CompletedAt: at, Output: output, Usage: &Usage{InputTokens: 3, OutputTokens: 4}},
		"incomplete": {ID: "resp_1", Request: minimal, Status: run.Incomplete, CreatedAt: at, Reason: "max_output_tokens", Output: output},
		"failed":     {ID: "resp_1", Request: minimal, Status: run.Failed, CreatedAt: at, Failure: &run.Failure{Code: "server_error", Message: "It\nfailed."}},
		"cancelled":  {ID: "resp_1", Request: minimal, Status: run.Cancelled, CreatedAt: at, CompletedAt: at},
		"plain choice": {
			ID: "resp_1", Status: run.InProgress, CreatedAt: at, Model: "other", ServiceTier: "flex",
			Request: decode(t, body(`"tool_choice":"required","service_tier":"auto","text":{"format":{"type":"json_object"}}`)),
		},
		"function choice": {
			ID: "resp_1", Status: run.InProgress, CreatedAt: at,
			Request: decode(t, body(`"tool_choice":{"type":"function","name":"f"},"text":{},"temperature":1e-9`)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conforms(t, resource, r.JSON())
			if !bytes.Equal(r.JSON(), r.JSON()) {
				t.Error("equal responses gave different bytes")
			}
		})
	}
}

func TestResponseShows(t *testing.T) {
	t.Parallel()
	r := Response{
		ID: "resp_1", Request: decode(t, everything), Status: run.Completed, CreatedAt: at, CompletedAt: at.Add(2 * time.Second),
		Output: []item.Item{item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "hi"})},
		Usage:  &Usage{InputTokens: 10, CachedTokens: 4, CacheWriteTokens: 1, OutputTokens: 5, ReasoningTokens: 2},
	}
	const want = `{"id":"resp_1","object":"response","created_at":1700000000,"status":"completed","completed_at":1700000002,
	"error":null,"incomplete_details":null,
	"output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[],"logprobs":[]}]}],
	"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15},
	"model":"gpt-x","previous_response_id":"resp_0","instructions":"Be brief.","service_tier":"priority",
	"tools":[{"type":"function","name":"f","description":"does","parameters":{"type":"object","properties":{}},"strict":false},
	{"type":"function","name":"g","description":null,"parameters":null,"strict":null},
	{"type":"mcp","server_label":"s","server_url":"https://mcp.test"}],
	"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"mcp","server_label":"s"}]},
	"parallel_tool_calls":false,"max_tool_calls":3,"max_output_tokens":100,"temperature":0.7,"top_p":0.9,
	"presence_penalty":-1,"frequency_penalty":0.5,"top_logprobs":2,"truncation":"auto",
	"text":{"format":{"type":"json_schema","name":"n","description":null,"schema":null,"strict":false},"verbosity":"low"},
	"reasoning":{"effort":"high","summary":"auto"},"store":true,"background":true,"metadata":{"a":"1","b":"2"},
	"safety_identifier":"s","prompt_cache_key":"k","user":"u"}`
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(compact.String(), string(r.JSON())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResponseHidesWhenItEndedUnlessCompleted(t *testing.T) {
	t.Parallel()
	for _, status := range []run.Status{run.Queued, run.InProgress, run.Incomplete, run.Failed, run.Cancelled} {
		r := Response{Request: decode(t, body("")), Status: status, CreatedAt: at, CompletedAt: at}
		if !bytes.Contains(r.JSON(), []byte(`"completed_at":null`)) {
			t.Errorf("%s: %s", status, r.JSON())
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	a := Usage{InputTokens: 1, CachedTokens: 2, CacheWriteTokens: 3, OutputTokens: 4, ReasoningTokens: 5}
	sum := a.Add(a)
	if want := (Usage{2, 4, 6, 8, 10}); sum != want {
		t.Errorf("%+v + itself = %+v, want %+v", a, sum, want)
	}
	b, err := json.Marshal(sum)
	if err != nil {
		t.Fatal(err)
	}
	var got Usage
	if err := json.Unmarshal(b, &got); err != nil || got != sum {
		t.Errorf("%s reads as %+v, %v; want %+v", b, got, err, sum)
	}
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(everything)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	r := Response{ID: "resp_1", Request: decode(b, everything), Status: run.Completed, CreatedAt: at, CompletedAt: at, Usage: &Usage{}}
	b.ReportAllocs()
	for b.Loop() {
		r.JSON()
	}
}
