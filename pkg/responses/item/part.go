package item

import (
	"encoding/json"
	"strings"

	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Part is one part of a message or of a tool's output: input_text, output_text,
// refusal, summary_text, reasoning_text, input_image, input_file or a rarer
// type. Text is the text of all types that have one, including refusals.
type Part struct {
	Type     string
	Text     string
	ImageURL string
	Detail   string
	FileID   string
	FileData string
	FileURL  string
	Filename string

	// Annotations and Logprobs of an output_text: arrays, valid and on one
	// line; nil is an empty array.
	Annotations json.RawMessage
	Logprobs    json.RawMessage
}

func readPart(v raw.Value) Part {
	var p Part
	for key, m := range v.Members() {
		switch string(key) {
		case "type":
			p.Type = label(m)
		case "text", "refusal":
			p.Text = m.Text()
		case "image_url":
			p.ImageURL = m.Text()
		case "detail":
			p.Detail = m.Text()
		case "file_id":
			p.FileID = m.Text()
		case "file_data":
			p.FileData = m.Text()
		case "file_url":
			p.FileURL = m.Text()
		case "filename":
			p.Filename = m.Text()
		case "annotations":
			p.Annotations = json.RawMessage(m)
		case "logprobs":
			p.Logprobs = json.RawMessage(m)
		}
	}
	return p
}

// Notes returns the annotations.
func (p Part) Notes() []json.RawMessage {
	var all []json.RawMessage
	for _, e := range raw.Value(p.Annotations).Elements() {
		all = append(all, json.RawMessage(e))
	}
	return all
}

const (
	maxImage = 20_971_520
	maxFile  = 33_554_432
)

func partFault(v raw.Value) *check.Problem {
	if p := check.Type(v, raw.Object); p != nil {
		return p
	}
	typ := v.Field("type")
	if !typ.IsSet() {
		return check.Absent("type")
	}
	if p := check.Type(typ, raw.String); p != nil {
		return p.In("type")
	}
	switch name := label(typ); name {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		return required("text", v.Field("text"))
	case "refusal":
		return required("refusal", v.Field("refusal"))
	case "input_image":
		return imageFault(v)
	case "input_file":
		return fileFault(v)
	case "input_audio", "input_video", "computer_screenshot":
		return nil
	default:
		if strings.Contains(name, ":") { // another vendor's, marked as such
			return nil
		}
		return check.WrongValue(name, "input_text", "input_image", "input_file", "output_text", "refusal",
			"summary_text", "reasoning_text").In("type")
	}
}

func imageFault(v raw.Value) *check.Problem {
	url, file, detail := v.Field("image_url"), v.Field("file_id"), v.Field("detail")
	if !url.IsSet() && !file.IsSet() {
		return check.Absent("image_url")
	}
	if url.IsSet() {
		if p := check.Text(url, maxImage); p != nil {
			return p.In("image_url")
		}
	}
	if detail.IsSet() {
		if _, p := check.Enum(detail, "low", "high", "auto", "original"); p != nil {
			return p.In("detail")
		}
	}
	return optional("file_id", file)
}

func fileFault(v raw.Value) *check.Problem {
	data := v.Field("file_data")
	if data.IsSet() {
		if p := check.Text(data, maxFile); p != nil {
			return p.In("file_data")
		}
	}
	return first(optional("filename", v.Field("filename")), optional("file_url", v.Field("file_url")),
		optional("file_id", v.Field("file_id")))
}
