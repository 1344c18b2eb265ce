package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// libraryVersions are what the embedded-postgres library calls each major.
var libraryVersions = map[string]embeddedpostgres.PostgresVersion{
	"18": embeddedpostgres.V18, "17": embeddedpostgres.V17, "16": embeddedpostgres.V16,
	"15": embeddedpostgres.V15, "14": embeddedpostgres.V14, "13": embeddedpostgres.V13,
}

func librarySource(major string) (source, bool) {
	version, ok := libraryVersions[major]
	if !ok {
		return source{}, false
	}
	return source{
		name: "Maven Central",
		dir:  "lib-" + string(version) + "-" + platform(),
		fill: func(ctx context.Context, j job) error { return libraryFill(ctx, j, major, version) },
	}, true
}

// libraryFill has the embedded-postgres library download and unpack its
// binaries. The library knows neither a context nor a time limit nor progress,
// so it downloads through a relay on this machine that has all three.
func libraryFill(ctx context.Context, j job, major string, version embeddedpostgres.PostgresVersion) error {
	base, err := libraryBase()
	if err != nil {
		return err
	}
	d := newDownload(j.progress, "PostgreSQL "+major+" from Maven Central", npmAbout)
	d.dir = j.dst // it unpacks while the watch goes on
	return d.follow(ctx, j.pace, func(ctx context.Context) error {
		r, err := startRelay(ctx, base, d)
		if err != nil {
			return err
		}
		defer r.close()
		err = libraryUnpack(ctx, j, version, r.url())
		if cause := r.failure(); err != nil && cause != nil {
			return cause // the library's own words say less
		}
		return err
	})
}

// libraryBase is the repository that the library asks by default. Its
// configuration has no accessor for it.
func libraryBase() (string, error) {
	base := reflect.ValueOf(embeddedpostgres.DefaultConfig()).FieldByName("binaryRepositoryURL")
	if base.Kind() != reflect.String || base.String() == "" {
		return "", errors.New("the embedded-postgres library does not say which repository it asks")
	}
	return base.String(), nil
}

// libraryUnpack runs the library's one entry, Start, up to the point where the
// binaries are unpacked. Start goes on to run initdb, as root too. The data
// path ends that before a program is run: the library clears the data path
// first, and os.RemoveAll refuses a path that ends in a dot (EINVAL). So Start
// always fails here, and what it left on the disk shows whether the download
// worked.
func libraryUnpack(ctx context.Context, j job, version embeddedpostgres.PostgresVersion, base string) error {
	cfg := embeddedpostgres.DefaultConfig().
		Version(version).
		Port(0).
		BinaryRepositoryURL(base).
		CachePath(filepath.Join(j.scratch, "archive")).
		RuntimePath(j.dst).
		DataPath(filepath.Join(j.scratch, "data") + "/.").
		Logger(io.Discard)
	ended := make(chan error, 1)
	// The end of ctx ends the download. If it comes while the library unpacks,
	// the library fails on its own in a directory that install has removed, and
	// by panic if that happens while it cleans up.
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
		if !complete(filepath.Join(j.dst, "bin")) {
			return err
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
