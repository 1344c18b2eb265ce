package httpapi

import (
	"net/url"
	"testing"
)

// FuzzPageQuery: any query is a page or is refused with 400.
func FuzzPageQuery(f *testing.F) {
	for _, s := range []string{"limit=101&order=up", "after=%00&before=x&limit=20&order=asc", "limit=0", ";;&%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		p, err := ReadPageQuery(q)
		if err != nil {
			if FaultOf(err).Status != 400 {
				t.Errorf("%q is refused with %v", raw, err)
			}
			return
		}
		all := []string{"a", "b", "c"}
		got, err := Cut(p, all, func(s string) string { return s })
		if err == nil && (len(got.Data) > p.Limit || len(got.Data) > len(all) || p.Limit < 1 || p.Limit > maxPage) {
			t.Errorf("%q gives %v of %v", raw, got.Data, all)
		}
	})
}
