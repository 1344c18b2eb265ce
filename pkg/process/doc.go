// Package process is the life of one Windlass process: configuration from the
// environment, logs, metrics, health, signals and the way to an end.
//
// It promises that
//   - os.Exit is called in Main only (and by an armed failpoint);
//   - the first SIGTERM or SIGINT cancels the context given to run with cause
//     ErrDraining, a second one ends the process at once;
//   - a run that outlives Config.Grace after the first signal is abandoned;
//   - every configuration fault is reported at once, before anything is
//     started;
//   - /readyz turns unready when the drain begins, and /livez and /metrics go
//     on answering until the last part has ended.
//
// It does not promise to undo what run has done, and it keeps nothing global:
// everything hangs on the Runtime, so that `windlass dev` can run five services
// in one process on one admin endpoint.
package process
