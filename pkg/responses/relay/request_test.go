package relay

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/run"
)

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const parse = "We could not parse the JSON body of your request."
	for _, tt := range []struct {
		name           string
		e              run.Endpoint
		body           string
		param, code    string
		messageStarts  string
		messageHasKind string
	}{
		{"no JSON", run.ChatCompletions, `{"model":`, "", "", parse, ""},
		{"nothing", run.ChatCompletions, ``, "", "", parse, ""},
		{"something after it", run.Embeddings, `{"model":"m","input":"x"} x`, "", "", parse, ""},
		{"not UTF-8", run.ChatCompletions, "{\"model\":\"\xff\"}", "", "", parse, ""},
		{"too deep", run.ChatCompletions, `{"model":"m","messages":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "", "", parse, ""},
		{"no object", run.ChatCompletions, `[]`, "", "invalid_type", "Invalid type for 'body'", "an array"},
		{"no model", run.ChatCompletions, `{"messages":[{}]}`, "model", "missing_required_parameter", "Missing", ""},
		{"a null model", run.Embeddings, `{"input":"x","model":null}`, "model", "missing_required_parameter", "Missing", ""},
		{"a model that is taken back", run.ChatCompletions, `{"model":"m","messages":[{}],"model":null}`, "model", "missing_required_parameter", "Missing", ""},
		{"an empty model", run.Completions, `{"model":"","prompt":"x"}`, "model", "missing_required_parameter", "Missing", ""},
		{"a model that is no text", run.ChatCompletions, `{"model":7,"messages":[{}]}`, "model", "invalid_type", "Invalid type for 'model'", "an integer"},
		{"no messages", run.ChatCompletions, `{"model":"m"}`, "messages", "missing_required_parameter", "Missing", ""},
		{"null messages", run.ChatCompletions, `{"model":"m","messages":null}`, "messages", "missing_required_parameter", "Missing", ""},
		{"messages in a text", run.ChatCompletions, `{"model":"m","messages":"hi"}`, "messages", "invalid_type", "Invalid type for 'messages'", "a string"},
		{"empty messages", run.ChatCompletions, `{"model":"m","messages":[]}`, "messages", "empty_array", "Invalid 'messages': empty array.", ""},
		{"a message that is text", run.ChatCompletions, `{"model":"m","messages":[{},"hi"]}`, "messages[1]", "invalid_type", "Invalid type for 'messages[1]'", "a string"},
		{"a stream that is text", run.ChatCompletions, `{"model":"m","messages":[{}],"stream":"yes"}`, "stream", "invalid_type", "Invalid type for 'stream'", "a string"},
		{"a stream that is a number", run.Completions, `{"model":"m","stream":1}`, "stream", "invalid_type", "Invalid type for 'stream'", "an integer"},
		{"no input", run.Embeddings, `{"model":"m"}`, "input", "missing_required_parameter", "Missing", ""},
		{"input in an object", run.Embeddings, `{"model":"m","input":{}}`, "input", "invalid_type", "Invalid type for 'input'", "an object"},
		{"input that is a number", run.Embeddings, `{"model":"m","input":1}`, "input", "invalid_type", "Invalid type for 'input'", "an integer"},
		{"empty input", run.Embeddings, `{"model":"m","input":[]}`, "input", "empty_array", "Invalid 'input': empty array.", ""},
		{"one input of a wrong type", run.Embeddings, `{"model":"m","input":["x",true]}`, "input[1]", "invalid_type", "Invalid type for 'input[1]'", "a boolean"},
		{"a prompt in an object", run.Completions, `{"model":"m","prompt":{}}`, "prompt", "invalid_type", "Invalid type for 'prompt'", "an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, f := Decode(tt.e, []byte(tt.body))
			if f == nil {
				t.Fatalf("Decode = %+v, want a refusal", r)
			}
			if f.Status != 400 || f.Type != "invalid_request_error" || f.Param != tt.param || f.Code != tt.code ||
				!strings.HasPrefix(f.Message, tt.messageStarts) || !strings.Contains(f.Message, tt.messageHasKind) {
				t.Errorf("Decode = %d %s, want 400, param %q, code %q, %q…%q", f.Status, f.JSON(), tt.param, tt.code, tt.messageStarts, tt.messageHasKind)
			}
		})
	}
}

func TestUpstream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		e    run.Endpoint
		in   string
		want string
	}{
		{
			"what is not known here passes", run.ChatCompletions,
			`{"vendor":{"model":"x","stream":true},"model":"m","messages":[{"role":"user","content":"hi","model":1}],"n":2,"seed":1.50}`,
			`{"vendor":{"model":"x","stream":true},"model":"up/1","messages":[{"role":"user","content":"hi","model":1}],"n":2,"seed":1.50}`,
		},
		{"a stream is not asked for", run.ChatCompletions, `{"stream":false,"model":"m","messages":[{}],"stream":null}`, `{"model":"up/1","messages":[{}]}`},
		{"every model is replaced", run.Completions, `{"model":"a","prompt":[1,2],"model":"b"}`, `{"model":"up/1","prompt":[1,2]}`},
		{"embeddings have no stream", run.Embeddings, `{"model":"m","input":["a",[1]],"stream":"no"}`, `{"model":"up/1","input":["a",[1]],"stream":"no"}`},
		{"line breaks between tokens go", run.Embeddings, "{\r\n\"model\": \"m\",\n \"input\": \"a\\nb\"\n}", `{"model":"up/1","input":"a\nb"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, f := Decode(tt.e, []byte(tt.in))
			if f != nil {
				t.Fatal(f)
			}
			if got := string(r.Upstream("up/1")); got != tt.want {
				t.Errorf("the upstream gets\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestDecodeReads(t *testing.T) {
	t.Parallel()
	r, f := Decode(run.ChatCompletions, []byte(`{"model":"m","messages":[{}],"stream":true,"service_tier":"flex"}`))
	if f != nil || r.Model != "m" || !r.Stream || r.ServiceTier != "flex" || r.Endpoint != run.ChatCompletions {
		t.Errorf("Decode = %+v, %v", r, f)
	}
	if r, f = Decode(run.Embeddings, []byte(`{"model":"m","input":"x","stream":true,"service_tier":5}`)); f != nil || r.Stream || r.ServiceTier != "" {
		t.Errorf("Decode = %+v, %v; want neither a stream nor a tier", r, f)
	}
}

// FuzzRewrite holds what an upstream gets against the client's body: the same
// but for model and stream.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"\ud83d\ude00 \u0000"}],"stream":false}`), "up", uint8(0))
	f.Add([]byte(`{"mod\u0065l":"m","model":"n","input":[[1,2],"x"],"dimensions":3}`), "a\"\\", uint8(2))
	f.Add([]byte("{\n\"model\":\"m\",\"prompt\":null,\"stream\":true,\"x\":{\"schema\":{}}}"), "\u2028", uint8(1))
	all := []run.Endpoint{run.ChatCompletions, run.Completions, run.Embeddings}
	f.Fuzz(func(t *testing.T, body []byte, model string, which uint8) {
		e := all[int(which)%len(all)]
		before := bytes.Clone(body)
		r, fault := Decode(e, body)
		if fault != nil {
			if fault.Status != 400 || fault.Message == "" || !json.Valid(fault.JSON()) {
				t.Fatalf("Decode(%q) = %d %s", body, fault.Status, fault.JSON())
			}
			return
		}
		out := r.Upstream(model)
		if !bytes.Equal(body, before) {
			t.Fatalf("%q became %q", before, body)
		}
		if bytes.ContainsAny(out, "\r\n") {
			t.Fatalf("%q has a line break", out)
		}
		want, got := members(t, r.body), members(t, out)
		want["model"] = string(raw.AppendText(nil, model))
		if e.Streams() && !r.Stream {
			delete(want, "stream")
		}
		if r.Stream && !r.Usage {
			if out := raw.Value(got["stream_options"]); string(out.Field("include_usage")) != "true" {
				t.Fatalf("the stream is asked with %q", out)
			}
			delete(want, "stream_options")
			delete(got, "stream_options")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q becomes %q (-want +got):\n%s", body, out, diff)
		}
	})
}

// members are an object's, each key once, with the bytes of its last value.
func members(tb testing.TB, text []byte) map[string]string {
	tb.Helper()
	v, err := raw.Parse(text)
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	all := map[string]string{}
	for key, m := range v.Members() {
		all[string(key)] = string(m)
	}
	return all
}
