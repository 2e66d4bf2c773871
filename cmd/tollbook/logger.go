package main

import (
	"io"
	"os"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// newLogger writes to stderr: JSON, or readable lines when that is a terminal.
func newLogger(stderr io.Writer, level zapcore.Level) *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.TimeKey = "time"
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(cfg)
	if isTerminal(stderr) {
		cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(cfg)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(stderr)), level))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A standardLog takes what libraries write to the standard library's logger.
// net/http's client tells there of bytes that an upstream sent unasked, and
// quotes them; they could be a token, so that what is quoted is left out.
type standardLog struct{ log *zap.Logger }

// Write implements [io.Writer] for one message.
func (s standardLog) Write(message []byte) (int, error) {
	said, _, _ := strings.Cut(string(message), `"`)
	s.log.Warn("library", zap.String("said", strings.TrimSpace(said)))
	return len(message), nil
}
