package console

import (
	"cmp"
	"strings"

	"go.uber.org/zap/zapcore"
)

// readyAgain is the line of a dev whose database and bus answer again.
const readyAgain = "ready again"

// marks are what errors of connections have in common.
var (
	postgresMarks = []string{
		"failed to connect to `", "SQLSTATE 57P", "SQLSTATE 08", "SQLSTATE 53300", "SQLSTATE 25006", "conn closed",
		"the database did not answer in time",
	}
	natsMarks = []string{
		"nats: outbound buffer", "nats: no servers", "nats: timeout", "nats: no responders", "nats: connection closed",
		"nats: connection reconnecting", "nats: disconnected", "NATS is ", "etstream not enabled", "etStream not enabled",
	}
)

// outage makes one line, whoever notices it, of a database or a bus that does
// not answer.
func outage(why string) (line, bool) {
	for _, mark := range postgresMarks {
		if strings.Contains(why, mark) {
			return lost("Postgres", cause(why)), true
		}
	}
	for _, mark := range natsMarks {
		if strings.Contains(why, mark) {
			l := lost("NATS", cause(why))
			if strings.HasSuffix(mark, "not enabled") {
				l.hint = "start it with JetStream: nats-server -js"
			}
			return l, true
		}
	}
	return line{}, false
}

func lost(what, why string) line {
	return line{
		level: zapcore.WarnLevel, word: "lost", about: what, say: "it does not answer: " + why,
		hint: "requests wait until it is back; dev connects again by itself", key: "lost " + what, burst: 1, state: true,
	}
}

// cause is the end of an error of the database driver, which tells of each
// attempt and address.
func cause(why string) string {
	for _, before := range []string{"dial error: ", "server error: "} {
		if i := strings.LastIndex(why, before); i >= 0 {
			return why[i+len(before):]
		}
	}
	return why
}

func (a Advisor) natsLost(r record) line {
	return lost("NATS", cmp.Or(r.text("error"), "disconnected"))
}

func (a Advisor) away(r record) line {
	l, is := outage(r.text("error"))
	if !is {
		l = lost("Postgres or NATS", cause(r.text("error")))
	}
	return l
}

func (a Advisor) back(r record) line {
	return line{level: zapcore.WarnLevel, word: "ok", say: "Postgres and NATS answer again, after " + r.took()}
}
