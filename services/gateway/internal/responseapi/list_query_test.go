package responseapi

import (
	"testing"

	"github.com/google/uuid"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
)

// Bounds in seconds hold what clients are shown as created_at: whole seconds.
func TestTimesOfLists(t *testing.T) {
	t.Parallel()
	at := func(ms int64) uuid.UUID {
		id := firstID(0)
		for i := range 6 {
			id[i] = byte(ms >> (40 - 8*i))
		}
		id[6], id[8], id[15] = 0x7f, 0xbf, 0xff
		return id
	}
	for _, tt := range []struct {
		query string
		ms    int64
		want  bool
	}{
		{"gt", 1_000_999, false},
		{"gt", 1_001_000, true},
		{"gte", 999_999, false},
		{"gte", 1_000_000, true},
		{"lt", 999_999, true},
		{"lt", 1_000_000, false},
		{"lte", 1_000_999, true},
		{"lte", 1_001_000, false},
	} {
		q, _, err := readList(map[string][]string{"created_at[" + tt.query + "]": {"1000"}})
		if err != nil {
			t.Fatal(err)
		}
		id := at(tt.ms)
		if got := above(q, id).Above == id && below(q, id).Below == id; got != tt.want {
			t.Errorf("%s 1000 holds %d ms: %v, want %v", tt.query, tt.ms, got, tt.want)
		}
	}
}

// A page that ended before its limit was reached says where to go on, in both
// directions.
func TestPagesThatEndedEarly(t *testing.T) {
	t.Parallel()
	next := uuid.MustParse("0190a0b0-c0d0-7000-8000-00000000dead")
	for _, reversed := range []bool{false, true} {
		p, err := pageOf(answers.Listing{More: true, Next: next}, reversed)
		if err != nil {
			t.Fatal(err)
		}
		at, none := p.LastID, p.FirstID
		if reversed {
			at, none = none, at
		}
		if !p.HasMore || at == nil || *at != run.ResponseID.Format(next) || none != nil || p.Data == nil {
			t.Errorf("reversed %v: the page is %+v", reversed, p)
		}
	}
}
