package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/internal/streamcheck"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// hearAll is what is heard of a stream.
func hearAll(from io.Reader) (heard []string, done bool, err error) {
	resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(from)}
	done, err = events(context.Background(), resp, "", func(data []byte) error {
		heard = append(heard, string(data))
		return nil
	})
	return heard, done, err
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
		"a byte order mark":             {"\ufeffdata: a\n\n", []string{"a"}, false},
		"only the first one":            {"\ufeff\ufeffdata: a\n\ndata: b\n\n", []string{"b"}, false},
		"several lines of data":         {"data: {\ndata: }\n\n", []string{"{\n}"}, false},
		"comments and other fields":     {": hi\nevent: x\nid: 1\nretry: 2\ndata: a\n: ho\n\n", []string{"a"}, false},
		"a keep-alive of no data":       {"data:\n\ndata: a\n\n", []string{"a"}, false},
		"characters in pieces":          {"data: \u20ac\U0001F600\n\n", []string{"\u20ac\U0001F600"}, false},
		"the end, and what follows it":  {"data: a\n\ndata: [DONE]\n\ndata: b\n\n", []string{"a"}, true},
		"cut inside of an event":        {"data: a\n\ndata: b\n", []string{"a"}, false},
		"cut inside of a line":          {"data: a\n\ndata: [DONE]", []string{"a"}, false},
		"a line of a megabyte":          {"data: " + strings.Repeat("x", 1<<20) + "\n\n", []string{strings.Repeat("x", 1<<20)}, false},
		"a field that only begins so":   {"datax: a\n\ndata : b\n\n", nil, false},
		"a space that belongs to it":    {"data:  a\n\n", []string{" a"}, false},
		"nothing":                       {"", nil, false},
		"a carriage return at the end":  {"data: a\r\n\r", []string{"a"}, false},
		"a field without a colon":       {"data\ndata\n\n", []string{"\n"}, false},
		"blank lines before and behind": {"\n\n\ndata: a\n\n\n\n", []string{"a"}, false},
	} {
		for how, from := range map[string]io.Reader{"at once": strings.NewReader(tt.raw), "by bytes": iotest.OneByteReader(strings.NewReader(tt.raw))} {
			heard, done, err := hearAll(from)
			if diff := cmp.Diff(tt.want, heard); diff != "" || done != tt.done || err != nil {
				t.Errorf("%s, %s: done %v, %v (-want +got):\n%s", name, how, done, err, diff)
			}
		}
	}
}

// A line that does not end is an answer that is too large, not one that broke off: another attempt would do no better.
func TestALineWithoutEnd(t *testing.T) {
	t.Parallel()
	_, _, err := hearAll(io.LimitReader(endless{}, maxLine+1<<20))
	var call *model.CallError
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

// An event is heard when its blank line is there, though that ends in half of a CRLF and the upstream then says nothing.
func TestAnEventIsHeardAtOnce(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	heard := make(chan string)
	go func() {
		defer close(heard)
		_, _ = events(t.Context(), &http.Response{Body: in}, "", func(data []byte) error {
			heard <- string(data)
			return nil
		})
	}()
	if _, err := out.Write([]byte("data: a\r\n\r")); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "a" {
		t.Errorf("heard %q, want a", got)
	}
	_ = out.Close()
	<-heard
}

// FuzzEvents holds what is heard against what streamcheck, which reads whole streams, finds in it, however the bytes arrive.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: {\"a\":1}\n\nevent: x\rdata: 1\rdata\r\r: c\r\n\r\ndata: [DONE]\n\ndata: 2\n\n"), 3)
	f.Add([]byte("\ufeffdata:\n\ndata:  \u20ac\n\nid: 1\nretry: 5\ndata"), 1)
	f.Add([]byte("\r\n\r\n\n\rdata: x\r\n\r"), 2)
	f.Fuzz(func(t *testing.T, raw []byte, size int) {
		var want []string
		wantDone := false
		frames, _ := streamcheck.Frames(raw)
		for _, frame := range frames {
			if wantDone = string(frame.Data) == "[DONE]"; wantDone {
				break
			}
			if len(frame.Data) > 0 {
				want = append(want, string(frame.Data))
			}
		}
		for _, from := range []io.Reader{bytes.NewReader(raw), &pieces{raw, 1 + max(size, -size-1)%7}} {
			heard, done, err := hearAll(from)
			if diff := cmp.Diff(want, heard); diff != "" || done != wantDone || err != nil {
				t.Fatalf("done %v, want %v; %v (-want +got):\n%s", done, wantDone, err, diff)
			}
		}
	})
}

// pieces reads so many bytes at once.
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
