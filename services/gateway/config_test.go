package gateway

import (
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process"
)

func TestConfigIsReadFromTheEnvironment(t *testing.T) {
	t.Setenv("WINDLASS_DATABASE_URL", "postgres://x")
	t.Setenv("WINDLASS_API_KEY", testKey)
	t.Setenv("WINDLASS_REGISTRY", "registry.yaml")
	t.Setenv("WINDLASS_BACKLOG_MAX", "7")
	var c Config
	if err := process.Load(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.MaxBody != 16<<20 || c.BacklogMax != 7 || c.PollInterval != time.Second {
		t.Errorf("configuration %+v, want the defaults and a backlog of 7", c)
	}
	if c.Registry != nil {
		t.Error("a registry was made of the environment: the file would not be read")
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	t.Parallel()
	err := (&Config{}).Validate()
	if err == nil {
		t.Fatal("the empty configuration is valid")
	}
	for _, name := range []string{
		"WINDLASS_DATABASE_URL", "WINDLASS_NATS_URL", "WINDLASS_REGISTRY", "WINDLASS_LISTEN", "WINDLASS_API_KEY", "WINDLASS_KEY_PEPPER",
		"WINDLASS_MAX_BODY", "WINDLASS_BACKLOG_MAX", "WINDLASS_WAIT_POLL", "WINDLASS_DRAIN_GRACE",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the faults don't name %s: %v", name, err)
		}
	}
}

func TestSomebodyMustBeLetIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, key, pepper string
		want              bool
	}{
		{"neither", "", "", false},
		{"a key", "k", "", true},
		{"a pepper", "", "0123456789abcdef", true},
		{"both", "k", "0123456789abcdef", true},
		{"a short pepper", "", "0123456789abcde", false},
		{"a key and a short pepper", "k", "0123456789abcde", false},
	} {
		err := (&Config{APIKey: tt.key, KeyPepper: tt.pepper}).Validate()
		if got := !strings.Contains(err.Error(), "WINDLASS_KEY_PEPPER"); got != tt.want {
			t.Errorf("%s: Validate() = %v, want ok %v", tt.name, err, tt.want)
		}
	}
}

func TestOriginsThatNoBrowserSendsAreFaults(t *testing.T) {
	t.Setenv("WINDLASS_CORS_ORIGINS", "https://app.example.com, localhost:3000")
	err := process.Load(t.Context(), new(Config))
	if err == nil || !strings.Contains(err.Error(), `WINDLASS_CORS_ORIGINS: "localhost:3000" is not an origin`) {
		t.Errorf("the faults don't name the origin: %v", err)
	}
}
