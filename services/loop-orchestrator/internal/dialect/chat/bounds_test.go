package chat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/internal/transcript"
)

// A member that is too large is dropped whole, and the answer counts.
func TestAttachedIsBounded(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", maxAttached/2)
	a, err := readStream(t, chunk(`"content":"a","details":[{"type":"text","text":"`+half+`"}],"note":"kept"`),
		chunk(`"details":[{"type":"text","text":"`+half+`"}]`), chunk(`"details":[{"type":"text","text":"more"}]`), chunk(`"other":"`+half+`"`),
		callChunk(`{"id":"`+half+half+`","function":{"name":"f","arguments":"{}"}}`), endChunk("stop"))
	if err != nil {
		t.Fatal(err)
	}
	got, ok := sentMessages(t, nextCall(t, recordTurn("a", 1, a), "a"))[1].(map[string]any)
	if !ok || got["content"] != "a" || got["note"] != "kept" || got["other"] != half || got["details"] != nil {
		t.Errorf("sent back with the members %v", len(got))
	}
	if strings.Contains(string(a.Outputs[1].Own), "xxx") {
		t.Error("an id of 1 MiB is kept")
	}
}

// Members that the last message repeats are kept once.
func TestAttachedOnce(t *testing.T) {
	t.Parallel()
	const details = `"reasoning_details":[{"type":"reasoning.text","text":"r","index":0}]`
	a, err := readStream(t, chunk(`"reasoning":"r",`+details), chunk(`"content":[{"type":"text","text":"a"},{"type":"acme"}],"reasoning_content":"s"`),
		`{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"acme"}],"reasoning":"r","reasoning_content":"s",`+details+`},"finish_reason":"stop"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"acme"}],"reasoning":"r","reasoning_content":"s",` + details + `}`
	if diff := cmp.Diff(parseJSON(t, want), sentMessages(t, nextCall(t, recordTurn("a", 1, a), "a"))[1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Deep values cost no more than their size.
func TestDeepMembers(t *testing.T) {
	t.Parallel()
	const levels = 9000 // what encoding/json takes
	deep := chunk(`"deep":` + strings.Repeat(`{"a":`, levels) + `1` + strings.Repeat(`}`, levels))
	chunks := []string{chunk(`"content":"a"`)}
	for range 15 {
		chunks = append(chunks, deep)
	}
	a, err := readStream(t, append(chunks, endChunk("stop"))...)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := sentMessages(t, nextCall(t, recordTurn("a", 1, a), "a"))[1].(map[string]any)
	if !ok || got["deep"] == nil {
		t.Errorf("sent back as %v", got["content"])
	}
}

// Each turn's messages start with the bytes of the turn before.
func TestMessagesBeginAsBefore(t *testing.T) {
	t.Parallel()
	a, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{"content":" ","z":1,"b":{"y":2,"a":1},"reasoning":"r","tool_calls":[{"id":"f:0","zz":1,"aa":2,"function":{"name":"sum"}}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var turns []transcript.Turn
	before := ""
	for n := range 4 {
		c := call(t, `[{"role":"user","content":""}]`, turns...)
		c.Origin = "a"
		all, err := encodeHistory(c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(marshalable(all))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(b), before) {
			t.Errorf("turn %d sends\n%s\nbehind\n%s", n, b, before)
		}
		before = strings.TrimSuffix(string(b), "]")
		turns = append(turns, recordTurn("a", n+1, a))
	}
}
