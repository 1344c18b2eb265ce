package dev

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"windlass.dev/windlass/services/cli/dev/internal/startcheck"
)

// checkRegistry warns of the models and tools that cannot be reached.
func (d *dev) checkRegistry(ctx context.Context) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	defer transport.CloseIdleConnections()
	checker := startcheck.Checker{Advice: d.advice, HTTP: &http.Client{Transport: transport}}
	for _, f := range checker.Check(ctx, d.reg, d.demo.Serves) {
		if ctx.Err() != nil {
			return // the interrupt is the reason
		}
		fields := []zap.Field{zap.String("error", f.What), zap.String("hint", f.Hint)}
		if f.Model != "" {
			fields = append(fields, zap.String("model", f.Model))
		} else {
			fields = append(fields, zap.String("tool", f.Tool))
		}
		d.rt.Log.Warn("start check", fields...)
	}
}
