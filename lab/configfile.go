package lab

import (
	"fmt"
	"os"
	"strings"
)

// writeConfig writes the configuration with which horcrux sees this lab.
func (l *Lab) writeConfig() error {
	if err := os.WriteFile(l.ConfigPath(), []byte(l.config()), 0o600); err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	return nil
}

// config is TOML. All strings in it are validated paths, names and addresses.
func (l *Lab) config() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The lab %q of this machine, written by `horcrux lab up`.", l.Prefix)
	p("poll_interval = \"500ms\"\n")
	p("[ssh]")
	p("user = \"root\"")
	p("identity_file = %q", l.KeyPath())
	p("known_hosts = %q", l.KnownHostsPath())
	for _, n := range l.Nodes {
		p("\n[[node]]\nname = %q\naddress = %q", n.Name, n.Address)
	}
	p("\n[[application]]\nvm = \"web*\"\nhttp = \"http://{ip}/health\"\nstatus = 200")
	return b.String()
}
