package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/caarlos0/env/v11"
	"go.uber.org/zap/zapcore"

	"tollbook/audit"
)

// Names that have no field of their own in config.
const (
	// ownPrefix begins every name that is ours: one that no field has is a
	// mistake.
	ownPrefix = "TOLLBOOK_"
	// clerkPrefix begins the names that Clerk's own tools know too.
	clerkPrefix = "CLERK_"
	// twinSuffix makes the name under which a secret can be given as a file.
	twinSuffix = "_FILE"
	// foreignKeyName is where Clerk's own SDKs look for a PEM. It is the
	// application's, so it is never read, but it gets a warning.
	foreignKeyName = "CLERK_JWT_KEY"
)

// kubernetesPrefixes begin what Kubernetes injects into every pod for a Service
// called tollbook. They are not settings.
var kubernetesPrefixes = [...]string{"TOLLBOOK_SERVICE_", "TOLLBOOK_PORT"}

// config is every setting, checked and ready to use. It is a value: once loaded
// nothing changes it, and it is safe for concurrent use.
//
// The tags, here and on the groups in the config_*.go files, are the only place
// where an environment variable is named. To add a setting, add its field and its
// lines to config.example.env:
//
//	env         the variable
//	envDefault  the value when it is unset or empty
//	example     what to write, for messages; without it the default
//	min, max    bounds, both included; every number, size and duration has them
//	oneof       the values allowed, separated by |
//
// A field of type secret can also be given as a file: NAME_FILE.
type config struct {
	Clerk    clerkConfig
	Upstream upstreamConfig
	Audit    auditConfig
	Admin    adminConfig
	TLS      tlsConfig
	CORS     corsConfig
	Limits   limitsConfig

	// ListenAddr is where clients connect.
	ListenAddr listenAddr `env:"TOLLBOOK_LISTEN_ADDR" envDefault:":8080"`
	// TrustedProxies are those whose word on the client's address is believed.
	TrustedProxies trustedProxies `env:"TOLLBOOK_TRUSTED_PROXIES" example:"10.0.0.0/8"`

	// TokenCookie is the cookie that a token is taken from where the request has
	// no Authorization header; "" for none. With it there are authorized parties.
	TokenCookie string `env:"TOLLBOOK_TOKEN_COOKIE" example:"__session"`
	// PublicRoutes are patterns of [http.ServeMux] that need no token, each with
	// one method, without a host, and with a plain path. They don't conflict.
	PublicRoutes []string `env:"TOLLBOOK_PUBLIC_ROUTES" example:"GET /health,GET /docs/"`
	// ReasonMethods are the methods, in upper case, that need a reason (428).
	ReasonMethods []string `env:"TOLLBOOK_REASON_METHODS" example:"POST,DELETE"`

	// UserIDHeader carries the verified user id to the upstream.
	UserIDHeader string `env:"TOLLBOOK_USER_ID_HEADER" envDefault:"X-User-ID"`
	// ClaimHeaders are the claims that travel as headers; nil for none. No two
	// share a claim, and no two headers of ours are aliases of each other.
	ClaimHeaders []claimHeader `env:"TOLLBOOK_CLAIM_HEADERS" example:"email=X-User-Email"`
	// AllowHeaders are the names that pass although they have other characters
	// than letters, digits and dashes, in the case given. None is an alias of a
	// header of ours.
	AllowHeaders []string `env:"TOLLBOOK_ALLOW_HEADERS" example:"X_Legacy_ID"`
	// ForwardAuthorization keeps the token, as it came, for the upstream.
	ForwardAuthorization bool `env:"TOLLBOOK_FORWARD_AUTHORIZATION" envDefault:"false"`

	// DrainDelay is how long new connections are still taken after SIGTERM.
	DrainDelay time.Duration `env:"TOLLBOOK_DRAIN_DELAY" envDefault:"0s" min:"0s" max:"10m"`
	// DrainTimeout is how long requests in flight may then take to finish.
	DrainTimeout time.Duration `env:"TOLLBOOK_DRAIN_TIMEOUT" envDefault:"8s" min:"1ms" max:"1h"`

	// DetailedErrors tells clients why a token was refused.
	DetailedErrors bool `env:"TOLLBOOK_DETAILED_ERRORS" envDefault:"true"`
	// LogLevel is the least level that is logged.
	LogLevel zapcore.Level `env:"TOLLBOOK_LOG_LEVEL" envDefault:"info" oneof:"debug|info|warn|error"`
}

// adminConfig is a part of its own because a health check reads nothing else.
type adminConfig struct {
	// Addr is where health and metrics are served.
	Addr tcpAddr `env:"TOLLBOOK_ADMIN_ADDR" envDefault:"127.0.0.1:9090"`
}

// TrailConfig is a part of its own because reading the trail takes nothing
// else. It is exported because only then can env set it where it is embedded.
type TrailConfig struct {
	// Dir is the trail's folder, as given: relative to the working folder.
	Dir string `env:"TOLLBOOK_AUDIT_DIR" envDefault:"logs/audit/jobs"`
}

// SealedTrailConfig is what the commands take that sign: the folder and its key.
type SealedTrailConfig struct {
	TrailConfig
	// SigningKey signs checkpoints: what [audit.ParseSigningKey] takes; "" for
	// the one that is made in the folder.
	SigningKey secret `env:"TOLLBOOK_AUDIT_SIGNING_KEY"`
}

