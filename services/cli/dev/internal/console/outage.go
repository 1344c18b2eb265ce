package console

import (
	"cmp"
	"strings"

	"go.uber.org/zap/zapcore"
)

// readyAgain is the message that dev logs when its database and bus answer
// again.
const readyAgain = "ready again"

// These match the errors of connections.
var (
	postgresErrors = []string{
		"failed to connect to `", "SQLSTATE 57P", "SQLSTATE 08", "SQLSTATE 53300", "SQLSTATE 25006", "conn closed",
		"the database did not answer in time",
	}
	natsErrors = []string{
		"nats: outbound buffer", "nats: no servers", "nats: timeout", "nats: no responders", "nats: connection closed",
		"nats: connection reconnecting", "nats: disconnected", "NATS is ",
		"etstream not enabled", "etStream not enabled",
	}
)

// findOutage returns the line of a database or a bus that does not answer. It
// is the same for every part that logs the outage.
func findOutage(why string) (line, bool) {
	for _, mark := range postgresErrors {
		if strings.Contains(why, mark) {
			return outageOf("Postgres", lastCause(why)), true
		}
	}
	for _, mark := range natsErrors {
		if strings.Contains(why, mark) {
			l := outageOf("NATS", lastCause(why))
			if strings.HasSuffix(mark, "not enabled") {
				l.hint = "start it with JetStream: nats-server -js"
			}
			return l, true
		}
	}
	return line{}, false
}

func outageOf(what, why string) line {
	return line{
		level: zapcore.WarnLevel, word: "lost", about: what, say: "it does not answer: " + why,
		hint: "requests wait until it is back; dev connects again by itself",
		key:  "lost " + what, burst: 1, state: true,
	}
}

// lastCause returns the end of an error of the database driver, which lists
// each attempt and address.
func lastCause(why string) string {
	for _, before := range []string{"dial error: ", "server error: "} {
		if i := strings.LastIndex(why, before); i >= 0 {
			return why[i+len(before):]
		}
	}
	return why
}

func (a Advisor) renderNATSLost(r record) line {
	return outageOf("NATS", cmp.Or(r.text("error"), "disconnected"))
}

func (a Advisor) renderOutage(r record) line {
	l, found := findOutage(r.text("error"))
	if !found {
		l = outageOf("Postgres or NATS", lastCause(r.text("error")))
	}
	return l
}

func (a Advisor) renderRecovery(r record) line {
	return line{level: zapcore.WarnLevel, word: "ok", say: "Postgres and NATS answer again, after " + r.duration()}
}
