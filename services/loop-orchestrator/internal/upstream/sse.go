package upstream

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
)

const (
	// maxLine bounds one line of a stream: no piece of an answer is larger than
	// an answer.
	maxLine = maxAnswer
	// maxJoined bounds the lines of data that are tried as one document before
	// a blank line comes.
	maxJoined = 64
)

// sseReader reads the data of server-sent events, more leniently than browsers:
// lines end in LF, CR or CRLF, and comments and other fields are ignored. A
// document is complete with its last line, whether or not a blank line follows.
// A line that is a JSON object without a field name is a document, too.
type sseReader struct {
	lines *bufio.Scanner
	after bool // the last line ended in a CR, to which a LF may follow
	seen  int  // bytes of the next line that were searched already

	data  []byte
	count int // lines in data
	event string
}

func newSSEReader(from io.Reader) *sseReader {
	r := &sseReader{lines: bufio.NewScanner(from)}
	r.lines.Buffer(nil, maxLine)
	r.lines.Split(r.splitLine)
	return r
}

// next returns the data of the next event that has data, and the event's name.
// Its error is io.EOF at the end, and bufio.ErrTooLong if a line is too long.
func (r *sseReader) next() (data []byte, event string, err error) {
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if len(line) == 0 {
			if data, event = r.takeEvent(); len(data) > 0 {
				return data, event, nil
			}
			continue
		}
		if r.count == 0 && line[0] == '{' && json.Valid(line) {
			return bytes.Clone(line), r.event, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			r.event = string(value)
		case "data":
			r.data = append(append(r.data, value...), '\n')
			if r.count++; r.isComplete() {
				data, event = r.takeEvent()
				return data, event, nil
			}
		}
	}
	if err := r.lines.Err(); err != nil {
		return nil, "", err
	}
	// Text that was cut off may explain a failure; a cut document is useless.
	if data, event = r.takeEvent(); len(data) > 0 && data[0] != '{' {
		return data, event, nil
	}
	return nil, "", io.EOF
}

// takeEvent returns the event so far and starts the next one.
func (r *sseReader) takeEvent() (data []byte, event string) {
	data, event = bytes.Clone(bytes.TrimSpace(r.data)), r.event
	r.data, r.count, r.event = r.data[:0], 0, ""
	return data, event
}

// isComplete reports whether the data are a document or the mark of the end.
func (r *sseReader) isComplete() bool {
	data := bytes.TrimSpace(r.data)
	if len(data) == 0 || r.count > maxJoined {
		return false
	}
	return data[0] == '{' && data[len(data)-1] == '}' && json.Valid(data) || isDone(data)
}

// splitLine is a bufio.SplitFunc. It does not wait for what follows a CR, which
// can take long, and searches each byte once: a long line comes in many pieces.
func (r *sseReader) splitLine(b []byte, end bool) (advance int, token []byte, err error) {
	from := 0
	if r.after && len(b) > 0 {
		r.after = false
		if b[0] == '\n' {
			from = 1
		}
	}
	i := bytes.IndexAny(b[from+r.seen:], "\r\n")
	switch {
	case i < 0 && end && len(b) > from: // the stream ends without a line break
		r.seen = 0
		return len(b), b[from:], nil
	case i < 0:
		r.seen = len(b) - from
		return from, nil, nil
	}
	i += from + r.seen
	r.seen, r.after = 0, b[i] == '\r'
	return i + 1, b[from:i:i], nil
}
