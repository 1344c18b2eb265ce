package process

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
	"go.uber.org/zap/zapcore"

	"windlass.dev/windlass/pkg/process/failpoint"
)

// Config has the settings that every process has.
type Config struct {
	// AdminListen is the TCP address of /livez, /readyz and /metrics. They need
	// no key, so that the default is not reached from other machines.
	AdminListen string `env:"WINDLASS_ADMIN_LISTEN, default=127.0.0.1:9090"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `env:"WINDLASS_LOG_LEVEL, default=info"`
	// LogFormat is json or console.
	LogFormat string `env:"WINDLASS_LOG_FORMAT, default=json"`
	// Grace is how long run may go on after the first signal.
	Grace time.Duration `env:"WINDLASS_GRACE, default=25s"`
	// MemoryMax is the memory, in bytes, that the process is to stay below. 0:
	// GOMEMLIMIT, or 1 GiB if that is not set either. See memory.go.
	MemoryMax int64 `env:"WINDLASS_MEMORY_MAX"`
	// Failpoint is "name", "name:n" or "name=text", for crash tests; see
	// package failpoint.
	Failpoint string `env:"FAILPOINT"`
}

// Validate reports every fault of c.
func (c *Config) Validate() error {
	var errs []error
	if c.AdminListen == "" {
		errs = append(errs, errors.New("WINDLASS_ADMIN_LISTEN is empty"))
	}
	if _, err := zapcore.ParseLevel(c.LogLevel); err != nil || c.LogLevel == "" {
		errs = append(errs, fmt.Errorf("WINDLASS_LOG_LEVEL is %q, want debug, info, warn or error", c.LogLevel))
	}
	if c.LogFormat != "json" && c.LogFormat != "console" {
		errs = append(errs, fmt.Errorf("WINDLASS_LOG_FORMAT is %q, want json or console", c.LogFormat))
	}
	if c.Grace <= 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_GRACE is %v, want more than 0", c.Grace))
	}
	if c.MemoryMax != 0 && c.MemoryMax < minMemory {
		errs = append(errs, fmt.Errorf("WINDLASS_MEMORY_MAX is %d, want at least %d bytes", c.MemoryMax, minMemory))
	}
	if err := failpoint.Check(c.Failpoint); err != nil {
		errs = append(errs, fmt.Errorf("FAILPOINT: %w", err))
	}
	return errors.Join(errs...)
}

// Load fills cfg, a pointer to a struct whose env tags carry full names, from
// the environment, and then calls its Validate method if it has one. A struct
// that is composed of others calls theirs. The error joins every value that
// could not be parsed and every fault that Validate found; a value that could
// not be parsed is validated as if it were not set.
//
// A field without a tag, with the tag "-", or that points to a struct is no
// configuration: it is what the program hands over, and left as it is. A struct
// without a tag is a part of cfg.
func Load(ctx context.Context, cfg any) error {
	return load(ctx, cfg, envconfig.OsLookuper())
}

func load(ctx context.Context, cfg any, environment envconfig.Lookuper) error {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("load configuration: %T is no pointer to a struct", cfg)
	}
	errs := fill(ctx, v.Elem(), environment)
	if c, ok := cfg.(interface{ Validate() error }); ok {
		errs = append(errs, c.Validate())
	}
	return errors.Join(errs...)
}

// fill hands the fields to envconfig one by one. Given the whole struct it
// stops at the first fault, does not know the tag "-", and makes what a nil
// pointer points to.
func fill(ctx context.Context, part reflect.Value, environment envconfig.Lookuper) []error {
	var errs []error
	for i := range part.NumField() {
		field := part.Type().Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		key = strings.TrimSpace(key)
		switch {
		case !field.IsExported():
		case key == "" && field.Type.Kind() == reflect.Struct:
			errs = append(errs, fill(ctx, part.Field(i), environment)...)
		case key != "" && key != "-":
			if err := fillOne(ctx, field, part.Field(i), environment); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", key, err))
				// Its default keeps Validate from a second, made-up fault.
				_ = fillOne(ctx, field, part.Field(i), envconfig.MapLookuper(nil))
			}
		}
	}
	return errs
}

// fillOne sets one field, by way of a struct that has no other.
func fillOne(
	ctx context.Context,
	field reflect.StructField,
	value reflect.Value,
	environment envconfig.Lookuper,
) error {
	one := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: field.Name, Type: field.Type, Tag: field.Tag},
	}))
	one.Elem().Field(0).Set(value)
	err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: one.Interface(), Lookuper: environment})
	if err != nil {
		return err
	}
	value.Set(one.Elem().Field(0))
	return nil
}
