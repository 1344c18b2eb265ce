package responseapi

import (
	"net/url"
	"testing"

	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// FuzzQuery: any query is a place in a stream or is refused with 400.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"starting_after=5", "starting_after=-1&limit=0", "limit=101&order=up", "after=%00&before=x&limit=20&order=asc", "starting_after=99999999999999999999", ";;&%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		after, err := startingAfter(q)
		if err == nil && after < -1 || err != nil && httpapi.FaultOf(err).Status != 400 {
			t.Errorf("%q starts after %d, %v", raw, after, err)
		}
	})
}
