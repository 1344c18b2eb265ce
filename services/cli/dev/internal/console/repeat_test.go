package console

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestRepeatsAreCounted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c, err := New(Config{Out: &out, Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	log := c.Logger()
	for i := range 40 {
		log.Info("model call failed", zap.String("request_id", fmt.Sprintf("%032d", i)), zap.String("model", "m"),
			zap.String("outcome", "retried"), zap.Int("status", 500), zap.String("error", "down"))
		log.Info("infrastructure unavailable, trying again", zap.Error(fmt.Errorf("load request %032d: refused", i)))
		log.Warn("queue is stuck", zap.Error(fmt.Errorf("request %032d", i)))
		settled("completed", "", 0, "")(log)
	}
	if n := strings.Count(out.String(), "\n"); n != burst+1+3 {
		t.Errorf("prints %d lines at once, want %d:\n%s", n, burst+1+3, out.String())
	}
	out.Reset()
	c.flush(time.Now().Add(window / 2))
	if out.Len() > 0 {
		t.Errorf("counts before the window is over: %s", out.String())
	}
	c.flush(time.Now().Add(window + time.Second))
	for _, want := range []string{"35 more in 10 s", "37 more in 10 s"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("prints\n%swant %q once", out.String(), want)
		}
	}
	out.Reset()
	log.Warn("queue is stuck", zap.Error(errors.New("request 7")))
	if strings.Count(out.String(), "\n") != 1 {
		t.Errorf("a new window begins with %q, want a line", out.String())
	}
	for i := range 10 * kinds { // each of another kind
		log.Warn(strings.Repeat("x", i+1))
	}
	if n := len(c.repeats.all); n > kinds {
		t.Errorf("remembers %d kinds, want at most %d", n, kinds)
	}
}

// TestAnOutageIsOneLine holds that an outage that many parts log many times a
// second is printed once, and the next outage again.
func TestAnOutageIsOneLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c, err := New(Config{Out: &out, Level: "info"})
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("claim: failed to connect to `user=u database=d`: 127.0.0.1:1 (127.0.0.1): dial error: dial tcp 127.0.0.1:1: connect: connection refused")
	for range 2 {
		out.Reset()
		for i := range 50 {
			log := c.Logger().With(zap.String("service", fmt.Sprint("s", i%5)))
			log.Warn([]string{"sweep failed", "claim failed", "expiry failed"}[i%3], zap.Error(refused))
			log.Info("infrastructure unavailable, trying again", zap.Error(errors.New("FATAL: the database system is shutting down (SQLSTATE 57P03)")))
			log.Error("request served", zap.String("kind", "POST /v1/responses"), zap.String("outcome", "503"), zap.Error(refused))
			log.Warn("connection to NATS lost", zap.Error(errors.New("EOF")))
			log.Warn("streams could not be ensured", zap.Error(errors.New("nats: outbound buffer limit exceeded")))
		}
		c.flush(time.Now().Add(window / 2))
		if n := strings.Count(out.String(), "\n"); n != 2+burst || !strings.Contains(out.String(), " Postgres: it does not answer: dial tcp 127.0.0.1:1: connect: connection refused  →") {
			t.Errorf("prints\n%swant a line for Postgres, one for NATS, and %d of failed requests", out.String(), burst)
		}
		c.flush(time.Now().Add(window + time.Second))
		if n := strings.Count(out.String(), "\n"); n != 3+burst {
			t.Errorf("prints\n%swant the failed requests counted and nothing else", out.String())
		}
		c.Logger().Info("ready again")
	}
}
