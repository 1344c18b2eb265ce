// Package topology is how streams and consumers are configured: their names,
// limits and subjects, as functions of the bus's Config.
//
// It promises that streams keep what the protocol needs
// (TestStreamsKeepWhatIsPromised in package bus), and that Config.Validate
// reports every fault at once (TestConfigReportsEveryFault there).
package topology
