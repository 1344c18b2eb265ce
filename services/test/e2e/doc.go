// Package e2e tries to break Windlass's promises on real processes: the five
// binaries, a NATS server and a durable Postgres, each in its own process. The
// tests kill, stop, wipe and restart them under load. Only the model and the
// tools are scripted; their ledger records the real calls.
//
// The tests need the build tag e2e: go test -tags e2e -timeout 30m
// ./services/test/e2e/. The flag -seed repeats the random choices of a run, but
// not its timing; -previous names the version that runs beside this one in
// TestF30RollingUpgrades and TestF31MixedVersions; -soak and -soak.out are for
// TestF42Soak. With WINDLASS_E2E_LONG set, tests of the fault matrix take their
// long forms, here and in services/test/behaviour.
//
// It promises that every wait is bounded and that nothing is left behind. It
// does not promise to be fast, or that its figures hold on a busy machine.
package e2e
