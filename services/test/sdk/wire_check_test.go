package sdk

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frame is one frame of a WebSocket; a client's is masked.
func frame(head byte, payload []byte, mask []byte) []byte {
	raw := []byte{head, 0}
	switch n := len(payload); {
	case n < 126:
		raw[1] = byte(n)
	case n < 1<<16:
		raw[1] = 126
		raw = binary.BigEndian.AppendUint16(raw, uint16(n))
	default:
		raw[1] = 127
		raw = binary.BigEndian.AppendUint64(raw, uint64(n))
	}
	if mask != nil {
		raw[1] |= maskBit
		raw = append(raw, mask...)
	}
	for i, b := range payload {
		if mask != nil {
			b ^= mask[i%4]
		}
		raw = append(raw, b)
	}
	return raw
}

// Messages are found however they were framed and compressed.
func TestMessagesOfAWire(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	deflate := func(text string) []byte { // with the earlier text as its context
		out.Reset()
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff")))
	}
	const text, deflated = finBit | 1, finBit | deflatedBit | 1
	mask := []byte{1, 2, 3, 4}
	long, longer := strings.Repeat("long ", 100), strings.Repeat("longer ", 20_000)
	raw := slices.Concat(
		frame(text, []byte("short"), mask), frame(text, []byte(long), nil), frame(text, []byte(longer), mask),
		frame(1, []byte("in "), nil), frame(finBit|9, []byte("ping"), nil), frame(finBit|opContinuation, []byte("two"), nil),
		frame(deflated, deflate("said once"), mask), frame(deflated, deflate("said once"), nil),
		frame(finBit|8, []byte{3, 232}, nil), frame(text, []byte("cut off"), nil)[:5],
	)
	got, err := messages(raw)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range got {
		texts = append(texts, string(m))
	}
	if diff := cmp.Diff([]string{"short", long, longer, "in two", "said once", "said once"}, texts); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if _, err := messages(frame(deflated, []byte("\xff\xff"), nil)); err == nil {
		t.Error("what is not compressed was inflated")
	}
}
