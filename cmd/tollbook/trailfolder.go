package main

// A trailFolder is what every command takes that reads a trail. It is embedded.
type trailFolder struct {
	Dir     string `arg:"" optional:"" help:"The trail's folder; TOLLBOOK_AUDIT_DIR if not given."`
	EnvFile string `name:"env-file" help:"Settings file; .env.local if it is there." placeholder:"PATH"`
}

// path returns the folder: as given, or else as it is set.
func (f trailFolder) path(a *app) (string, error) {
	if f.Dir != "" {
		return f.Dir, nil
	}
	return auditDir(a.environ, a.dir, f.EnvFile)
}
