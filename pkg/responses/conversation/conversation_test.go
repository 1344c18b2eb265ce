package conversation

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
)

func TestObjects(t *testing.T) {
	t.Parallel()
	c := Conversation{
		ID: "conv_1", CreatedAt: time.Unix(1_700_000_000, 9), Metadata: EncodeMetadata(map[string]string{"b": "2", "a": "\x00\""}),
	}
	for want, got := range map[string][]byte{
		`{"id":"conv_1","object":"conversation","created_at":1700000000,"metadata":{"a":"\u0000\"","b":"2"}}`: c.JSON(),
		`{"id":"conv_1","object":"conversation.deleted","deleted":true}`:                                      Deleted("conv_1"),
		`{}`: EncodeMetadata(nil),
	} {
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func items(n int) string {
	return `"items":[` + strings.TrimSuffix(strings.Repeat(`{"role":"user","content":"x"},`, n), ",") + `]`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	message := item.Item{Type: "message", Role: "user"}
	for body, want := range map[string]*Create{
		``:                                   {},
		`{}`:                                 {},
		`{"items":null,"metadata":null}`:     {},
		`{"items":[],"metadata":{},"new":1}`: {Items: []item.Item{}, Metadata: map[string]string{}},
		`{` + items(1) + `,"metadata":{"a":"b"}}`: {Items: []item.Item{message}, Metadata: map[string]string{"a": "b"}},
		`{"items":[{"id":"rs_1","type":"item_reference"},{"id":"msg_1","role":"user","content":"x"}]}`: {
			Items: []item.Item{{Type: "item_reference", ID: "rs_1"}, {Type: "message", ID: "msg_1", Role: "user"}},
		},
	} {
		got, f := Decode([]byte(body))
		if f != nil {
			t.Errorf("%s: %s", body, f.JSON())
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(item.Item{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	if c, f := Decode([]byte(`{` + items(MaxItems) + `}`)); f != nil || len(c.Items) != MaxItems {
		t.Errorf("%d items: %v", MaxItems, f)
	}
	if m, f := DecodeMetadata([]byte(`{"metadata":null}`)); f != nil || m != nil {
		t.Errorf("metadata null = %v, %v", m, f)
	}
	if m, f := DecodeMetadata([]byte(`{"metadata":{"a":"b"}}`)); f != nil || m["a"] != "b" {
		t.Errorf("metadata = %v, %v", m, f)
	}
	if all, f := DecodeItems([]byte(`{` + items(2) + `}`)); f != nil || len(all) != 2 {
		t.Errorf("items = %v, %v", all, f)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	create := func(b []byte) *fault.Error { _, f := Decode(b); return f }
	update := func(b []byte) *fault.Error { _, f := DecodeMetadata(b); return f }
	add := func(b []byte) *fault.Error { _, f := DecodeItems(b); return f }
	const one = `{"items":[%]}`
	for _, tt := range []struct {
		decode      func([]byte) *fault.Error
		body        string
		param, code string
		message     string // its beginning
	}{
		{create, `{`, "", "", "We could not parse the JSON body"},
		{create, `[]`, "", "invalid_type", "Invalid type for 'body': expected an object, but got an array instead."},
		{create, `{"items":{}}`, "items", "invalid_type", "Invalid type for 'items': expected an array, but got an object instead."},
		{
			create, `{` + items(21) + `}`, "items", "array_above_max_length",
			"Invalid 'items': array too long. Expected an array with maximum length 20, but got an array with length 21 instead.",
		},
		{create, `{"items":[{"role":"user"}]}`, "items[0].content", "missing_required_parameter", "Missing required parameter: 'items[0].content'."},
		{create, `{"items":[{"role":"bot","content":""}]}`, "items[0].role", "invalid_value", "Invalid value: 'bot'."},
		{create, `{"metadata":[]}`, "metadata", "invalid_type", "Invalid type for 'metadata': expected an object, but got an array instead."},
		{create, `{"metadata":{"a":1}}`, "metadata.a", "invalid_type", "Invalid type for 'metadata.a': expected a string, but got an integer instead."},
		{update, ``, "", "", "We could not parse the JSON body"},
		{update, `{}`, "metadata", "missing_required_parameter", "Missing required parameter: 'metadata'."},
		{update, `{"metadata":"x"}`, "metadata", "invalid_type", "Invalid type for 'metadata': expected an object, but got a string instead."},
		{add, ``, "", "", "We could not parse the JSON body"},
		{add, `{}`, "items", "missing_required_parameter", "Missing required parameter: 'items'."},
		{add, `{"items":[]}`, "items", "empty_array", "Invalid 'items': empty array. Expected an array with minimum length 1, but got an empty array instead."},
		{add, `{"items":[1]}`, "items[0]", "invalid_type", "Invalid type for 'items[0]': expected an object, but got an integer instead."},
		{
			add, strings.Replace(one, "%", `{"role":"user","content":"","id":"item_wrong"}`, 1), "items[0].id", "invalid_value",
			"Invalid 'items[0].id': 'item_wrong'. Expected an ID that begins with 'msg'.",
		},
		{
			add, strings.Replace(one, "%", `{"type":"function_call","call_id":"c","name":"f","arguments":"","id":"msg_wrong"}`, 1),
			"items[0].id", "invalid_value", "Invalid 'items[0].id': 'msg_wrong'. Expected an ID that begins with 'fc'.",
		},
		{
			add, strings.Replace(one, "%", `{"type":"reasoning","summary":[],"id":"r_1"}`, 1), "items[0].id", "invalid_value",
			"Invalid 'items[0].id': 'r_1'. Expected an ID that begins with 'rs'.",
		},
		{
			add, strings.Replace(one, "%", `{"role":"user","content":"","id":"msg_a b"}`, 1), "items[0].id", "invalid_value",
			"Invalid 'items[0].id': 'msg_a b'. Expected an ID that contains letters, numbers, underscores, or dashes, but this value contained additional characters.",
		},
		{
			add, strings.Replace(one, "%", `{"type":"x_y","id":"`+strings.Repeat("x", 65)+`"}`, 1), "items[0].id", "string_above_max_length",
			"Invalid 'items[0].id': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.",
		},
	} {
		f := tt.decode([]byte(tt.body))
		if f == nil || f.Status != 400 || f.Param != tt.param || f.Code != tt.code || !strings.HasPrefix(f.Message, tt.message) {
			t.Errorf("%.80s: %+v, want 400 %s at %s: %s", tt.body, f, tt.code, tt.param, tt.message)
		}
	}
	if f := Present(); f.Status != 400 || f.Param != "items" || f.Code != "item_already_in_conversation" {
		t.Errorf("Present = %+v", f)
	}
}

// FuzzDecode: whatever is sent, it is refused by a 400, or what it was read as
// can be read back and stored.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"metadata":{"a":"\u0000"},"items":[{"role":"user","content":"x"}]}`, `{"items":[{"type":"item_reference","id":"rs_1"},{"type":"x:y"}]}`,
		`{"metadata":null}`, `{"items":[]}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		metadata, err2 := DecodeMetadata(b)
		items, err3 := DecodeItems(b)
		for _, err := range []*fault.Error{err, err2, err3} {
			if err != nil && (err.Status != 400 || !json.Valid(err.JSON()) || len(err.JSON()) > 8<<10) {
				t.Fatalf("%q is refused with %d %s", b, err.Status, err.JSON())
			}
		}
		if err == nil {
			items = append(items, c.Items...)
			metadata = c.Metadata
		}
		if got := (Conversation{ID: "conv_1", Metadata: EncodeMetadata(metadata)}).JSON(); !json.Valid(got) {
			t.Fatalf("%q is encoded as %s", b, got)
		}
		for _, it := range items {
			if stored := it.Stored("id_1"); !json.Valid(stored.JSON()) || stored.ID == "" {
				t.Fatalf("the item %s is kept as %s", it.JSON(), stored.JSON())
			}
		}
	})
}
