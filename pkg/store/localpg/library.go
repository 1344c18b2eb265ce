package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// libraryVersion is what the embedded-postgres library calls PostgreSQL 18.
const libraryVersion = string(embeddedpostgres.V18)

// libraryFill has the embedded-postgres library download and unpack its binaries, and nothing more. The library's one entry
// is Start, which goes on to run initdb, as root too. The data path below ends that before a program is run: the library
// clears the data path first, and os.RemoveAll refuses a path that ends in a dot (EINVAL). So Start always fails here, and
// what it left on the disk tells whether the download worked.
func libraryFill(ctx context.Context, scratch, dst string) error {
	cfg := embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.V18).
		Port(0).
		CachePath(filepath.Join(scratch, "archive")).
		RuntimePath(dst).
		DataPath(filepath.Join(scratch, "data") + "/.").
		Logger(io.Discard)
	ended := make(chan error, 1)
	// The library knows no context and no time limit. If ctx ends first nobody waits for it: it fails on its own in a
	// directory that install has removed, and by panic if that happens while it cleans up.
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("embedded-postgres panicked: %v", p)
			}
		}()
		ended <- embeddedpostgres.NewDatabase(cfg).Start()
	}()
	select {
	case err := <-ended:
		if err == nil {
			return errors.New("embedded-postgres started a server where it must not")
		}
		if !complete(filepath.Join(dst, "bin")) {
			return fmt.Errorf("download by embedded-postgres: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("download by embedded-postgres: %w", context.Cause(ctx))
	}
}
