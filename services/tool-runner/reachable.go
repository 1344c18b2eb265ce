package toolrunner

import (
	"context"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

// Unreachable is the error of a tool that cannot be called.
type Unreachable struct {
	Code    string // as in the failure of a call
	Message string
}

func (u *Unreachable) Error() string { return u.Message }

// CheckReachable connects to a tool's address under the rules of a call, and
// sends nothing. Its error is an *Unreachable.
func CheckReachable(ctx context.Context, t registry.Tool) error {
	if f := httptool.CheckReachable(ctx, t.URL, t.AllowPrivate); f != nil {
		return &Unreachable{Code: f.Code, Message: f.Message}
	}
	return nil
}
