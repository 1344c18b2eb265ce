package transcript

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
)

// What upstreams attached to what was said in a conversation comes from the
// records of its responses, item by item.
func TestAttach(t *testing.T) {
	t.Parallel()
	kept, gone, broken := uuid.New(), uuid.New(), uuid.New()
	text := func(r uuid.UUID, place int) item.Item {
		return item.Message(itemid.Output("message", r, 2, place), "assistant", "completed", item.Part{Type: "output_text", Text: "x"})
	}
	function := item.Call{ID: itemid.Output("function_call", kept, 2, 2), Status: "completed", CallID: "c", Name: "add", Arguments: "{}"}
	hosted := function
	hosted.ID, hosted.ServerLabel = itemid.Output("mcp_call", kept, 2, 2), "windlass"
	record, err := Record{
		Items: []item.Item{item.Reasoning{ID: itemid.Output("reasoning", kept, 2, 0)}.Item(), text(kept, 1), function.Function(), text(kept, 3)}, Origin: "o",
		Own: map[int]json.RawMessage{0: json.RawMessage(`{"a":0}`), 2: json.RawMessage(`{"a":2}`), 3: json.RawMessage(`{"a":3}`)},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(record, AttachedMark) {
		t.Errorf("the mark is not in %s", record)
	}
	var data [][]byte
	for _, it := range []item.Item{item.UserText("hi"), text(kept, 1), hosted.MCP(), text(kept, 3), item.UserText("hi"), text(gone, 0), item.UserText("hi"), text(broken, 0)} {
		data = append(data, it.JSON())
	}
	all, err := Conversation(data)
	if err != nil {
		t.Fatal(err)
	}
	want := []run.TurnKey{{Request: kept, Turn: 2}, {Request: gone, Turn: 2}, {Request: broken, Turn: 2}}
	if diff := cmp.Diff(want, TurnsOf(all)); diff != "" {
		t.Errorf("said in (-want +got):\n%s", diff)
	}
	Attach(all, map[run.TurnKey][]byte{want[0]: record, want[2]: []byte(`{"items":7}`)})
	got := all[0].Turns[0]
	if diff := cmp.Diff(map[int]json.RawMessage{1: json.RawMessage(`{"a":2}`), 2: json.RawMessage(`{"a":3}`)}, got.Own); diff != "" || got.Origin != "o" {
		t.Errorf("attached, of %q (-want +got):\n%s", got.Origin, diff)
	}
	for _, a := range all[1:] {
		if a.Turns[0].Own != nil || a.Turns[0].Origin != "" {
			t.Errorf("a turn without a record has %v of %q", a.Turns[0].Own, a.Turns[0].Origin)
		}
	}
}

// Records of older versions have neither origin nor attached members.
func TestRecordsOfOlderVersions(t *testing.T) {
	t.Parallel()
	turns, err := Turns(run.Chain{Steps: []run.Step{{Turn: 1, State: run.StepDone, Output: []byte(`{"items":[{"type":"message","role":"assistant","content":"a"}],"usage":{}}`)}}})
	if err != nil || len(turns) != 1 || turns[0].Origin != "" || turns[0].Own != nil {
		t.Errorf("Turns = %+v, %v", turns, err)
	}
	now, err := Record{Items: turns[0].Items}.Encode()
	if err != nil || bytes.Contains(now, []byte("own")) || bytes.Contains(now, []byte("origin")) {
		t.Errorf("a record without them is %s, %v", now, err)
	}
}
