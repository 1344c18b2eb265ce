package decode

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestDecodeReadsEveryFamily(t *testing.T) {
	t.Parallel()
	id := &stepv1.StepIdentity{RequestId: "abc", Epoch: 1, Turn: 2, Index: 3, Attempt: 4}
	for _, tt := range []struct {
		subject string
		message proto.Message
		want    []string
	}{
		{"windlass.turn.demo.abc.1-2-4", &stepv1.TurnCommand{Identity: id, Lane: "demo"}, []string{`"lane":"demo"`, `"turn":2`}},
		{
			"windlass.tool.default.t.abc.1-2-3-4", &stepv1.ToolCommand{Identity: id, Arguments: []byte(`{"a":1}`)},
			[]string{`"arguments":"{\"a\":1}"`, `"index":3`},
		},
		{"windlass.final.abc.1", &stepv1.FinalCommand{RequestId: "abc", Epoch: 1}, []string{`"request_id":"abc"`}},
		{
			"windlass.dead.abc", &stepv1.DeadLetter{Identity: id, Failure: &stepv1.Failure{Code: "poison"}},
			[]string{`"code":"poison"`},
		},
		{
			"windlass.live.abc", &stepv1.LiveFrames{RequestId: "abc", Frames: []*stepv1.LiveFrame{{Data: []byte(`"delta":"hi"`)}}},
			[]string{`"data":"\"delta\":\"hi\""`},
		},
		{"windlass.ask.default", &stepv1.ToolQuestion{CallId: "call_1", DispatchToken: []byte("x")}, []string{`"call_id":"call_1"`}},
		{
			"windlass.mark.default.abc.1-2-3-4", &stepv1.StepEvent{Identity: id, Event: &stepv1.StepEvent_ToolStarted{
				ToolStarted: &stepv1.ToolStarted{},
			}},
			[]string{`"tool_started":{}`},
		},
		{
			"", &stepv1.StepEvent{Identity: id, Event: &stepv1.StepEvent_ToolCompleted{
				ToolCompleted: &stepv1.ToolCompleted{Output: []byte("42"), InputHash: []byte{0xab}, DispatchToken: []byte("secret")},
			}},
			[]string{`"output":"42"`, `"input_hash":"ab"`},
		},
	} {
		body, err := proto.Marshal(tt.message)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(tt.subject, body)
		if err != nil {
			t.Errorf("decode(%q): %v", tt.subject, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("decode(%q) = %s, want %s in it", tt.subject, got, want)
			}
		}
		if strings.Contains(got, "dispatch_token") {
			t.Errorf("decode(%q) = %s shows the dispatch token", tt.subject, got)
		}
	}
}

// TestDecodePrintsAdvisories holds that the command works on every entry of
// WINDLASS_DEAD, with its subject and without.
func TestDecodePrintsAdvisories(t *testing.T) {
	t.Parallel()
	body := []byte("{\n \"type\": \"io.nats.jetstream.advisory.v1.terminated\",\n \"reason\": \"poison\"\n}")
	want := `{"type":"io.nats.jetstream.advisory.v1.terminated","reason":"poison"}`
	for _, subject := range []string{"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.WINDLASS_TURN.turn_m1", ""} {
		if got, err := decode(subject, body); got != want || err != nil {
			t.Errorf("decode(%q) = %s, %v; want %s", subject, got, err, want)
		}
	}
}

func TestDecodeRefusesWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	if got, err := decode("windlass.turn.x", []byte("not protobuf")); err == nil {
		t.Errorf("decode of garbage = %s, want an error", got)
	}
}
