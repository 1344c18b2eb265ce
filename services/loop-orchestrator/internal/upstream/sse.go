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

// sseReader reads server-sent events as far as their data goes, more liberally
// than browsers do: lines end in LF, CR or CRLF, comments and other fields are
// passed over. A document is complete with its last line, whether a blank line
// follows or not, and a line that is a JSON object without a field's name is
// one.
type sseReader struct {
	lines *bufio.Scanner
	after bool // the last line ended in a CR: a LF that follows belongs to it
	seen  int  // so much of the next line has come, and was looked through

	data  []byte
	count int // lines in data
	event string
}

func newSSEReader(from io.Reader) *sseReader {
	r := &sseReader{lines: bufio.NewScanner(from)}
	r.lines.Buffer(nil, maxLine)
	r.lines.Split(r.line)
	return r
}

// next is the data of the next event that has any, and the event's name.
// io.EOF: there are no more; bufio.ErrTooLong: a line is too long.
func (r *sseReader) next() (data []byte, event string, err error) {
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if len(line) == 0 {
			if data, event = r.take(); len(data) > 0 {
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
			if r.count++; r.complete() {
				data, event = r.take()
				return data, event, nil
			}
		}
	}
	if err := r.lines.Err(); err != nil {
		return nil, "", err
	}
	// A text that is cut may be a reason; a document that is cut is none.
	if data, event = r.take(); len(data) > 0 && data[0] != '{' {
		return data, event, nil
	}
	return nil, "", io.EOF
}

// take is what was collected. It begins the next event.
func (r *sseReader) take() (data []byte, event string) {
	data, event = bytes.Clone(bytes.TrimSpace(r.data)), r.event
	r.data, r.count, r.event = r.data[:0], 0, ""
	return data, event
}

// complete tells whether the data are a document already, or the mark of the
// end.
func (r *sseReader) complete() bool {
	data := bytes.TrimSpace(r.data)
	if len(data) == 0 || r.count > maxJoined {
		return false
	}
	return data[0] == '{' && data[len(data)-1] == '}' && json.Valid(data) || isDone(data)
}

// line is a bufio.SplitFunc. It does not wait for what follows a CR, which may
// be long in coming, and looks at every byte once: a long line comes in many
// pieces.
func (r *sseReader) line(b []byte, end bool) (advance int, token []byte, err error) {
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
