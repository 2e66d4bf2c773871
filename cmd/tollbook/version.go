package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// A buildVersion says what was built.
type buildVersion struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (c *versionCommand) Run(a *app) error {
	v := readVersion()
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	_, err := fmt.Fprintf(a.stdout, "tollbook %s %s %s\n", v, v.Go, v.Platform)
	return err
}

// readVersion reads what the toolchain put into the binary.
func readVersion() buildVersion {
	v := buildVersion{
		Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// String is the version, with the revision where it is known.
func (v buildVersion) String() string {
	if v.Revision == "" {
		return v.Version
	}
	return v.Version + " (" + v.Revision[:min(len(v.Revision), 12)] + ")"
}