// auditConfig says what the trail holds, and where it is.
type auditConfig struct {
	SealedTrailConfig
	// Durability is fsync or os; see fsync.
	Durability string `env:"TOLLBOOK_AUDIT_DURABILITY" envDefault:"fsync" oneof:"fsync|os"`
	// MaxWait is the longest wait for a record to be on disk (503).
	MaxWait time.Duration `env:"TOLLBOOK_AUDIT_MAX_WAIT" envDefault:"2s" min:"10ms" max:"1m"`
	// MinFree is how much room there must be for new requests to be taken (503).
	MinFree byteSize `env:"TOLLBOOK_AUDIT_MIN_FREE" envDefault:"64MiB" min:"0" max:"1048576GiB"`
	// Events name routes in the trail. Their patterns don't conflict.
	Events []event `env:"TOLLBOOK_AUDIT_EVENTS" envDefault:"submit=POST /jobs,list=GET /jobs,status=GET /jobs/{job_id},cancel=DELETE /jobs/{job_id}"`
	// ResponseFields are lifted from JSON replies; at most 16.
	ResponseFields []string `env:"TOLLBOOK_AUDIT_RESPONSE_FIELDS" envDefault:"job_id,status"`
}

// fsync reports whether a record must survive a power cut, not only our crash.
func (c auditConfig) fsync() bool { return c.Durability == "fsync" }

// loadConfig reads the settings from environ (in the form of os.Environ) and an
// environment file: envFile, or, where that is "", .env.local in dir if it is
// there. The process environment wins over the file, and empty is unset.
// Relative names of files read here are taken from dir, the working folder.
//
// loaded is the path of the file that was read, "" for none; it and warnings
// are valid beside an error too. The error is a configError that lists every
// mistake; cfg is then the zero value.
func loadConfig(environ []string, dir, envFile string) (
	cfg config, loaded string, warnings []string, err error,
) {
	l, err := newLoader(environ, dir, envFile)
	if err != nil {
		return config{}, "", nil, err
	}
	l.refuseUnknown(settingsOf(&cfg))
	cfg = parseSettings[config](l)
	l.check(&cfg)
	if err := l.err(settingsOf(&cfg)); err != nil {
		return config{}, l.loaded, l.warnings, err
	}
	return cfg, l.loaded, l.warnings, nil
}

// adminAddr is the address of the admin listener alone, host:port as it was
// set: a health check must work beside settings it has no part in. Its
// arguments and error are those of loadConfig.
func adminAddr(environ []string, dir, envFile string) (string, error) {
	l, err := newLoader(environ, dir, envFile)
	if err != nil {
		return "", err
	}
	admin := parseSettings[adminConfig](l)
	return string(admin.Addr), l.err(settingsOf(&admin))
}

// auditDir is the trail's folder alone, as it was set: a trail must verify
// beside settings that it has no part in. Its arguments and error are those of
// loadConfig.
func auditDir(environ []string, dir, envFile string) (string, error) {
	l, err := newLoader(environ, dir, envFile)
	if err != nil {
		return "", err
	}
	trail := parseSettings[TrailConfig](l)
	return trail.Dir, l.err(settingsOf(&trail))
}

// sealedTrail is the trail's folder, as it was set, and its key; none if it is the
// folder's own. Its arguments and error are those of loadConfig.
func sealedTrail(environ []string, dir, envFile string) (string, audit.SigningKey, error) {
	l, err := newLoader(environ, dir, envFile)
	if err != nil {
		return "", audit.SigningKey{}, err
	}
	trail := parseSettings[SealedTrailConfig](l)
	settings := settingsOf(&trail)
	key, err := trail.signingKey()
	if err != nil {
		l.fail(settingOf(settings, &trail.SigningKey).name, "%v", err)
	}
	return trail.Dir, key, l.err(settings)
}

// signingKey returns the key that is set; none if there is none.
func (c SealedTrailConfig) signingKey() (audit.SigningKey, error) {
	if c.SigningKey == "" {
		return audit.SigningKey{}, nil
	}
	return audit.ParseSigningKey(string(c.SigningKey))
}

// parserMap maps a type of field to what makes it of text.
type parserMap = map[reflect.Type]env.ParserFunc

// parseSettings makes a T of what is set. A field whose value is a mistake keeps
// its default or stays zero.
func parseSettings[T any](l *loader) T {
	settings := settingsOf(new(T))
	var current setting
	cfg, err := env.ParseAsWithOptions[T](env.Options{
		Environment: l.values(settings),
		OnSet: func(name string, _ any, _ bool) {
			i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
			current = settings[i]
		},
		FuncMap: parsers(&current),
	})
	l.failParse(err)
	return cfg
}

// failParse records the mistakes that the parsers found.
func (l *loader) failParse(err error) {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return
	}
	for _, err := range all.Errors {
		var inner env.ParseError
		var m settingError
		if errors.As(err, &inner) && errors.As(inner.Err, &m) {
			l.mistakes = append(l.mistakes, m)
			continue
		}
		panic(fmt.Sprintf("config: no parser for a field: %v", err))
	}
}
