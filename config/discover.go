package config

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/kevinburke/ssh_config"
)

// Candidate is a host that may be a node, and where it was found.
type Candidate struct{ Name, Address, From string }

// maxCandidates bounds what is offered; who has more writes a file.
const maxCandidates = 200

// Discover lists the hosts that the user's SSH knows: the names in
// ~/.ssh/config, which have their own settings, then those in known_hosts.
// Patterns and hashed names are left out; they name no host.
func Discover(home string) []Candidate {
	var out []Candidate
	seen := map[string]bool{}
	add := func(name, address, from string) {
		if clean := nodeNameOf(name); clean != "" && !seen[address] && !seen[clean] && len(out) < maxCandidates {
			seen[address], seen[clean] = true, true
			out = append(out, Candidate{clean, address, from})
		}
	}
	if f, err := os.Open(filepath.Join(home, ".ssh", "config")); err == nil {
		defer f.Close()
		if c, err := ssh_config.Decode(f); err == nil {
			for _, h := range c.Hosts {
				for _, p := range h.Patterns {
					s := p.String()
					if strings.ContainsAny(s, "*?!") {
						continue
					}
					seenHost, _ := c.Get(s, "HostName")
					add(s, s, "~/.ssh/config")
					if seenHost != "" {
						seen[seenHost] = true // the same host by its address
					}
				}
			}
		}
	}
	if b, err := os.ReadFile(filepath.Join(home, ".ssh", "known_hosts")); err == nil {
		for _, h := range knownHosts(b) {
			add(h, h, "known_hosts")
		}
	}
	return out
}

// knownHosts lists the first name of every line that has one in the clear.
func knownHosts(b []byte) []string {
	var out []string
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 3 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "@") || strings.HasPrefix(fields[0], "|") {
			continue
		}
		first, _, _ := strings.Cut(fields[0], ",")
		if host, port, err := net.SplitHostPort(first); err == nil {
			first = strings.Trim(host, "[]")
			if port != "22" && first != "" {
				first = net.JoinHostPort(first, port)
			}
		} else {
			first = strings.Trim(first, "[]")
		}
		if first != "" && !strings.ContainsAny(first, "*?!") && !slices.Contains(out, first) {
			out = append(out, first)
		}
	}
	return out
}

// nodeNameOf makes a name for a node out of one for a host.
func nodeNameOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '-'
	}, host)
	return strings.Trim(name, "-.")
}

// NodesOf makes a configuration of hosts, with the defaults for all else.
func NodesOf(hosts []Candidate) Config {
	c := Default()
	for _, h := range hosts {
		c.Nodes = append(c.Nodes, Node{Name: h.Name, Address: h.Address})
	}
	return c
}

// Write writes a configuration file for some nodes. It never writes over one.
func Write(path string, hosts []Candidate) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("cannot make a place for the configuration: %w", err)
	}
	var b strings.Builder
	b.WriteString("# Made by the first start of horcrux. config.example.toml describes every key.\n")
	for _, h := range hosts {
		fmt.Fprintf(&b, "\n[[node]]\nname = %q\naddress = %q\n", h.Name, h.Address)
	}
	if err := renameio.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("cannot write the configuration: %w", err)
	}
	return nil
}

// NodeName makes a name for a node out of one for a host; empty if there is
// nothing in it that could be one.
func NodeName(host string) string { return nodeNameOf(host) }
