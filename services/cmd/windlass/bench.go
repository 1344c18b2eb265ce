package main

import (
	"context"
	"errors"
)

type benchCmd struct{}

func (benchCmd) Run(context.Context) error { return errors.New("not here yet") }
