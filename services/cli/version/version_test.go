package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionNamesTheCommit(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{
		GoVersion: "go1.26", Main: debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "T"}},
	}
	if got := describe(info); !strings.HasPrefix(got, "windlass v1.2.3, commit abc (modified) of T, go1.26 ") {
		t.Errorf("describe = %q", got)
	}
	if got := describe(&debug.BuildInfo{}); !strings.HasPrefix(got, "windlass (devel), commit unknown, ") {
		t.Errorf("describe of nothing = %q", got)
	}
}
