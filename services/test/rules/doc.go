// Package rules has the rules of the whole repository, as tests: which package
// may import which (TestDependencies), how large packages, files and functions
// may be (TestLimits), that only pkg/run spells the prefixes of ids
// (TestPrefixes), which words and names to avoid (TestWords, TestNames), and
// that what comments and documents name exists (TestLinks, TestTestsExist).
//
// A limit may be exceeded where testdata/exceptions.tsv gives a reason. An
// entry that is no longer needed fails the tests. To see sizes:
//
//	go test ./services/test/rules -run TestTree -v
package rules
