package transcript

import "windlass.dev/windlass/pkg/run"

// Names of package run, for users that are not converted yet.
type Failure = run.Failure

// ReadFailure is run.ReadFailure.
var ReadFailure = run.ReadFailure
