// Package conversation holds the JSON of OpenAI's Conversations API: its
// requests and its objects. The rules of package responses on text and aliasing
// apply.
package conversation

import (
	"encoding/json"
	"strconv"
	"time"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// MaxItems bounds the items of one request.
const MaxItems = 20

// Conversation is the conversation object.
type Conversation struct {
	ID        string
	CreatedAt time.Time
	Metadata  json.RawMessage // an object of strings, as EncodeMetadata writes it
}

// JSON returns the object.
func (c Conversation) JSON() []byte {
	b := append(make([]byte, 0, 160+len(c.Metadata)), `{"id":`...)
	b = raw.AppendText(b, c.ID)
	b = append(b, `,"object":"conversation","created_at":`...)
	b = strconv.AppendInt(b, c.CreatedAt.Unix(), 10)
	b = append(append(b, `,"metadata":`...), c.Metadata...)
	return append(b, '}')
}

// Deleted returns the answer to the deletion of a conversation.
func Deleted(id string) []byte {
	b := raw.AppendText([]byte(`{"id":`), id)
	return append(b, `,"object":"conversation.deleted","deleted":true}`...)
}

// EncodeMetadata returns metadata as JSON; nil is an empty object.
func EncodeMetadata(m map[string]string) json.RawMessage { return raw.AppendTexts(nil, m) }

// Create is the body of POST /v1/conversations.
type Create struct {
	Items    []item.Item
	Metadata map[string]string
}

// Decode reads the body of POST /v1/conversations; an empty one asks for an
// empty conversation. The error is a 400 that names the first invalid field;
// nil means success.
func Decode(body []byte) (*Create, *fault.Error) {
	if len(body) == 0 {
		return &Create{}, nil
	}
	v, f := object(body)
	if f != nil {
		return nil, f
	}
	var c Create
	var p *check.Problem
	if m := v.Field("items"); m.IsSet() {
		if c.Items, p = readItems(m); p != nil {
			return nil, p.In("items").Fault()
		}
	}
	if m := v.Field("metadata"); m.IsSet() {
		c.Metadata, p = check.Metadata(m)
	}
	return &c, p.In("metadata").Fault()
}

// DecodeMetadata reads the body of POST /v1/conversations/{id}. A null deletes
// all metadata; a body without metadata is refused. The error is as of Decode.
func DecodeMetadata(body []byte) (map[string]string, *fault.Error) {
	v, f := object(body)
	if f != nil {
		return nil, f
	}
	switch m := v.Field("metadata"); m.Kind() {
	case raw.Missing:
		return nil, check.Absent("metadata").Fault()
	case raw.Null:
		return nil, nil
	default:
		all, p := check.Metadata(m)
		return all, p.In("metadata").Fault()
	}
}

// DecodeItems reads the body of POST /v1/conversations/{id}/items, which has at
// least one item. The error is as of Decode.
func DecodeItems(body []byte) ([]item.Item, *fault.Error) {
	v, f := object(body)
	if f != nil {
		return nil, f
	}
	m := v.Field("items")
	if !m.IsSet() {
		return nil, check.Absent("items").Fault()
	}
	items, p := readItems(m)
	if p == nil && len(items) == 0 {
		p = check.OutOfRange("empty_array", "empty array", "an array with minimum length 1", "an empty array")
	}
	return items, p.In("items").Fault()
}

// Present returns the 400 for an item that the conversation already has.
func Present() *fault.Error {
	return check.Refuse("items", "item_already_in_conversation", "Item already in conversation").Fault()
}

func object(body []byte) (raw.Value, *fault.Error) {
	v, f := check.Parse(body)
	if f == nil && v.Kind() != raw.Object {
		f = check.WrongType(v, "an object").In("body").Fault()
		f.Param = "" // the body has no path
	}
	return v, f
}

func readItems(v raw.Value) ([]item.Item, *check.Problem) {
	if p := check.List(v, MaxItems); p != nil {
		return nil, p
	}
	items, p := item.ReadList(v)
	if p == nil {
		p = item.CheckIDs(items)
	}
	return items, p
}
