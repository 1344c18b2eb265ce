package postgres

import (
	"errors"
	"fmt"

	"go.uber.org/zap"
)

// Config says where the database is and how many connections one service may
// hold.
type Config struct {
	URL string `env:"WINDLASS_DATABASE_URL"`
	// MaxConns bounds the pool. The sum over all services should be at most 4
	// times the database's cores.
	MaxConns int32 `env:"WINDLASS_DATABASE_CONNS, default=4"`
	// Log receives the reason why connections fail, once per reason. Nil logs
	// nothing.
	Log *zap.Logger `env:", noinit"`
}

// Validate reports all invalid fields.
func (c *Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("WINDLASS_DATABASE_URL is empty"))
	}
	if c.MaxConns < 1 {
		errs = append(errs, fmt.Errorf("WINDLASS_DATABASE_CONNS is %d, want at least 1", c.MaxConns))
	}
	return errors.Join(errs...)
}
