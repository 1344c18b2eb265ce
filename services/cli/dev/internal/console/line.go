package console

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// burst is how many lines about requests that failed alike are printed in a
// window before the rest is counted: a person who tries something sees each try.
const burst = 5

// record is a log line as zap wrote it.
type record struct {
	at      time.Time
	level   zapcore.Level
	message string
	fields  map[string]any
}

func (r record) text(name string) string {
	s, _ := r.fields[name].(string)
	return s
}

func (r record) number(name string) int64 {
	n, _ := r.fields[name].(int64)
	return n
}

func (r record) took() string {
	d, _ := r.fields["took"].(time.Duration)
	return short(d)
}

// id is the request's as its client knows it.
func (r record) id() string {
	id := r.text("request_id")
	switch kind := r.text("kind"); {
	case id == "", strings.Contains(kind, "/"), kind == "completions", kind == "embeddings":
		return id // one model call, whose client knows it by a header
	}
	return "resp_" + id
}

// renderers make a line of the log lines that are worth a person's while, by
// their message.
var renderers = map[string]func(Advisor, record) line{
	"request settled":                          Advisor.settled,
	"request expired":                          Advisor.expired,
	"after-work done":                          Advisor.ended,
	"model call failed":                        Advisor.modelFailed,
	"tool call failed":                         Advisor.toolFailed,
	"request served":                           Advisor.served,
	"message served":                           Advisor.served,
	"start check":                              Advisor.checked,
	"connection to NATS lost":                  Advisor.natsLost,
	"connection to NATS restored":              Advisor.detail,
	"infrastructure unavailable, trying again": Advisor.away,
	"streams could not be ensured":             Advisor.away,
	readyAgain:                                 Advisor.back,
	// The failed call says the same, with what to do.
	"credential not resolved":          Advisor.detail,
	"requests changed after a refusal": Advisor.notice,
	"tenants read again":               Advisor.notice,
	"key made":                         Advisor.notice,
	"key revoked":                      Advisor.notice,
}

// line renders a record.
func (a Advisor) line(r record) line {
	if render := renderers[r.message]; render != nil {
		return render(a, r)
	}
	if r.level == zapcore.InfoLevel {
		return a.detail(r)
	}
	if l, is := outage(r.text("error")); is {
		return l
	}
	return a.notice(r)
}

// settled is the end of a request.
func (a Advisor) settled(r record) line {
	l := line{level: zapcore.InfoLevel, id: r.id(), about: "model " + r.text("model")}
	spent := fmt.Sprintf("%s  %s  %d+%d tokens",
		path(r.text("kind")), r.took(), r.number("input_tokens"), r.number("output_tokens"))
	if n := r.number("tool_calls"); n > 0 {
		spent += fmt.Sprintf("  %d tool call%s", n, map[bool]string{false: "s"}[n == 1])
	}
	if n := r.number("tools_failed"); n > 0 {
		spent += fmt.Sprintf(", %d failed", n)
	}
	code := r.text("code")
	switch r.text("outcome") {
	case "failed":
		l.level, l.word, l.say = zapcore.ErrorLevel, "failed", failure("the upstream", r)
		l.hint = a.modelHint(r.text("model"), code, int(r.number("status")))
		l.key, l.burst = "settled "+l.about+l.say, burst
	case "incomplete":
		l.word, l.say = "partial", "stopped at "+code+"  "+spent
		if code != "max_output_tokens" && code != "content_filter" { // not the client's own doing
			l.level, l.hint = zapcore.WarnLevel, "see limits."+code+" in the registry file"
		}
	default:
		l.word, l.say = "done", spent
	}
	return l
}

// failure says in words what a failed call came to. Who answered it is who.
func failure(who string, r record) string {
	status, words := int(r.number("status")), strings.TrimSpace(r.text("error"))
	switch {
	case status == 0:
		return cmp.Or(strings.TrimSuffix(words, "."), r.text("code"), "it failed")
	case strings.HasPrefix(strings.ToLower(words), who+" "): // in the words of the service
		return strings.TrimSuffix(words, ".")
	case words == "":
		return strings.TrimSpace(fmt.Sprintf("%s answered %d %s", who, status, http.StatusText(status)))
	}
	return fmt.Sprintf("%s answered %d %q", who, status, words)
}

func (a Advisor) modelFailed(r record) line {
	l := line{
		level: zapcore.DebugLevel, word: "failed", id: r.id(), about: "model " + r.text("model"), say: failure("the upstream", r),
	}
	if r.text("outcome") == "retried" { // of the last attempt the end of the request tells
		l.level, l.word = zapcore.WarnLevel, "retry"
		l.say = fmt.Sprintf("%s; attempt %d failed, the next one is in %s", l.say, r.number("attempt"), r.took())
		if r.number("attempt") == 1 {
			l.hint = a.modelHint(r.text("model"), r.text("code"), int(r.number("status")))
		}
		l.key, l.burst = "model "+l.about+r.text("code")+r.text("error"), burst
	}
	return l
}

