package streamcheck

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		raw  string
		want []string // event and data of each frame, then the rest
	}{
		"nothing":                        {"", []string{""}},
		"one":                            {"event: a\ndata: 1\n\n", []string{"a=1", ""}},
		"no space after the colon":       {"event:a\ndata:1\n\n", []string{"a=1", ""}},
		"only one space is dropped":      {"data:  1\n\n", []string{"= 1", ""}},
		"a field without a colon":        {"data\n\n", []string{"=", ""}},
		"two data lines":                 {"data: 1\ndata: 2\n\n", []string{"=1\n2", ""}},
		"carriage returns":               {"event: a\rdata: 1\r\rdata: 2\r\n\r\n", []string{"a=1", "=2", ""}},
		"a byte order mark":              {"\uFEFFdata: 1\n\n", []string{"=1", ""}},
		"comments":                       {": hello\n\n: there\ndata: 1\n:in between\n\n", []string{"=1", ""}},
		"a block without data":           {"event: a\n\ndata: 1\n\n", []string{"=1", ""}},
		"a frame that is not ended":      {"data: 1\n\ndata: 2\n", []string{"=1", "data: 2\n"}},
		"a line that is not ended":       {"data: 1\n\ndata", []string{"=1", "data"}},
		"a keep-alive that is not ended": {"data: 1\n\n: keep", []string{"=1", ": keep"}},
	} {
		frames, rest := Frames([]byte(tt.raw))
		got := make([]string, 0, len(frames)+1)
		for _, f := range frames {
			got = append(got, f.Event+"="+string(f.Data))
		}
		if diff := cmp.Diff(tt.want, append(got, string(rest))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTailIsWhatAResumeSends(t *testing.T) {
	t.Parallel()
	raw := goodScript().raw()
	frames, _ := Frames(raw)
	whole := bytes.Replace(raw, []byte(": keep-alive\n\n"), nil, 1)
	if diff := cmp.Diff(string(whole), string(Tail(raw, -1))); diff != "" {
		t.Errorf("after nothing (-want +got):\n%s", diff)
	}
	for n, f := range frames[:len(frames)-1] {
		if f.Sequence() != int64(n) {
			t.Fatalf("frame %d has the sequence number %d", n, f.Sequence())
		}
		if diff := cmp.Diff(string(whole), string(Join(frames[:n+1]))+string(Tail(raw, int64(n)))); diff != "" {
			t.Errorf("what came up to %d and what a resume sends is not the whole (-want +got):\n%s", n, diff)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(goodScript().raw())
	f.Add([]byte("event: a\rdata: 1\r\rdata: 2\r\n\r\n: c\n\ndata"))
	f.Add([]byte("\uFEFFdata\n\nid: 1\nretry: 5\ndata:  x\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		frames, rest := Frames(raw)
		if !bytes.HasSuffix(raw, rest) {
			t.Errorf("the rest %q is not the end of %q", rest, raw)
		}
		Check(raw) // must not panic
		CheckStart(raw)
		if bytes.ContainsRune(raw, '\r') || bytes.Contains(raw, []byte("\uFEFF")) {
			return // a comment, a cut between CR and LF, or a cut before a byte order mark changes the remainder
		}
		again, left := Frames(Join(frames))
		if len(left) > 0 || len(again) != len(frames) {
			t.Fatalf("%d frames, put together, are %d and %q", len(frames), len(again), left)
		}
		for i := range again {
			if again[i].Event != frames[i].Event || !bytes.Equal(again[i].Data, frames[i].Data) {
				t.Errorf("frame %d is %+v, put together with the others %+v", i, frames[i], again[i])
			}
		}
		// Wherever a stream is cut, the two parts together are the whole.
		for _, cut := range []int{len(raw) / 3, len(raw) / 2} {
			head, open := Frames(raw[:cut])
			tail, _ := Frames(append(bytes.Clone(open), raw[cut:]...))
			if got := len(head) + len(tail); got != len(frames) {
				t.Errorf("cut at %d there are %d frames, want %d", cut, got, len(frames))
			}
		}
	})
}
