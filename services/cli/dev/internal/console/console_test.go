package console

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/registry"
)

const id = "01a2067ee65570259391d506a2415c60"

func advisor(t *testing.T) Advisor {
	t.Helper()
	reg, err := registry.New(registry.File{
		Models: []registry.Model{
			{Name: "small", Upstream: registry.Upstream{URL: "http://127.0.0.1:9/v1", Credential: registry.Credential{Env: "SMALL_KEY"}}},
			{Name: "open", Upstream: registry.Upstream{URL: "http://127.0.0.1:9/v1?key=secret"}},
			{Name: "*", Upstream: registry.Upstream{URL: "http://127.0.0.1:8/v1", Credential: registry.Credential{File: "/d/model.key"}}},
		},
		Tools: []registry.Tool{{Name: "order", URL: "http://127.0.0.1:7/order", Credential: registry.Credential{Env: "SHOP"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return Advisor{Registry: reg, ModelKeyFile: "/d/model.key", Flags: true}
}

// render returns what a console prints of log lines, without the times.
func render(t *testing.T, level string, color bool, write func(*zap.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	c, err := New(Config{Out: &out, Level: level, Color: color})
	if err != nil {
		t.Fatal(err)
	}
	c.Advise(advisor(t))
	write(c.Logger().With(zap.String("service", "svc")))
	c.flush(time.Now().Add(2 * window))
	var lines []string
	for _, l := range strings.SplitAfter(out.String(), "\n") {
		_, rest, _ := strings.Cut(l, " ")
		lines = append(lines, rest)
	}
	return strings.Join(lines, "")
}

func settled(outcome, code string, status int, words string) func(*zap.Logger) {
	return func(log *zap.Logger) {
		log.Info("request settled", zap.String("kind", "responses"), zap.String("request_id", id), zap.String("model", "small"),
			zap.String("outcome", outcome), zap.Duration("took", 1200*time.Millisecond), zap.Int("tool_calls", 2), zap.Int("tools_failed", 1),
			zap.Int64("input_tokens", 120), zap.Int64("output_tokens", 45),
			zap.String("code", code), zap.Int("status", status), zap.String("error", words))
	}
}

func modelFailed(model, outcome, code string, status int, words string) func(*zap.Logger) {
	return func(log *zap.Logger) {
		log.Info("model call failed", zap.String("kind", "responses"), zap.String("request_id", id), zap.Int("attempt", 1),
			zap.String("model", model), zap.String("outcome", outcome), zap.Duration("took", 800*time.Millisecond),
			zap.String("code", code), zap.Int("status", status), zap.String("error", words))
	}
}

func toolFailed(outcome, code string, status int, words string) func(*zap.Logger) {
	return func(log *zap.Logger) {
		log.Info("tool call failed", zap.String("kind", "tool"), zap.String("request_id", id), zap.Int("attempt", 1),
			zap.String("tool", "order"), zap.String("outcome", outcome), zap.String("code", code), zap.Int("status", status),
			zap.String("error", words))
	}
}

func served(route, outcome, code, words string) func(*zap.Logger) {
	return func(log *zap.Logger) {
		fields := []zap.Field{
			zap.String("kind", route), zap.String("delivery", "d"), zap.String("outcome", outcome),
			zap.Duration("took", 3*time.Millisecond),
		}
		if words != "" {
			fields = append(fields, zap.String("code", code), zap.String("error", words))
		}
		log.Info("request served", fields...)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, level string
		write       func(*zap.Logger)
		want        string
	}{
		{
			"a request", "info", settled("completed", "", 0, ""),
			"done     resp_" + id + " model small: /v1/responses  1.2 s  120+45 tokens  2 tool calls, 1 failed\n",
		},
		{"a request at the level of failures", "warn", settled("completed", "", 0, ""), ""},
		{"a refused key", "warn", settled("failed", "invalid_prompt", 401, "invalid api key"), "failed   resp_" + id +
			` model small: the upstream answered 401 "invalid api key"  → check the environment variable SMALL_KEY, the credential of model small` + "\n"},
		{"an answer in the service's words", "warn", settled("failed", "model_not_found", 404, "The upstream answered HTTP 404: no such model"), "failed   resp_" + id +
			` model small: The upstream answered HTTP 404: no such model  → check that http://127.0.0.1:9/v1 is the base URL (it often ends in /v1) and that the server has a model "small"` + "\n"},
		{
			"NATS is lost", "warn", func(log *zap.Logger) { log.Warn("connection to NATS lost", zap.Error(errors.New("EOF"))) },
			"lost     NATS: it does not answer: EOF  → requests wait until it is back; dev connects again by itself\n",
		},
		{"no JetStream", "warn", func(log *zap.Logger) {
			log.Warn("streams could not be ensured", zap.Error(errors.New("ensure stream X: nats: API error: code=503 err_code=10039 description=jetstream not enabled")))
		}, "lost     NATS: it does not answer: ensure stream X: nats: API error: code=503 err_code=10039 description=jetstream not enabled  → start it with JetStream: nats-server -js\n"},
		{
			"all is back", "warn", func(log *zap.Logger) { log.Info("ready again", zap.Duration("took", 1500*time.Millisecond)) },
			"ok       Postgres and NATS answer again, after 1.5 s\n",
		},
		{"an upstream's 400", "warn", settled("failed", "invalid_prompt", 400, "role developer is unknown"), "failed   resp_" + id +
			` model small: the upstream answered 400 "role developer is unknown"  → the server does not take this request; docs/models.md has the settings for servers that differ` + "\n"},
		{"an upstream's 500 without words", "error", settled("failed", "server_error", 500, ""), "failed   resp_" + id +
			` model small: the upstream answered 500 Internal Server Error  → see the log of the server at http://127.0.0.1:9/v1` + "\n"},
		{"a model that is not there", "warn", settled("failed", "invalid_prompt", 404, "no such model"), "failed   resp_" + id +
			` model small: the upstream answered 404 "no such model"  → check that http://127.0.0.1:9/v1 is the base URL (it often ends in /v1) and that the server has a model "small"` + "\n"},
		{"a dead model", "warn", settled("failed", "connection_error", 0, "The upstream could not be reached."), "failed   resp_" + id +
			` model small: The upstream could not be reached  → is the server at http://127.0.0.1:9/v1 running?` + "\n"},
		{"a slow model", "warn", settled("failed", "timeout", 0, "The upstream did not answer in time."), "failed   resp_" + id +
			` model small: The upstream did not answer in time  → raise timeout of model small (now 10m0s), or see why the server at http://127.0.0.1:9/v1 is slow` + "\n"},
		{"a budget", "warn", settled("incomplete", "max_turns", 0, ""), "partial  resp_" + id +
			" model small: stopped at max_turns  /v1/responses  1.2 s  120+45 tokens  2 tool calls, 1 failed  → see limits.max_turns in the registry file\n"},
		{"the client's own bound", "warn", settled("incomplete", "max_output_tokens", 0, ""), ""},
		{"a retry", "warn", modelFailed("small", "retried", "server_error", 503, "busy"), "retry    resp_" + id +
			` model small: the upstream answered 503 "busy"; attempt 1 failed, the next one is in 800 ms  → see the log of the server at http://127.0.0.1:9/v1` + "\n"},
		{"a last attempt, which the end repeats", "warn", modelFailed("small", "failed", "server_error", 503, "busy"), ""},
		{"a key of --model-key", "warn", modelFailed("other", "retried", "x", 401, "no"), "retry    resp_" + id +
			` model other: the upstream answered 401 "no"; attempt 1 failed, the next one is in 800 ms  → check --model-key` + "\n"},
		{"a model without a key", "warn", modelFailed("open", "retried", "x", 403, "no"), "retry    resp_" + id +
			` model open: the upstream answered 403 "no"; attempt 1 failed, the next one is in 800 ms  → model open has no credential: add credential: {env: NAME} to its upstream` + "\n"},
		{"a URL with a key in it", "warn", modelFailed("open", "retried", "connection_error", 0, "no"), "retry    resp_" + id +
			` model open: no; attempt 1 failed, the next one is in 800 ms  → is the server at http://127.0.0.1:9/v1 running?` + "\n"},
		{"a tool's address", "warn", toolFailed("failed", "address_refused", 0, "the tool's address is not one that may be called; set allow_private"), "failed   resp_" + id +
			" tool order: the tool's address is not one that may be called; the model is shown this failure  → add allow_private: true to tool order if http://127.0.0.1:7/order is yours\n"},
		{"a tool's 404", "warn", toolFailed("failed", "http_404", 404, ""), "failed   resp_" + id +
			" tool order: it answered 404 Not Found; the model is shown this failure  → check its url (http://127.0.0.1:7/order) and method (POST)\n"},
		{"a tool's 401", "warn", toolFailed("failed", "http_401", 401, ""), "failed   resp_" + id +
			" tool order: it answered 401 Unauthorized; the model is shown this failure  → check the environment variable SHOP, the credential of tool order\n"},
		{"a tool that is down", "warn", toolFailed("retried", "connection_error", 0, "the tool refused the connection"), "retry    resp_" + id +
			" tool order: the tool refused the connection; attempt 1 failed, another follows  → is the server at http://127.0.0.1:7/order running?\n"},
		{"a tool's credential", "warn", toolFailed("failed", "credential_error", 0, "the tool's credential could not be read"), "failed   resp_" + id +
			" tool order: the tool's credential could not be read; the model is shown this failure  → set the environment variable SHOP and start again\n"},
		{"arguments that do not match", "warn", toolFailed("failed", "invalid_arguments", 0, ""), "failed   resp_" + id +
			" tool order: the model's arguments do not match its parameters; the model is shown this failure\n"},
		{"a tool that was not offered", "warn", func(log *zap.Logger) {
			log.Info("tool call failed", zap.String("request_id", id), zap.String("tool", "?"), zap.String("outcome", "failed"), zap.String("code", "unknown_tool"))
		}, "failed   resp_" + id + " model: it called a tool that it was not offered; the model is shown this failure\n"},
		{
			"a wrong key", "warn", served("POST /v1/responses", "401", "invalid_api_key", "Incorrect API key provided."),
			"refused  POST /v1/responses: 401 Incorrect API key provided.  → send Authorization: Bearer and the key of --api-key; SDKs take it as api_key\n",
		},
		{"a bad request", "warn", served("POST /v1/responses", "400", "", "Unknown parameter."), "refused  POST /v1/responses: 400 Unknown parameter.\n"},
		{
			"an unknown model", "warn", served("POST /v1/responses", "404", "model_not_found", "The model '…'?"),
			"refused  POST /v1/responses: 404 no such model  → GET /v1/models lists the models\n",
		},
		{
			"a fault of ours", "error", served("POST /v1/responses", "500", "server_error", "nil map"),
			"failed   POST /v1/responses: 500 nil map  → this is a fault of Windlass: please report it with this line\n",
		},
		{"a client that went", "info", served("POST /v1/responses", "499", "", ""), "gone     POST /v1/responses: the client hung up after 3 ms\n"},
		{"a poll", "info", served("GET /v1/responses", "200", "", ""), ""},
		{"a poll for those who want all", "debug", served("GET /v1/responses", "200", "", ""), "http     GET /v1/responses: 200  3 ms\n"},
		{"a check", "warn", func(log *zap.Logger) {
			log.Warn("start check", zap.String("tool", "order"), zap.String("error", "nothing listens"), zap.String("hint", "start it"))
		}, "check    tool order: nothing listens  → start it\n"},
		{"steps", "info", func(log *zap.Logger) {
			log.Info("message handled", zap.String("kind", "turn"), zap.String("outcome", "done"))
		}, ""},
		{"steps for those who want all", "debug", func(log *zap.Logger) {
			log.Info("message handled", zap.String("kind", "turn"), zap.String("outcome", "done"))
		}, "info     svc: message handled  kind=turn  outcome=done\n"},
		{"an unknown warning", "warn", func(log *zap.Logger) { log.Warn("sweep failed", zap.Error(errors.New("no"))) }, "warn     svc: sweep failed: no\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := render(t, tt.level, false, tt.write); got != tt.want {
				t.Errorf("shows\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// TestLinesAreOneLine holds that no text from outside can break or fake a line.
func TestLinesAreOneLine(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"a\nfailed b", "a\r\nb", "\x1b[2Jx", "\u202eright to left", "\u2028", "\x00\x7f", "\u009b31m", "\xff\xfe", strings.Repeat("long ", 1000)} {
		for name, write := range map[string]func(*zap.Logger){
			"words of an upstream": settled("failed", "x", 400, bad), "words of a client": served("POST /v1/responses", "400", "", "no "+bad),
			"a model's name": modelFailed(bad, "retried", "x", 500, "no"), "a method": served(bad, "400", "", "no"),
			"a hint": func(log *zap.Logger) { log.Warn("start check", zap.String("model", bad), zap.String("hint", bad)) },
			"other":  func(log *zap.Logger) { log.Error(bad, zap.String("subject", bad), zap.Error(errors.New(bad))) },
		} {
			got := render(t, "info", false, write)
			if strings.Count(got, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(got, "\n"), func(r rune) bool {
				return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028'
			}) {
				t.Errorf("%s %q is shown as %q, want one printable line", name, bad, got)
			}
			if len(got) > 5*4*maxText {
				t.Errorf("%s of %d bytes is shown as %d", name, len(bad), len(got))
			}
		}
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, tone string
		write      func(*zap.Logger)
	}{
		{"failed", "\x1b[31mfailed", settled("failed", "x", 500, "no")},
		{"done", "\x1b[32mdone", settled("completed", "", 0, "")},
		{"refused", "\x1b[33mrefused", served("POST /v1/responses", "400", "", "no")},
	} {
		if got := render(t, "info", true, tt.write); !strings.Contains(got, tt.tone) {
			t.Errorf("%s is shown as %q, want %q", tt.name, got, tt.tone)
		}
		if got := render(t, "info", false, tt.write); strings.Contains(got, "\x1b") {
			t.Errorf("%s without colors is shown as %q", tt.name, got)
		}
	}
}

func TestLevelsAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Level: "loud"}); err == nil {
		t.Error("New with the level loud succeeded, want an error")
	}
}
