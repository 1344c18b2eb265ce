// Package e2e tries to break Windlass's promises on real processes: the five binaries, a NATS server in a process of its own and a
// durable Postgres, which are killed, stopped, wiped and restarted under load. Only the model and the tools are scripted; their
// ledger is the witness of what was really called.
//
// Its files need the build tag e2e: go test -tags e2e -timeout 30m ./services/e2e/... The flag -seed repeats the random choices
// of a run, not its timing.
//
// It promises that every wait is bounded and that nothing it started is left behind. It does not promise to be quick, nor that
// figures hold on a machine that is busy with something else.
package e2e
