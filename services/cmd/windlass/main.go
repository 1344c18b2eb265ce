// Command windlass is the tool around the five services; package cli has its
// commands.
package main

import (
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/cli"
)

func main() { process.Command("windlass", cli.Run) }
