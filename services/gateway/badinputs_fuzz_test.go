package gateway

import (
	"strings"
	"testing"
	"unicode/utf8"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// FuzzID: what is taken for a response's id is written in one way only, and
// fits a subject, a query and a log line; what is not is answered without a
// byte of it that JSON could not carry.
func FuzzID(f *testing.F) {
	for _, s := range []string{
		unknown, "resp_", "resp_*", "resp_>.", strings.ToUpper(unknown), "resp_01234567-89ab-cdef-0123-456789abcdef", "rеsp_0123456789abcdef0123456789abcdef",
		unknown + "\n", "resp_" + strings.Repeat("a", 10_000), "\xff", "", "conv_1", "resp_'; --",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, public string) {
		id, ok := run.ResponseID.Parse(public)
		if ok && (run.ResponseID.Format(id) != public || strings.Trim(public[len("resp_"):], "0123456789abcdef") != "" || len(public) != len(unknown)) {
			t.Errorf("%q is taken for the id %s", public, run.ResponseID.Format(id))
		}
		if short := httpapi.Excerpt(public); len(short) > 4*80+3 || utf8.ValidString(public) && !utf8.ValidString(short) {
			t.Errorf("the excerpt of %q is %q", public, short)
		}
		if envelope := render.NotFound(public).JSON(); !utf8.Valid(envelope) || strings.ContainsAny(string(envelope), "\r\n\x00") {
			t.Errorf("%q is answered %q", public, envelope)
		}
	})
}
