package programs

import "context"

// NewestVersion is the npm release of the newest major version.
var NewestVersion = npmReleases[newestMajor].version

// Platform is the operating system and the architecture.
func Platform() string { return platform() }

// FetchByLibrary downloads the newest programs into cache by the library, and
// returns their bin directory.
func FetchByLibrary(ctx context.Context, cache string) (string, error) {
	lib, _ := librarySource(newestMajor)
	return lib.bin(cache), lib.install(ctx, cache, nil)
}
