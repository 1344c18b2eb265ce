package streamcheck

import (
	"bytes"
	"encoding/json"
	"slices"
)

// done is the data of the last frame.
const done = "[DONE]"

// Frame is one server-sent event.
type Frame struct {
	Event string // of its last event line; "" if absent
	Data  []byte // its data lines, joined by line feeds
	Raw   []byte // its lines as they were sent, without comments, with the blank line at its end

	events, datas, others int // lines of each field; others are id, retry and fields that do not exist
}

// Frames splits a stream as a browser does: lines end in LF, CR or CRLF,
// comments are dropped, and a block without data is ignored. rest is what
// follows the last blank line: nothing, unless the stream was cut inside a
// frame.
func Frames(raw []byte) (frames []Frame, rest []byte) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	rest = raw
	var f Frame
	for len(raw) > 0 {
		line, after, whole := cutLine(raw)
		if !whole {
			break
		}
		end := raw[:len(raw)-len(after)]
		raw = after
		switch {
		case len(line) == 0:
			if f.datas > 0 {
				f.Raw = append(f.Raw, end...)
				frames = append(frames, f)
			}
			f, rest = Frame{}, raw
		case line[0] != ':':
			f.Raw = append(f.Raw, end...)
			f.field(line)
		}
	}
	return frames, rest
}

// cutLine cuts off the first line; whole reports whether the line was complete.
func cutLine(raw []byte) (line, after []byte, whole bool) {
	i := bytes.IndexAny(raw, "\r\n")
	switch {
	case i < 0:
		return raw, nil, false
	case raw[i] == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
		return raw[:i], raw[i+2:], true
	default:
		return raw[:i], raw[i+1:], true
	}
}

func (f *Frame) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		f.events++
		f.Event = string(value)
	case "data":
		if f.datas++; f.datas > 1 {
			f.Data = append(f.Data, '\n')
		}
		f.Data = append(f.Data, value...)
	default:
		f.others++
	}
}

// Sequence returns the frame's sequence number; -1 if it has no number, like
// [DONE].
func (f Frame) Sequence() int64 {
	var e struct {
		Sequence *int64 `json:"sequence_number"`
	}
	if json.Unmarshal(f.Data, &e) != nil || e.Sequence == nil {
		return -1
	}
	return *e.Sequence
}

// Tail returns the part of the whole stream raw that a reader with
// starting_after must get, to the byte: the frames of a higher sequence number
// and [DONE], without comments.
func Tail(raw []byte, after int64) []byte {
	frames, _ := Frames(raw)
	frames = slices.DeleteFunc(frames, func(f Frame) bool {
		return f.Sequence() <= after && string(f.Data) != done
	})
	return Join(frames)
}

// Join returns the frames as one stream.
func Join(frames []Frame) []byte {
	var raw []byte
	for _, f := range frames {
		raw = append(raw, f.Raw...)
	}
	return raw
}
