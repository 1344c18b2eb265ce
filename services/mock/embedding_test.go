package mock_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
)

// post sends a body and reads the answer.
func post(t *testing.T, url string, body any) (int, http.Header, []byte) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, answer
}

func TestEmbeddingsFollowFromTheTexts(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	for _, tt := range []struct {
		name       string
		input      any
		texts      []string
		dimensions int
		tokens     int
	}{
		{"a text", "two words", []string{"two words"}, 16, 2},
		{"texts", []string{"a", "b c"}, []string{"a", "b c"}, 16, 3},
		{"tokens", []int{1, 2, 3}, []string{"1 2 3"}, 4, 3},
		{"lists of tokens", [][]int{{1}, {2, 3}}, []string{"1", "2 3"}, 3, 3},
	} {
		for _, encoding := range []string{"", "float", "base64"} {
			status, _, text := post(t, url+"/v1/embeddings", object{
				"model": "m", "input": tt.input, "dimensions": tt.dimensions, "encoding_format": encoding,
			})
			var got struct {
				Model string
				Data  []struct {
					Index     int
					Embedding json.RawMessage
				}
				Usage struct {
					Prompt int `json:"prompt_tokens"`
					Total  int `json:"total_tokens"`
				}
			}
			if err := json.Unmarshal(text, &got); err != nil || status != http.StatusOK {
				t.Fatalf("%s: answered %d %s", tt.name, status, text)
			}
			if len(got.Data) != len(tt.texts) || got.Model != "m" || got.Usage.Prompt != tt.tokens || got.Usage.Total != tt.tokens {
				t.Fatalf("%s: answered %s, want %d vectors and %d tokens", tt.name, text, len(tt.texts), tt.tokens)
			}
			for i, want := range tt.texts {
				vector := readVector(t, got.Data[i].Embedding)
				if diff := cmp.Diff(mock.Vector(want, tt.dimensions), vector); diff != "" || got.Data[i].Index != i {
					t.Errorf("%s as %q: vector %d (-want +got):\n%s", tt.name, encoding, i, diff)
				}
				square := 0.0
				for _, v := range vector {
					square += float64(v) * float64(v)
				}
				if math.Abs(square-1) > 1e-5 {
					t.Errorf("%s: the vector's length is %v, want 1", tt.name, math.Sqrt(square))
				}
			}
		}
	}
}

func readVector(t *testing.T, text json.RawMessage) (vector []float32) {
	t.Helper()
	var encoded string
	if json.Unmarshal(text, &encoded) != nil {
		if err := json.Unmarshal(text, &vector); err != nil {
			t.Fatal(err)
		}
		return vector
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) >= 4; b = b[4:] {
		vector = append(vector, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return vector
}

func TestOneCallsFailAsPlanned(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	plan := mock.Plan{Seed: 9, ModelFaults: []mock.Fault{{Status: 503, Times: 1, RetryAfter: "2"}}}
	for path, body := range map[string]object{
		"/v1/embeddings":  {"model": "m", "input": []string{"x", plan.Prompt()}},
		"/v1/completions": {"model": "m", "prompt": plan.Prompt()},
	} {
		status, header, text := post(t, url+path, body)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "2" || !strings.Contains(string(text), `"error"`) {
			t.Errorf("%s: the first attempt was answered %d %v %s", path, status, header, text)
		}
		if status, _, text = post(t, url+path, body); status != http.StatusOK {
			t.Errorf("%s: the second attempt was answered %d %s", path, status, text)
		}
		if path == "/v1/completions" && !strings.Contains(string(text), `"text":"`+plan.Answer()+`"`) {
			t.Errorf("the completion is %s, want %q", text, plan.Answer())
		}
	}
	kinds := map[string]int{}
	for _, e := range s.Ledger() {
		if e.Seed == 9 {
			kinds[e.Kind]++
		}
		if e.Status == http.StatusOK && (e.PromptTokens == 0 || e.Kind == "embedding" && e.CompletionTokens != 0) {
			t.Errorf("entry %+v lacks its usage", e)
		}
	}
	if diff := cmp.Diff(map[string]int{"embedding": 2, "completion": 2}, kinds); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func TestOneCallsThatAreRefused(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	for name, tt := range map[string]struct {
		path string
		body any
	}{
		"no object":          {"/v1/embeddings", "x"},
		"no model":           {"/v1/embeddings", object{"input": "x"}},
		"no input":           {"/v1/embeddings", object{"model": "m"}},
		"mixed input":        {"/v1/embeddings", object{"model": "m", "input": []any{"x", []string{"a", "b"}}}},
		"too many numbers":   {"/v1/embeddings", object{"model": "m", "input": "x", "dimensions": 1 << 20}},
		"another encoding":   {"/v1/embeddings", object{"model": "m", "input": "x", "encoding_format": "int8"}},
		"no model to prompt": {"/v1/completions", object{"prompt": "x"}},
	} {
		if status, _, text := post(t, url+tt.path, tt.body); status != http.StatusBadRequest {
			t.Errorf("%s: answered %d %s, want 400", name, status, text)
		}
	}
	if status, _, text := post(t, url+"/v1/completions", object{"model": "m", "prompt": "say this"}); status != http.StatusOK || !strings.Contains(string(text), `"text":"say this"`) {
		t.Errorf("a prompt without a plan: answered %d %s", status, text)
	}
}