func (a Advisor) toolFailed(r record) line {
	tool := r.text("tool")
	l := line{level: zapcore.WarnLevel, word: "failed", id: r.id(), about: "tool " + tool, say: failure("it", r)}
	switch r.text("code") {
	case "unknown_tool":
		l.about, l.say = "model", "it called a tool that it was not offered"
	case "invalid_arguments":
		l.say = "the model's arguments do not match its parameters"
	}
	if r.text("code") == "address_refused" {
		l.say, _, _ = strings.Cut(l.say, ";") // the rest is advice
	}
	if tool != "?" {
		l.hint = a.toolHint(tool, r.text("code"), int(r.number("status")))
	}
	l.key, l.burst = "tool "+r.text("outcome")+tool+l.say, burst
	if r.text("outcome") == "retried" {
		l.word, l.say = "retry", fmt.Sprintf("%s; attempt %d failed, another follows", l.say, r.number("attempt"))
		return l
	}
	l.say += "; the model is shown this failure"
	return l
}

// served is an HTTP request, or a message of a WebSocket. Those that became a
// request of a model have a line of their own when it ends.
func (a Advisor) served(r record) line {
	route := r.text("kind")
	if route == "/" { // no route matched, and the error names the path
		route = "HTTP"
	}
	l := line{level: zapcore.DebugLevel, word: "http", about: route, say: r.text("outcome") + "  " + r.took()}
	if r.text("request_id") != "" {
		l.id = "resp_" + r.text("request_id")
	}
	status, words := r.text("outcome"), r.text("error")
	if words != "" && r.text("code") == "model_not_found" { // the log line does not have the name
		words = "no such model"
	}
	switch {
	case status == "499":
		l.level, l.word, l.say = zapcore.InfoLevel, "gone", "the client hung up after "+r.took()
	case words == "" && !strings.HasPrefix(route, http.MethodGet+" ") && l.id == "" && status < "400":
		l.level, l.word = zapcore.InfoLevel, "done"
	case words != "" && status < "500":
		l.level, l.word, l.say = zapcore.WarnLevel, "refused", status+" "+words
		l.hint = a.clientHint(status, r.text("code"))
		l.key, l.burst = "served "+route+status+r.text("code"), burst
	case words != "":
		l.level, l.word, l.say = zapcore.ErrorLevel, "failed", status+" "+words
		l.hint = a.clientHint(status, r.text("code"))
		l.key, l.burst = "served "+route+status, burst
	}
	return l
}

func (a Advisor) expired(r record) line {
	return line{
		level: zapcore.ErrorLevel, word: "failed", id: r.id(), say: "its deadline passed",
		hint: "see limits.deadline in the registry file", key: "expired", burst: burst,
	}
}

func (a Advisor) ended(r record) line {
	if r.text("outcome") != "cancelled" {
		return a.detail(r)
	}
	return line{level: zapcore.InfoLevel, word: "stopped", id: r.id(), say: "cancelled"}
}

// checked is what a check at the start found.
func (a Advisor) checked(r record) line {
	l := line{level: r.level, word: "check", say: r.text("error"), hint: r.text("hint")}
	for _, kind := range []string{"model", "tool"} {
		if name := r.text(kind); name != "" {
			l.about = kind + " " + name
		}
	}
	if l.about == "model *" && a.Flags {
		l.about = "--model-url"
	}
	return l
}

// detail is a line for those who want all of them.
func (a Advisor) detail(r record) line {
	l := a.notice(r)
	l.level = zapcore.DebugLevel
	return l
}

// unlike is what tells lines of one kind apart: ids and numbers.
var unlike = regexp.MustCompile(`[0-9a-fA-F-]{8,}|\d+`)

// notice is a line as it is: its message and the fields that people read.
func (a Advisor) notice(r record) line {
	l := line{level: r.level, word: r.level.String(), about: r.text("service"), say: r.message}
	if l.level > zapcore.ErrorLevel {
		l.level = zapcore.ErrorLevel
	}
	if id := r.text("request_id"); id != "" {
		l.id = "resp_" + id
	}
	for _, name := range []string{"kind", "model", "tool", "subject", "outcome", "code"} {
		if v := r.text(name); v != "" {
			l.say += "  " + name + "=" + v
		}
	}
	if why := r.text("error"); why != "" {
		l.say += ": " + why
	}
	if l.level >= zapcore.WarnLevel {
		l.key, l.burst = r.message+unlike.ReplaceAllString(r.text("error"), "#"), 3
	}
	return l
}

// path is the API's path of an endpoint.
func path(endpoint string) string { return "/v1/" + endpoint }
