package event

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/quick"
)

var place = Place{ItemID: "msg_1", Output: 1}

func TestPaddingEvensLengthsOut(t *testing.T) {
	t.Parallel()
	p := PaddingOf([16]byte{15: 7})
	for name, tt := range map[string]struct {
		typ      string
		logprobs string
		texts    []string // of one length on the wire
	}{
		"text":      {"response.output_text.delta", "", []string{"a", "hello", `"\` + "\n", "äöü", "fifteen letters"}},
		"long text": {"response.output_text.delta", "", []string{"sixteen letters.", strings.Repeat("x", 31)}},
		"refusal":   {"response.refusal.delta", "", []string{"a", "fifteen letters", `","logp":[]`}},
		"arguments": {"response.mcp_call_arguments.delta", "", []string{`{`, `{"a":1}`}},
		"logprobs":  {"response.output_text.delta", `[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]}]`, []string{"a", "hello", "fifteen letters"}},
	} {
		lengths := map[int]bool{}
		for _, text := range tt.texts {
			var logprobs []byte
			if tt.logprobs != "" {
				logprobs = []byte(tt.logprobs)
			}
			bare := place.Say(tt.typ, "delta", text, logprobs)
			e := p.Add(bare, 9)
			if again := p.Add(bare, 9); string(again.Data) != string(e.Data) {
				t.Errorf("%s: %s is %s the next time", name, e.Data, again.Data)
			}
			if other := p.Add(bare, 10); len(other.Data) != len(e.Data) || string(other.Data) == string(e.Data) {
				t.Errorf("%s: %s is %s at another place", name, e.Data, other.Data)
			}
			lengths[len(e.Data)] = true
		}
		if len(lengths) != 1 {
			t.Errorf("%s: lengths are %v, want one", name, lengths)
		}
	}
}

func TestPaddedDeltasSayTheSame(t *testing.T) {
	t.Parallel()
	p := PaddingOf([16]byte{1, 2, 3, 15: 4})
	err := quick.Check(func(text string, number uint16) bool {
		var got struct{ Delta, Obfuscation, Type string }
		for _, typ := range []string{"response.output_text.delta", "response.function_call_arguments.delta"} {
			bare := place.Say(typ, "delta", text, nil)
			padded := p.Add(bare, int(number))
			var want struct{ Delta string }
			if json.Unmarshal(bare.AppendJSON(nil, 1), &want) != nil || json.Unmarshal(padded.AppendJSON(nil, 1), &got) != nil {
				return false
			}
			if got.Delta != want.Delta || got.Obfuscation == "" || len(got.Obfuscation) > 16 || got.Type != typ {
				return false
			}
		}
		return true
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestOnlyDeltasArePadded(t *testing.T) {
	t.Parallel()
	p := PaddingOf([16]byte{})
	for _, e := range []Event{
		place.Say("response.output_text.done", "text", "a", nil), place.Call("completed"), {"", []byte(`{"choices":[]}`)}, {"response.odd.delta", nil},
	} {
		if got := p.Add(e, 1); string(got.Data) != string(e.Data) {
			t.Errorf("%s %s became %s", e.Type, e.Data, got.Data)
		}
	}
	bare := place.Say("response.output_text.delta", "delta", "a", nil)
	if got := (*Padding)(nil).Add(bare, 1); string(got.Data) != string(bare.Data) {
		t.Errorf("without padding %s became %s", bare.Data, got.Data)
	}
}
