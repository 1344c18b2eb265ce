package transcript

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
)

// sketch writes ancestors down in one line each.
func sketch(all []Ancestor) []string {
	var lines []string
	for _, a := range all {
		var line []string
		for _, it := range a.Input {
			line = append(line, it.Type)
		}
		for _, t := range a.Turns {
			line = append(line, "|")
			for _, it := range t.Items {
				text := it.Type
				if step, ran := t.Tools[it.CallID]; ran {
					text += fmt.Sprintf("(%s %s %s)", step.State, it.Arguments(), step.Output)
				}
				line = append(line, text)
			}
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines
}

func TestConversation(t *testing.T) {
	t.Parallel()
	first, second := uuid.New(), uuid.New()
	output := "four"
	hosted := func(r uuid.UUID, turn, place int, failure string) item.Item {
		c := item.Call{ID: itemid.Output("mcp_call", r, turn, place), Status: "completed", ServerLabel: "windlass", Name: "add", Arguments: "{}"}
		if c.Error = failure; failure == "" {
			c.Output = &output
		}
		return c.MCP()
	}
	message := func(id, role string) item.Item {
		return item.Message(id, role, "completed", item.Part{Type: "output_text", Text: "x"})
	}
	function := item.Call{ID: itemid.Output("function_call", first, 1, 3), Status: "completed", CallID: "c", Name: "ask"}.Function()
	all := []item.Item{
		message("msg_own", "user"),
		item.Reasoning{ID: itemid.Output("reasoning", first, 1, 0), Text: "hm"}.Item(), hosted(first, 1, 1, ""), hosted(first, 1, 2, "No."), function,
		hosted(first, 2, 0, ""), message(itemid.Output("message", first, 3, 0), "assistant"),
		item.FunctionOutput("fco_own", "c", "completed", "1"), message("msg_"+strings.Repeat("0", 32)+"_in0001", "user"),
		message(itemid.Output("message", second, 1, 0), "assistant"),
	}
	var data [][]byte
	for _, it := range all {
		data = append(data, it.JSON())
	}
	got, err := Conversation(data)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"message | reasoning function_call(done {} four) function_call(failed {} No.) function_call | function_call(done {} four) | message",
		"function_call_output message | message",
	}
	if diff := cmp.Diff(want, sketch(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ids := map[string]bool{}
	for _, turn := range got[0].Turns {
		for id := range turn.Tools {
			ids[id] = true
			if len(id) > 40 {
				t.Errorf("the call id %s is longer than upstreams take", id)
			}
		}
	}
	if len(ids) != 3 {
		t.Errorf("three calls have the ids %v", ids)
	}
	if got, err := Conversation(nil); err != nil || got != nil {
		t.Errorf("an empty conversation is %v, %v", got, err)
	}
	if _, err := Conversation([][]byte{all[0].JSON(), []byte(`{`)}); err == nil {
		t.Error("a broken item is read")
	}
}

func TestKept(t *testing.T) {
	t.Parallel()
	call := item.Call{ID: "fc_1", Status: "completed", CallID: "a\x00", Name: "f"}.Function()
	output := item.FunctionOutput("fco_1", "a\x00", "completed", "1")
	want := []run.NewItem{{ID: "fc_1", Calls: []byte("a\x00"), Data: call.JSON()}, {ID: "fco_1", Answers: []byte("a\x00"), Data: output.JSON()}}
	if diff := cmp.Diff(want, ConversationItems([]item.Item{call, output})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
