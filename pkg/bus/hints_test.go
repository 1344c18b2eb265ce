package bus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sethvargo/go-envconfig"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
)

func TestHintsReachOtherServices(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	other := bustest.Connect(t, f.broker)
	got := make(chan string, 9)
	for _, listen := range []func() (func(), error){
		func() (func(), error) { return other.OnWake(func() { got <- "wake" }) },
		func() (func(), error) { return other.OnCancel(func(id string) { got <- "cancel " + id }) },
		func() (func(), error) { return other.OnDone(func(id string) { got <- "done " + id }) },
	} {
		stop, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	if err := other.Ready(t.Context()); err != nil { // the server has the subscriptions
		t.Fatal(err)
	}
	f.Wake()
	f.CancelHint(requestID(1))
	f.DoneHint(requestID(2))
	want := map[string]bool{"wake": true, "cancel " + requestID(1): true, "done " + requestID(2): true}
	for range 3 {
		if hint := receive(t, got, "hint"); !want[hint] {
			t.Errorf("hint %q, want one of %v", hint, want)
		}
	}
}

func TestConfigDefaultsAreValid(t *testing.T) {
	t.Parallel()
	var c bus.Config
	if err := envconfig.ProcessWith(t.Context(), &envconfig.Config{Target: &c, Lookuper: envconfig.MapLookuper(nil)}); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate of the defaults: %v", err)
	}
	if c.AckWait != 4*time.Second || c.Prefix != "windlass" || c.Replicas != 1 {
		t.Errorf("defaults = %+v, want AckWait 4s, prefix windlass, one replica", c)
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	err := (&bus.Config{Prefix: "a.b", Replicas: 9, AckWait: time.Millisecond}).Validate()
	if err == nil {
		t.Fatal("Validate of a bad configuration = nil")
	}
	for _, name := range []string{"NATS_URL", "NATS_PREFIX", "NATS_REPLICAS", "ACK_WAIT", "TURN_MAX_BYTES", "STEP_MAX_BYTES", "DEAD_MAX_BYTES"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("Validate does not name %s: %v", name, err)
		}
	}
}

func TestTwoBusesShareARegistry(t *testing.T) {
	t.Parallel()
	broker := bustest.NewBroker(t)
	reg := prometheus.NewRegistry()
	for _, service := range []string{"claimer", "finalizer"} {
		b, err := bus.Connect(t.Context(), bustest.Config(broker), service, zap.NewNop(), bus.WithMetrics(reg))
		if err != nil {
			t.Fatalf("connect %s: %v", service, err)
		}
		b.Close(t.Context())
	}
}

func TestRefusedPermissionIsCountedAndFailsReadiness(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{
		ServerName: "strict", DontListen: true, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "runner", Password: "x", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"windlass.step.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	reg := prometheus.NewRegistry()
	cfg := bustest.Config(s)
	cfg.URL = "nats://runner:x@127.0.0.1"
	b, err := bus.Connect(t.Context(), cfg, "tool-runner", zap.NewNop(), bus.WithMetrics(reg))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	eventually(t, "bus is ready", func() bool { return b.Ready(t.Context()) == nil })
	b.Announce(turn(1))
	eventually(t, "bus is not ready", func() bool { return b.Ready(t.Context()) != nil })
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "windlass_nats_permission_violations_total" {
			if got := family.GetMetric()[0].GetCounter().GetValue(); got != 1 {
				t.Errorf("violations = %v, want 1", got)
			}
			return
		}
	}
	t.Error("violations are not among the metrics")
}
