package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/test/streamcheck"
)

// readAll returns the documents of a stream.
func readAll(from io.Reader) (documents []string, done bool, err error) {
	all := newSSEReader(from)
	for {
		data, _, err := all.next()
		switch {
		case errors.Is(err, io.EOF):
			return documents, false, nil
		case err != nil:
			return documents, false, err
		case isDone(data):
			return documents, true, nil
		}
		documents = append(documents, string(data))
	}
}

func TestEventsOfAStream(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		raw  string
		want []string
		done bool
	}{
		"line feeds":                    {"data: a\n\ndata: b\n\n", []string{"a", "b"}, false},
		"carriage returns":              {"data: a\r\rdata: b\r\r", []string{"a", "b"}, false},
		"both":                          {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}, false},
		"several lines of data":         {"data: {\ndata: }\n\n", []string{"{\n}"}, false},
		"comments and other fields":     {": hi\nevent: x\nid: 1\nretry: 2\ndata: a\n: ho\n\n", []string{"a"}, false},
		"a keep-alive of no data":       {"data:\n\ndata: a\n\n", []string{"a"}, false},
		"characters in pieces":          {"data: \u20ac\U0001F600\n\n", []string{"\u20ac\U0001F600"}, false},
		"the end, and what follows it":  {"data: a\n\ndata: [DONE]\n\ndata: b\n\n", []string{"a"}, true},
		"an end without a blank line":   {"data: a\n\ndata: [DONE]", []string{"a"}, true},
		"an end in quotes":              {"data: {}\n\ndata: \"[DONE]\"\n\n", []string{"{}"}, true},
		"cut inside of a document":      {"data: a\n\ndata: {\"b\":\n", []string{"a"}, false},
		"cut inside of a text":          {"data: {}\n\ndata: why", []string{"{}", "why"}, false},
		"no blank lines at all":         {"data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n", []string{`{"a":1}`, `{"b":2}`}, true},
		"documents in lines":            {"{\"a\":1}\n{\"b\":2}", []string{`{"a":1}`, `{"b":2}`}, false},
		"a document behind the events":  {"data: {\"a\":1}\n\n{\"error\":\"x\"}", []string{`{"a":1}`, `{"error":"x"}`}, false},
		"a document of several lines":   {"data: {\ndata: \"a\":\ndata: 1}\n\n", []string{"{\n\"a\":\n1}"}, false},
		"a line of a megabyte":          {"data: " + strings.Repeat("x", 1<<20) + "\n\n", []string{strings.Repeat("x", 1<<20)}, false},
		"a field that only begins so":   {"datax: a\n\ndata : b\n\n", nil, false},
		"more space than one":           {"data:  a \n\n", []string{"a"}, false},
		"nothing":                       {"", nil, false},
		"a carriage return at the end":  {"data: a\r\n\r", []string{"a"}, false},
		"a field without a colon":       {"data\ndata\n\n", nil, false},
		"blank lines before and behind": {"\n\n\ndata: a\n\n\n\n", []string{"a"}, false},
	} {
		for how, from := range map[string]io.Reader{"at once": strings.NewReader(tt.raw), "by bytes": iotest.OneByteReader(strings.NewReader(tt.raw))} {
			documents, done, err := readAll(from)
			if diff := cmp.Diff(tt.want, documents); diff != "" || done != tt.done || err != nil {
				t.Errorf("%s, %s: done %v, %v (-want +got):\n%s", name, how, done, err, diff)
			}
		}
	}
}

// A line without an end makes the answer too large. It is final, because
// another attempt would fail alike.
func TestALineWithoutEnd(t *testing.T) {
	t.Parallel()
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}}
	resp.Body = io.NopCloser(io.LimitReader(endless{}, maxLine+1<<20))
	_, err := (&answer{resp: resp}).read(t.Context(), func([]byte, bool) error { return nil })
	var call *run.Failure
	if !errors.As(err, &call) || call.Retriable || call.Message != "The upstream's answer is too large." {
		t.Errorf("error %v, want that it is too large", err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// An event is read as soon as its blank line is there, even if that ends in
// half of a CRLF.
func TestAnEventIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	documents := make(chan string)
	go func() {
		defer close(documents)
		all := newSSEReader(in)
		for data, _, err := all.next(); err == nil; data, _, err = all.next() {
			documents <- string(data)
		}
	}()
	if _, err := out.Write([]byte("data: a\r\n\r")); err != nil {
		t.Fatal(err)
	}
	if got := <-documents; got != "a" {
		t.Errorf("documents %q, want a", got)
	}
	_ = out.Close()
	<-documents
}

// FuzzEvents holds that the documents do not depend on how the bytes arrive,
// and that none is missing that streamcheck finds, which reads as the
// specification demands.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: {\"a\":1}\n\nevent: x\rdata: 1\rdata\r\r: c\r\n\r\ndata: [DONE]\n\ndata: 2\n\n"), 3)
	f.Add([]byte("data: {\ndata: }\n\ndata:  \u20ac\n\nid: 1\nretry: 5\ndata"), 1)
	f.Add([]byte("\r\n\r\n\n\rdata: x\r\n\r{}"), 2)
	f.Fuzz(func(t *testing.T, raw []byte, size int) {
		documents, done, err := readAll(bytes.NewReader(raw))
		slowly, doneSlowly, errSlowly := readAll(&pieces{raw, 1 + max(size, -size-1)%7})
		if diff := cmp.Diff(documents, slowly); diff != "" || done != doneSlowly || (err == nil) != (errSlowly == nil) {
			t.Fatalf("done %v, want %v; %v, %v (-at once +in pieces):\n%s", doneSlowly, done, err, errSlowly, diff)
		}
		rest := documents
		frames, _ := streamcheck.Frames(raw)
		for _, frame := range frames {
			data := bytes.TrimSpace(frame.Data)
			if isDone(data) {
				return
			}
			if len(data) == 0 || data[0] != '{' || !json.Valid(data) || bytes.ContainsAny(data, "\r\n") {
				continue
			}
			n := slices.Index(rest, string(data))
			if n < 0 && !done {
				t.Fatalf("%q is missing in %q", data, documents)
			}
			rest = rest[n+1:]
		}
	})
}

// pieces reads a fixed number of bytes at once.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}
