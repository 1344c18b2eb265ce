// Package version is `windlass version`.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Command prints what --version prints.
type Command struct{}

// Run prints the version.
func (Command) Run() error {
	_, err := fmt.Println(String())
	return err
}

// String returns what the Go toolchain stamped into the binary: the module's
// version, and the commit if it was built in a checkout (not by `go run`).
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "windlass, built without version information"
	}
	return describe(info)
}

func describe(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	number := info.Main.Version
	if number == "" {
		number = "(devel)"
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		commit = "unknown"
	}
	if settings["vcs.modified"] == "true" {
		commit += " (modified)"
	}
	if at := settings["vcs.time"]; at != "" {
		commit += " of " + at
	}
	return fmt.Sprintf("windlass %s, commit %s, %s %s/%s", number, commit, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
