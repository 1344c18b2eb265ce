package streamcheck

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusedMessages(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		message string
		want    []string
	}{
		"a refusal":                  {`{"type":"error","status":400,"error":{"code":"c","message":"m"}}`, nil},
		"a refusal without a status": {`{"type":"error","error":{"code":"c","message":"m"}}`, []string{"error"}},
		"a refusal that is flat":     {`{"type":"error","status":400,"message":"m"}`, []string{"error"}},
	} {
		if diff := cmp.Diff(tt.want, rules(CheckMessages([][]byte{[]byte(tt.message)}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// in returns the script's messages with a stream_id.
func (s script) in(stream string) [][]byte {
	all := s.messages()
	for i, m := range all {
		all[i] = append(bytes.TrimSuffix(m, []byte("}")), fmt.Sprintf(`,"stream_id":%q}`, stream)...)
	}
	return all
}

func TestSockets(t *testing.T) {
	t.Parallel()
	refusal := []byte(`{"type":"error","status":400,"error":{"code":"c","message":"m"}}`)
	whole, a, b := goodScript().messages(), goodScript().in("a"), goodScript().in("b")
	mixed := append([][]byte{refusal}, whole...)
	for i := range a {
		mixed = append(mixed, a[i], b[i])
	}
	mixed = slices.Concat(mixed, a, [][]byte{refusal})
	for _, v := range CheckSocket(mixed) {
		t.Error(v)
	}
	for name, tt := range map[string]struct {
		messages [][]byte
		want     []string
	}{
		"a response without its end":              {slices.Concat(a, b[:4]), []string{"order"}},
		"an event on another stream":              {slices.Concat(a[:3], b[3:4], a[3:]), []string{"sequence", "order"}},
		"a response that continues after its end": {slices.Concat(a, a[3:4]), []string{"sequence", "order"}},
		"two responses mixed on one":              {slices.Concat(a[:1], a), []string{"sequence", "order"}},
		"an end on the stream of another":         {slices.Concat(whole[:3], a[len(a)-1:]), []string{"sequence", "order", "final"}},
		"a stream that is named only later":       {slices.Concat(whole[:1], a[1:]), []string{"sequence", "order"}},
	} {
		if diff := cmp.Diff(tt.want, rules(CheckSocket(tt.messages))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
