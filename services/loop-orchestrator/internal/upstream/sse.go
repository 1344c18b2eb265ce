package upstream

import (
	"bufio"
	"bytes"
	"io"
)

// maxLine bounds one line of a stream: no piece of an answer is larger than an answer.
const maxLine = maxAnswer

// sseReader reads server-sent events as browsers do, as far as their data goes: lines end in LF, CR or CRLF, comments and other fields
// are passed over, and what follows the last blank line is no event.
type sseReader struct {
	lines  *bufio.Scanner
	after  bool // the last line ended in a CR: a LF that follows belongs to it
	opened bool // a byte order mark may only come before the first line
	seen   int  // so much of the next line has come, and was looked through
}

func newSSEReader(from io.Reader) *sseReader {
	r := &sseReader{lines: bufio.NewScanner(from)}
	r.lines.Buffer(nil, maxLine)
	r.lines.Split(r.line)
	return r
}

// next is the data of the next event that has any. io.EOF: there is none; bufio.ErrTooLong: a line is too long.
func (r *sseReader) next() ([]byte, error) {
	var data []byte
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if !r.opened {
			r.opened = true
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) == 0 {
			if data = bytes.TrimSuffix(data, []byte("\n")); len(data) > 0 {
				return data, nil
			}
			data = data[:0]
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) == "data" {
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
		}
	}
	if err := r.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// line is a bufio.SplitFunc. It does not wait for what follows a CR, which may be long in coming, and looks at every byte once: a
// long line comes in many pieces.
func (r *sseReader) line(b []byte, _ bool) (advance int, token []byte, err error) {
	from := 0
	if r.after && len(b) > 0 {
		r.after = false
		if b[0] == '\n' {
			from = 1
		}
	}
	i := bytes.IndexAny(b[from+r.seen:], "\r\n")
	if i < 0 { // more is needed, or the stream was cut inside of a line
		r.seen = len(b) - from
		return from, nil, nil
	}
	i += from + r.seen
	r.seen, r.after = 0, b[i] == '\r'
	return i + 1, b[from:i:i], nil
}
