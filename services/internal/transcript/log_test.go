package transcript

import (
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
	"windlass.dev/windlass/pkg/run"
)

func TestLogsOfFailuresQuoteNoRequest(t *testing.T) {
	t.Parallel()
	c := run.Chain{
		Body:  []byte(`{"model":"m","max_output_tokens":5,"instructions":"Keep the launch code.","input":[{"role":"user","content":[{"type":"input_text","text":"my \"PIN\" is 4711 0815 1234"}]}]}`),
		Steps: []run.Step{{Output: []byte(`{"items":[{"text":"the vault is behind the painting"}]}`)}},
	}
	for _, tt := range []struct{ name, message, want string }{
		{"plain words", "Unsupported parameter: 'max_output_tokens' is not supported.", "Unsupported parameter: 'max_output_tokens' is not supported."},
		{"a prompt", `cannot parse: my "PIN" is 4711 0815 1234`, "cannot parse: […]"},
		{"a piece of it", "near <4711 0815 1234>", "near <[…]>"},
		{"instructions", "rejected <Keep the launch code.>", "rejected <[…]>"},
		{"an output", "after: the vault is behind the painting", "after: […]"},
		{"line ends and escapes", "a\r\nb\x1b[2J", "a  b [2J"},
		{"short words in common", "the code is 400", "the code is 400"},
		{"too long", strings.Repeat("x", 400), strings.Repeat("x", 300) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			enc := zapcore.NewMapObjectEncoder()
			for _, f := range LogFields(run.Failure{Code: "invalid_prompt", HTTPStatus: 400, Message: tt.message}, c) {
				f.AddTo(enc)
			}
			if got := enc.Fields["error"]; got != tt.want {
				t.Errorf("logged %q, want %q", got, tt.want)
			}
		})
	}
	huge := run.Chain{Body: []byte(`{"input":"` + strings.Repeat("a", maxSearched) + `"}`)}
	if got := withoutQuotes("words", huge); got != "" {
		t.Errorf("the error of a huge request is logged as %q, want no text", got)
	}
}
