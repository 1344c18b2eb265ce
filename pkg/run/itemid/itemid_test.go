package itemid_test

import (
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
)

const digits = "01890a5dac96774bbcceb302099a8057"

var request, _ = run.ParseHex(digits)

func TestIDsAreReadBack(t *testing.T) {
	t.Parallel()
	items, fault := item.List([]byte(`[{"role":"user","content":"x"},{"type":"function_call","id":"fc_own","call_id":"c","name":"f","arguments":""},
		{"type":"function_call_output","call_id":"c","output":""},{"type":"acme:item"}]`), "input")
	if fault != nil {
		t.Fatal(fault)
	}
	for i, want := range []string{"msg_" + digits + "_in0000", "fc_own", "fco_" + digits + "_in0002", "item_" + digits + "_in0003"} {
		got := item.StoredInput(request, items)[i]
		if got.ID != want || !item.IsID(want) {
			t.Errorf("item %d has the id %s, want %s", i, got.ID, want)
		}
	}
	for i, want := range []string{"msg_" + digits + "_cv0000", "fc_own"} {
		if got := item.StoredAdditions(request, items)[i].ID; got != want || !item.IsID(want) {
			t.Errorf("added item %d has the id %s, want %s", i, got, want)
		}
	}
	if got, want := itemid.Output("reasoning", request, 2, 17), "rs_"+digits+"00020011"; got != want || !item.IsID(want) {
		t.Errorf("Output = %s, want %s", got, want)
	}
	for id, want := range map[string]int{
		itemid.Output("reasoning", request, 2, 17): 2, itemid.Output("reasoning", request, 1<<17, 3): 1 << 17, "msg_" + digits + "_in0000": 0, "msg_" + digits + "_cv0000": 0, "fc_own": 0, "msg_" + digits + "00000001": 0,
	} {
		of, turn, ok := itemid.Step(id)
		if ok != (want > 0) || ok && (of != request || turn != want) {
			t.Errorf("Step(%s) = %s, %d, %v; want turn %d", id, run.Hex(of), turn, ok, want)
		}
	}
	if got := itemid.Output("reasoning", request, 1<<17, 1<<18); !item.IsID(got) {
		t.Errorf("the id %s of a late turn is none", got)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct{ input, ok bool }{
		"msg_" + digits + "_in0000":      {true, true},
		"item_" + digits + "_in1ffff":    {true, true},
		"fc_" + digits + "00020011":      {false, true},
		"mcp_" + digits + "2000040000":   {false, true},
		"msg_" + digits + "_cv0000":      {},
		"msg_" + digits + "_in":          {},
		"msg_" + digits + "_in000x":      {},
		"msg_" + digits + "0000000":      {},
		"msg_" + digits + "0000000X":     {},
		"msg_" + digits:                  {},
		"msg" + digits + "00020011":      {},
		"msg_" + digits[1:] + "_in0000":  {},
		"msg_x" + digits[1:] + "_in0000": {},
		"msg_":                           {},
		"":                               {},
		"rs_123":                         {},
	} {
		got, input, ok := itemid.Request(id)
		if ok != want.ok || ok && (input != want.input || got != request) {
			t.Errorf("Request(%q) = %s, input %v, %v; want %+v", id, run.Hex(got), input, ok, want)
		}
	}
}

func TestTurn(t *testing.T) {
	t.Parallel()
	first, ok := itemid.Turn(itemid.Output("reasoning", request, 1, 0))
	if again, too := itemid.Turn(itemid.Output("mcp_call", request, 1, 1)); !ok || !too || again != first {
		t.Errorf("two items of a turn are of %q and %q", first, again)
	}
	if next, _ := itemid.Turn(itemid.Output("reasoning", request, 2, 0)); next == first {
		t.Errorf("items of two turns are both of %q", next)
	}
	for _, id := range []string{"msg_" + digits + "_in0000", "msg_" + digits + "_cv0000", "rs_123", ""} {
		if turn, ok := itemid.Turn(id); ok {
			t.Errorf("Turn(%q) = %q, want none", id, turn)
		}
	}
}

// FuzzRequest: an id that is read as one of a request is one that could have
// been made for it, and is an id of the API; and what is made is read back.
func FuzzRequest(f *testing.F) {
	f.Add("msg_"+digits+"_in0000", uint16(1), uint16(2))
	f.Add("fc_"+digits+"00010000", uint16(0), uint16(0))
	f.Add("msg_"+digits+"_cv0002", uint16(65535), uint16(65535))
	f.Add("_"+strings.ToUpper(digits)+"00010000", uint16(7), uint16(0))
	f.Fuzz(func(t *testing.T, id string, turn, place uint16) {
		if by, input, ok := itemid.Request(id); ok {
			prefix, rest, _ := strings.Cut(id, "_")
			tail := strings.TrimPrefix(rest[len(digits):], "_in")
			if !strings.EqualFold(rest[:len(digits)], run.Hex(by)) || strings.Trim(tail, "0123456789abcdef") != "" {
				t.Errorf("%q is read as one of %s", id, run.Hex(by))
			}
			if said, ok := itemid.Turn(id); ok == input || ok && !strings.HasPrefix(rest, said) {
				t.Errorf("%q is of the turn %q, of the input: %v (%s)", id, said, input, prefix)
			}
		}
		made := itemid.Output("function_call", request, int(turn), int(place))
		if by, input, ok := itemid.Request(made); by != request || input || !ok || !item.IsID(made) {
			t.Errorf("%s is read as one of %s, of the input: %v, %v", made, run.Hex(by), input, ok)
		}
	})
}

func TestItemPrefix(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"message": "msg", "function_call": "fc", "function_call_output": "fco", "custom_tool_call": "ctc", "custom_tool_call_output": "ctco",
		"reasoning": "rs", "mcp_call": "mcp", "mcp_list_tools": "mcpl", "compaction": "cmp", "acme:item": "item", "": "item",
	} {
		if got := itemid.Prefix(typ); got != want {
			t.Errorf("Prefix(%q) = %q, want %q", typ, got, want)
		}
	}
	if got := itemid.Retype("fc_1", "function_call", "mcp_call"); got != "mcp_1" {
		t.Errorf("Retype = %q, want mcp_1", got)
	}
}
