package storetest

import (
	"fmt"
	"os"
	"testing"
)

// Main runs the package's tests, then stops the server and drops what they
// left. Call it from TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
//
// It returns the exit code: that of the tests, or 1 if the server could not be
// stopped.
func Main(m *testing.M) int { return Suite{M: m}.Run() }

// Suite is Main for callers that want to run the tests themselves, which is how
// goleak checks what is left after them:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }
type Suite struct{ M *testing.M }

// Run is Main.
func (s Suite) Run() int {
	shared.open()
	code := s.M.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		return max(code, 1)
	}
	return code
}
