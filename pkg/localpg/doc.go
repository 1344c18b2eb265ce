// Package localpg runs a private, real Postgres as a child process: for
// `windlass dev`, for `windlass bench` and for tests. Package programs finds or
// downloads its programs.
//
// # Promises
//
//   - The server is durable by default: fsync, synchronous_commit and
//     full_page_writes are on. A data directory survives Stop, a crash and a
//     restart on the same port (TestStopAndStartAgain, TestStartAfterCrash).
//   - Only this machine reaches it: it listens on 127.0.0.1, has no Unix
//     socket, and requires a random password (SCRAM) that is stored in the data
//     directory, readable by the server's user only (TestPasswordIsPrivate).
//   - Root may call it: Postgres refuses to run as root, so the server then
//     runs as an unprivileged user (serverUsers), which becomes the owner of
//     the data directory.
//   - A data directory has one server. A second Start returns ErrRunning, in
//     the same process or in another (TestSecondServerInOneDirectoryIsRefused).
//   - On Linux no server outlives its parent: the kernel sends it a fast
//     shutdown when the parent dies, even by kill -9
//     (TestKilledParentLeavesNoServer).
//
// It does not support Windows, upgrade a data directory to another major
// version, rotate logs, or end an orphaned server on macOS, where a process
// cannot request a signal at its parent's death.
//
// # Decisions
//
// A data directory holds `pgdata` (the cluster), `password`, `postgres.log` and
// `lock`. The cluster is made in `pgdata.new` and renamed, so that a first
// start that is killed leaves no half-made cluster. Rejected: pg_ctl, which
// leaves the server without a parent; trust authentication, which opens the
// database to every user of the machine; PGlite, which has one backend only and
// so hides lock waits.
package localpg
