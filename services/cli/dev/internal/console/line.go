package console

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"windlass.dev/windlass/pkg/run"
)

// burst is how many lines about requests that failed alike are printed in a
// window before the rest is counted: it is high enough to show each try of a
// person.
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

func (r record) duration() string {
	d, _ := r.fields["took"].(time.Duration)
	return short(d)
}

// id returns the request's id as its client sees it.
func (r record) id() string {
	id := r.text("request_id")
	switch kind := r.text("kind"); {
	case id == "", strings.Contains(kind, "/"), kind == "completions", kind == "embeddings":
		return id // a request that is one model call; its client sees the id in a header
	}
	return string(run.ResponseID) + id
}

// renderers turn the log lines that matter to a person into lines, by message.
var renderers = map[string]func(Advisor, record) line{
	"request settled":                          Advisor.renderSettled,
	"request expired":                          Advisor.renderExpired,
	"after-work done":                          Advisor.renderEnd,
	"model call failed":                        Advisor.renderModelFailure,
	"tool call failed":                         Advisor.renderToolFailure,
	"request served":                           Advisor.renderServed,
	"message served":                           Advisor.renderServed,
	"start check":                              Advisor.renderCheck,
	"connection to NATS lost":                  Advisor.renderNATSLost,
	"connection to NATS restored":              Advisor.renderDetail,
	"infrastructure unavailable, trying again": Advisor.renderOutage,
	"streams could not be ensured":             Advisor.renderOutage,
	readyAgain:                                 Advisor.renderRecovery,
	// The line of the failed call says the same, with advice.
	"credential not resolved":          Advisor.renderDetail,
	"requests changed after a refusal": Advisor.renderNotice,
	"tenants read again":               Advisor.renderNotice,
	"key made":                         Advisor.renderNotice,
	"key revoked":                      Advisor.renderNotice,
}

// line renders a record.
func (a Advisor) line(r record) line {
	if render := renderers[r.message]; render != nil {
		return render(a, r)
	}
	if r.level == zapcore.InfoLevel {
		return a.renderDetail(r)
	}
	if l, found := findOutage(r.text("error")); found {
		return l
	}
	return a.renderNotice(r)
}

// renderSettled renders the end of a request.
func (a Advisor) renderSettled(r record) line {
	l := line{level: zapcore.InfoLevel, id: r.id(), about: "model " + r.text("model")}
	usage := fmt.Sprintf("%s  %s  %d+%d tokens",
		path(r.text("kind")), r.duration(), r.number("input_tokens"), r.number("output_tokens"))
	if n := r.number("tool_calls"); n > 0 {
		usage += fmt.Sprintf("  %d tool call%s", n, map[bool]string{false: "s"}[n == 1])
	}
	if n := r.number("tools_failed"); n > 0 {
		usage += fmt.Sprintf(", %d failed", n)
	}
	code := r.text("code")
	switch r.text("outcome") {
	case "failed":
		l.level, l.word, l.say = zapcore.ErrorLevel, "failed", describeFailure("the upstream", r)
		l.hint = a.modelHint(r.text("model"), code, int(r.number("status")))
		l.key, l.burst = "settled "+l.about+l.say, burst
	case "incomplete":
		l.word, l.say = "partial", "stopped at "+code+"  "+usage
		if code != "max_output_tokens" && code != "content_filter" { // the client did not set this limit
			l.level, l.hint = zapcore.WarnLevel, "see limits."+code+" in the registry file"
		}
	default:
		l.word, l.say = "done", usage
	}
	return l
}

// describeFailure says in words why a call failed. who answered it.
func describeFailure(who string, r record) string {
	status, words := int(r.number("status")), strings.TrimSpace(r.text("error"))
	switch {
	case status == 0:
		return cmp.Or(strings.TrimSuffix(words, "."), r.text("code"), "it failed")
	case strings.HasPrefix(strings.ToLower(words), who+" "): // the service's own text
		return strings.TrimSuffix(words, ".")
	case words == "":
		return strings.TrimSpace(fmt.Sprintf("%s answered %d %s", who, status, http.StatusText(status)))
	}
	return fmt.Sprintf("%s answered %d %q", who, status, words)
}

func (a Advisor) renderModelFailure(r record) line {
	l := line{
		level: zapcore.DebugLevel, word: "failed", id: r.id(), about: "model " + r.text("model"),
		say: describeFailure("the upstream", r),
	}
	if r.text("outcome") == "retried" { // the end of the request has the last attempt
		l.level, l.word = zapcore.WarnLevel, "retry"
		l.say = fmt.Sprintf("%s; attempt %d failed, the next one is in %s", l.say, r.number("attempt"), r.duration())
		if r.number("attempt") == 1 {
			l.hint = a.modelHint(r.text("model"), r.text("code"), int(r.number("status")))
		}
		l.key, l.burst = "model "+l.about+r.text("code")+r.text("error"), burst
	}
	return l
}

func (a Advisor) renderToolFailure(r record) line {
	tool := r.text("tool")
	l := line{
		level: zapcore.WarnLevel, word: "failed", id: r.id(), about: "tool " + tool,
		say: describeFailure("it", r),
	}
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

// renderServed renders an HTTP request, or a message of a WebSocket. A request
// to a model has its own line when it ends.
func (a Advisor) renderServed(r record) line {
	route := r.text("kind")
	if route == "/" { // no route matched, and the error has the path
		route = "HTTP"
	}
	l := line{level: zapcore.DebugLevel, word: "http", about: route, say: r.text("outcome") + "  " + r.duration()}
	if r.text("request_id") != "" {
		l.id = string(run.ResponseID) + r.text("request_id")
	}
	status, words := r.text("outcome"), r.text("error")
	if words != "" && r.text("code") == "model_not_found" { // the log line does not have the name
		words = "no such model"
	}
	switch {
	case status == "499":
		l.level, l.word, l.say = zapcore.InfoLevel, "gone", "the client hung up after "+r.duration()
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

func (a Advisor) renderExpired(r record) line {
	return line{
		level: zapcore.ErrorLevel, word: "failed", id: r.id(), say: "its deadline passed",
		hint: "see limits.deadline in the registry file", key: "expired", burst: burst,
	}
}

func (a Advisor) renderEnd(r record) line {
	if r.text("outcome") != "cancelled" {
		return a.renderDetail(r)
	}
	return line{level: zapcore.InfoLevel, word: "stopped", id: r.id(), say: "cancelled"}
}

// renderCheck renders a finding of the start checks.
func (a Advisor) renderCheck(r record) line {
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

// renderDetail renders a line for the level debug.
func (a Advisor) renderDetail(r record) line {
	l := a.renderNotice(r)
	l.level = zapcore.DebugLevel
	return l
}

// variable matches what differs between lines of one kind: ids and numbers.
var variable = regexp.MustCompile(`[0-9a-fA-F-]{8,}|\d+`)

// renderNotice renders the message and the fields that people read.
func (a Advisor) renderNotice(r record) line {
	l := line{level: r.level, word: r.level.String(), about: r.text("service"), say: r.message}
	if l.level > zapcore.ErrorLevel {
		l.level = zapcore.ErrorLevel
	}
	if id := r.text("request_id"); id != "" {
		l.id = string(run.ResponseID) + id
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
		l.key, l.burst = r.message+variable.ReplaceAllString(r.text("error"), "#"), 3
	}
	return l
}

// path returns the API's path of an endpoint.
func path(endpoint string) string { return "/v1/" + endpoint }
