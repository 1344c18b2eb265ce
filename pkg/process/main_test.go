package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

// asChild makes the test binary a process that lives by Main, for
// TestMainHearsSignals.
var asChild = flag.String("as-child", "", "live by Main: drains, ignores or fails")

func TestMain(m *testing.M) {
	flag.Parse()
	if *asChild == "" {
		os.Exit(m.Run())
	}
	Main("child", func(ctx context.Context, _ *Runtime) error {
		if *asChild == "fails" {
			return errors.New("no floor")
		}
		fmt.Println("running")
		<-ctx.Done()
		fmt.Println("cause:", context.Cause(ctx))
		if *asChild == "ignores" {
			select {} // the second signal or the grace ends the process
		}
		return ctx.Err()
	})
}

func TestMainHearsSignals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		child   string
		signals []os.Signal
		want    int
	}{
		{"SIGTERM drains", "drains", []os.Signal{syscall.SIGTERM}, 0},
		{"SIGINT drains", "drains", []os.Signal{os.Interrupt}, 0},
		{"a second signal ends it", "ignores", []os.Signal{syscall.SIGTERM, os.Interrupt}, 130},
		{"an error ends it", "fails", nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			child := exec.CommandContext(ctx, self, "-as-child="+tt.child)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for i, s := range tt.signals {
				if !lines.Scan() {
					t.Fatalf("child ended before signal %d", i+1)
				}
				if i == 1 && lines.Text() != "cause: draining" {
					t.Errorf("child said %q after the first signal, want cause: draining", lines.Text())
				}
				if err := child.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			for lines.Scan() {
			}
			_ = child.Wait()
			if got := child.ProcessState.ExitCode(); got != tt.want {
				t.Errorf("exit status = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	untilDone := func(ctx context.Context, _ *Runtime) error { <-ctx.Done(); return context.Cause(ctx) }
	tests := []struct {
		name    string
		env     map[string]string
		signals []os.Signal
		run     func(context.Context, *Runtime) error
		want    int
		wantLog []string
	}{
		{
			name: "run returns nil",
			run:  func(context.Context, *Runtime) error { return nil },
		},
		{
			name:    "run returns an error of several lines",
			run:     func(context.Context, *Runtime) error { return errors.Join(errors.New("one"), errors.New("two")) },
			want:    1,
			wantLog: []string{`"service":"test"`, `"msg":"process failed"`, `"error":"one; two"`},
		},
		{
			name:    "a drain is no failure",
			signals: []os.Signal{syscall.SIGTERM},
			run:     untilDone,
			wantLog: []string{`"msg":"drain begun"`},
		},
		{
			name:    "a failure while draining is one",
			signals: []os.Signal{syscall.SIGTERM},
			run: func(ctx context.Context, _ *Runtime) error {
				<-ctx.Done()
				return errors.New("flush failed")
			},
			want:    1,
			wantLog: []string{`"error":"flush failed"`},
		},
		{
			name: "a cancelled context without a signal is a failure",
			run:  func(context.Context, *Runtime) error { return context.Canceled },
			want: 1,
		},
		{
			name:    "the grace is bounded",
			env:     map[string]string{"WINDLASS_GRACE": "1ms"},
			signals: []os.Signal{syscall.SIGTERM},
			run:     func(context.Context, *Runtime) error { select {} },
			want:    1,
			wantLog: []string{`"msg":"drain overran its grace"`},
		},
		{
			name: "every fault of the configuration, before run",
			env: map[string]string{
				"WINDLASS_GRACE": "soon", "WINDLASS_LOG_LEVEL": "loud",
				"WINDLASS_LOG_FORMAT": "xml", "WINDLASS_ADMIN_LISTEN": "", "FAILPOINT": "nowhere",
			},
			run:  func(context.Context, *Runtime) error { panic("run was called") },
			want: 1,
			wantLog: []string{
				"WINDLASS_GRACE", `soon`, "WINDLASS_LOG_LEVEL", "WINDLASS_LOG_FORMAT",
				"WINDLASS_ADMIN_LISTEN is empty", "FAILPOINT", "unknown failpoint", "turn_after_commit",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			signals := make(chan os.Signal, len(tt.signals))
			for _, s := range tt.signals {
				signals <- s
			}
			var out bytes.Buffer
			got := live("test", envconfig.MapLookuper(tt.env), &out, signals, tt.run)
			if got != tt.want {
				t.Errorf("exit status = %d, want %d; log:\n%s", got, tt.want, out.String())
			}
			for _, want := range tt.wantLog {
				if !strings.Contains(out.String(), want) {
					t.Errorf("log lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

type loadConfig struct {
	Inner struct {
		Size int `env:"SIZE, default=3"`
	}
	Wait  time.Duration `env:"WAIT, default=4s"`
	Name  string        `env:"NAME"`
	Must  int           `env:"MUST, required"`
	Names []string      `env:"NAMES"`
	fault error

	// What the program hands over.
	Untagged  *Runtime
	Ignored   *Runtime `env:"-"`
	Tagged    *Runtime `env:", noinit"`
	Interface error
}

func (c *loadConfig) Validate() error { return c.fault }

func TestLoad(t *testing.T) {
	t.Parallel()
	fault := errors.New("NAME is empty")
	tests := []struct {
		name     string
		env      map[string]string
		fault    error
		wantSize int
		wantErrs []string
	}{
		{name: "set", env: map[string]string{"SIZE": "7", "MUST": "1"}, wantSize: 7},
		{name: "default", env: map[string]string{"MUST": "1"}, wantSize: 3},
		{
			name:     "all faults, of parsing and of Validate",
			env:      map[string]string{"SIZE": "big", "WAIT": "long"},
			fault:    fault,
			wantSize: 3,
			wantErrs: []string{"SIZE: ", "WAIT: ", "MUST: ", "NAME is empty"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := loadConfig{fault: tt.fault}
			err := load(t.Context(), &cfg, envconfig.MapLookuper(tt.env))
			if cfg.Inner.Size != tt.wantSize {
				t.Errorf("SIZE = %d, want %d", cfg.Inner.Size, tt.wantSize)
			}
			if cfg.Untagged != nil || cfg.Ignored != nil || cfg.Tagged != nil {
				t.Error("load made up a Runtime, want the pointers left nil")
			}
			if !errors.Is(err, tt.fault) {
				t.Errorf("load = %v, want Validate's %v in it", err, tt.fault)
			}
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tt.wantErrs) {
				t.Fatalf("load gave %d faults, want %d:\n%v", len(got), len(tt.wantErrs), err)
			}
			for i, want := range tt.wantErrs {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("fault %d = %q, want %q first", i, got[i], want)
				}
			}
		})
	}

	rt := &Runtime{}
	given := loadConfig{Untagged: rt, Ignored: rt}
	env := envconfig.MapLookuper(map[string]string{"MUST": "1", "NAMES": "a,b"})
	if err := load(t.Context(), &given, env); err != nil || given.Untagged != rt || *rt != (Runtime{}) {
		t.Errorf("load = %v and changed what it was handed: %+v", err, *rt)
	}
	if diff := cmp.Diff([]string{"a", "b"}, given.Names); diff != "" {
		t.Errorf("NAMES differ (-want +got):\n%s", diff)
	}
	for _, bad := range []any{loadConfig{}, nil, new(int)} {
		if err := load(t.Context(), bad, env); err == nil {
			t.Errorf("load into %T = nil, want an error", bad)
		}
	}
}

func TestConfigDefaultsAreValid(t *testing.T) {
	t.Parallel()
	var got Config
	if err := load(t.Context(), &got, envconfig.MapLookuper(nil)); err != nil {
		t.Fatal(err)
	}
	want := Config{AdminListen: "127.0.0.1:9090", LogLevel: "info", LogFormat: "json", Grace: 25 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults differ (-want +got):\n%s", diff)
	}
}
