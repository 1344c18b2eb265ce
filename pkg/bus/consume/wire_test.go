package consume

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// record adds the messages as this version writes them to testdata/wire, in a
// directory for a version: go test -run Wire -record v1.
var record = flag.String("record", "", "the version to record the messages of")

// messages are one of each kind, and of the events one of each.
func messages() map[string]proto.Message {
	all := map[string]proto.Message{
		"turn": &stepv1.TurnCommand{}, "tool": &stepv1.ToolCommand{}, "final": &stepv1.FinalCommand{}, "dead": &stepv1.DeadLetter{},
		"live": &stepv1.LiveFrames{},
	}
	for _, m := range all {
		fill(m.ProtoReflect())
	}
	events := (&stepv1.StepEvent{}).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range events.Len() {
		e := &stepv1.StepEvent{}
		fill(e.ProtoReflect())
		e.ProtoReflect().Set(events.Get(i), e.ProtoReflect().NewField(events.Get(i)))
		fill(e.ProtoReflect().Mutable(events.Get(i)).Message())
		all["step_"+string(events.Get(i).Name())] = e
	}
	return all
}

// fill sets every field of a message to a value of its own, except the choices
// of a oneof.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.ContainingOneof() != nil && !field.HasOptionalKeyword():
		case field.IsList() && field.Message() != nil:
			list := m.Mutable(field).List()
			fill(list.AppendMutable().Message())
		case field.IsList() || field.IsMap():
		case field.Message() != nil:
			fill(m.Mutable(field).Message())
		default:
			m.Set(field, scalar(field))
		}
	}
}

func scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	n := uint64(field.Number()) + 100
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(field.Name()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(field.Name()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n))
	default:
		panic("no value for a field of the kind " + field.Kind().String())
	}
}

// TestWireOfEarlierVersions: messages that an earlier version wrote say now
// what they said then. A field that was given up has to be kept as unknown, not
// read as another.
func TestWireOfEarlierVersions(t *testing.T) {
	t.Parallel()
	now := messages()
	if *record != "" {
		for name, m := range now {
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "wire", *record, name+".hex")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(hex.EncodeToString(b)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := recorded(t)
	if len(old) < len(now) {
		t.Errorf("%d messages are recorded, want %d at least: run go test -run Wire -record with a new version", len(old), len(now))
	}
	for name, b := range old {
		want, ok := now[filepath.Base(name)]
		if !ok {
			t.Errorf("%s: there is no such message any more", name)
			continue
		}
		got := want.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(b, got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want = proto.Clone(want)
		forget(want.ProtoReflect(), got.ProtoReflect())
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-now +then):\n%s", name, diff)
		}
	}
}

// forget clears the fields of m that an older message did not have.
func forget(m, older protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case !older.Has(field):
			m.Clear(field)
		case field.IsList() && field.Message() != nil:
			forget(v.List().Get(0).Message(), older.Get(field).List().Get(0).Message())
		case field.Message() != nil && !field.IsList() && !field.IsMap():
			forget(v.Message(), older.Get(field).Message())
		}
		return true
	})
}

// recorded are the messages of earlier versions, by version and name.
func recorded(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "wire", "*", "*.hex"))
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		b, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		all[strings.TrimSuffix(strings.TrimPrefix(path, filepath.Join("testdata", "wire")+"/"), ".hex")] = b
	}
	return all
}

// arrived is a message as a consumer gets it.
type arrived struct {
	jetstream.Msg
	data []byte
	kind string
}

func (a arrived) Data() []byte         { return a.data }
func (a arrived) Subject() string      { return "windlass.x" }
func (a arrived) Headers() nats.Header { return nats.Header{message.HeaderType: {a.kind}} }

func (a arrived) Metadata() (*jetstream.MsgMetadata, error) { return nil, jetstream.ErrNotJSMessage }

// FuzzDecode: whatever arrives, it is poison, or a message of a request that
// means the same when it is sent on, on a subject that can be read.
func FuzzDecode(f *testing.F) {
	for _, b := range recorded(f) {
		f.Add(b)
	}
	f.Add([]byte{})
	f.Add([]byte("\x0a\x02\x0a\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, k := range []kind{kindTurn, kindTool, kindFinal, kindResult} {
			d, err := k.decode(arrived{data: data})
			if err != nil {
				continue
			}
			m, body := again(d)
			if d.identity().GetRequestId() == "" {
				t.Errorf("%x is read as one of no request", data)
			}
			msg, err := m.Encode("windlass")
			if err != nil {
				continue // an event that is not set cannot be sent on
			}
			if s, err := subject.Parse("windlass", msg.Subject); err != nil {
				t.Errorf("%x is sent on to %q, which is read as %+v, %v", data, msg.Subject, s, err)
			}
			twice, err := k.decode(arrived{data: msg.Data, kind: msg.Header.Get(message.HeaderType)})
			if err != nil {
				t.Fatalf("%x is sent on as %x: %v", data, msg.Data, err)
			}
			_, then := again(twice)
			if !proto.Equal(body, then) {
				t.Errorf("%x is %v, and sent on %v", data, body, then)
			}
		}
	})
}

// again is the message of a delivery.
func again(d Delivery) (message.Message, proto.Message) {
	switch {
	case d.Turn != nil:
		return message.Turn(d.Turn), d.Turn
	case d.Tool != nil:
		return message.Tool(d.Tool), d.Tool
	case d.Final != nil:
		return message.Final(d.Final), d.Final
	default:
		return message.Event(d.Event), d.Event
	}
}
