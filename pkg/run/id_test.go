package run_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/run"
)

func newID(testing.TB) run.ID {
	var id run.ID
	_, _ = rand.Read(id[:])
	return id
}

func TestParseHexReadsWhatHexWrote(t *testing.T) {
	t.Parallel()
	id := newID(t)
	if got, err := run.ParseHex(run.Hex(id)); err != nil || got != id {
		t.Errorf("ParseHex(Hex(%x)) = %x, %v", id, got, err)
	}
	for _, bad := range []string{"", "zz", run.Hex(id)[:30], run.Hex(id) + "00"} {
		if _, err := run.ParseHex(bad); err == nil {
			t.Errorf("ParseHex(%q) is no error", bad)
		}
	}
}

// FuzzParseHex: an id is what Hex wrote, in either case, and nothing else is
// one.
func FuzzParseHex(f *testing.F) {
	for _, s := range []string{"01890a5dac96774bbcceb302099a8057", "", "*", "01890A5DAC96774BBCCEB302099A8057", "01890a5d-ac96-774b-bcce-b302099a8057", "0x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := run.ParseHex(text)
		if err == nil && !strings.EqualFold(run.Hex(id), text) {
			t.Errorf("%q is read as %s", text, run.Hex(id))
		}
		if err != nil && (len(text) == 32 && strings.Trim(text, "0123456789abcdef") == "") {
			t.Errorf("%q is refused: %v", text, err)
		}
	})
}

func TestIdempotencyKeyNamesTheCallAndNotTheAttempt(t *testing.T) {
	t.Parallel()
	id := newID(t)
	key := run.IdempotencyKey(id, 1, 2, "call_1")
	if key != run.IdempotencyKey(id, 1, 2, "call_1") || !strings.HasPrefix(key, "wl_") {
		t.Errorf("key %q is not stable", key)
	}
	for _, other := range []string{
		run.IdempotencyKey(id, 2, 2, "call_1"), run.IdempotencyKey(id, 1, 3, "call_1"),
		run.IdempotencyKey(id, 1, 2, "call_2"), run.IdempotencyKey(newID(t), 1, 2, "call_1"),
	} {
		if other == key {
			t.Error("two calls share a key")
		}
	}
	if bytes.Equal(run.InputHash("a", []byte("bc")), run.InputHash("ab", []byte("c"))) {
		t.Error("two inputs share a hash")
	}
}

func TestPublicIDsAreReadBack(t *testing.T) {
	t.Parallel()
	id := newID(t)
	digits := run.Hex(id)
	for prefix, want := range map[run.Prefix]string{
		run.ResponseID: "resp_" + digits, run.ConversationID: "conv_" + digits, run.CallID: "req_" + digits,
	} {
		public := prefix.Format(id)
		if got, ok := prefix.Parse(public); public != want || !ok || got != id {
			t.Errorf("Format = %s, want %s; Parse = %x, %v", public, want, got, ok)
		}
		for _, bad := range []string{"", digits, string(prefix), public + "0", public[:len(public)-1], "x" + public, string(prefix) + strings.Repeat("A", 32)} {
			if _, ok := prefix.Parse(bad); ok {
				t.Errorf("Parse(%q) reads an id", bad)
			}
		}
	}
}

func TestCreatedAtReadsTheTimeOfAnID(t *testing.T) {
	t.Parallel()
	id, _ := run.ParseHex("01890a5dac96774bbcceb302099a8057")
	if got, want := run.CreatedAt(id), time.UnixMilli(0x01890a5dac96); !got.Equal(want) {
		t.Errorf("CreatedAt = %s, want %s", got, want)
	}
}
