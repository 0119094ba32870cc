package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// maxBandwidth is 1 TiB/s in MiB/s: more is a slip of the pen.
const maxBandwidth = 1 << 20

type setter = func(path string, v any) error

// duration wants text with a unit: a bare number would be read as nanoseconds
// by Go and as seconds by people.
func duration(to *time.Duration, low, high time.Duration) setter {
	right := "write a time with its unit, as \"500ms\" or \"10s\""
	return func(_ string, v any) error {
		s, ok := v.(string)
		if !ok {
			return wrong(right, "is %s, not a time", kind(v))
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return wrong(right, "%q is not a time", shorten(s))
		}
		if d < low || d > high {
			return wrong("write "+short(low)+" to "+short(high), "%s is out of range", s)
		}
		*to = d
		return nil
	}
}

// short writes 1m0s as 1m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func integer(to *int, low, high int64) setter {
	return func(_ string, v any) error {
		right := "write a number from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10)
		n, ok := v.(int64)
		if !ok {
			return wrong(right, "is %s, not a whole number", kind(v))
		}
		if n < low || n > high {
			return wrong(right, "%d is out of range", n)
		}
		*to = int(n)
		return nil
	}
}

func boolean(to *bool) setter {
	return func(_ string, v any) error {
		b, ok := v.(bool)
		if !ok {
			return wrong("write true or false, without quotes", "is %s", kind(v))
		}
		*to = b
		return nil
	}
}

// maybe is a boolean that remembers whether it was written at all.
func maybe(to **bool) setter {
	return func(path string, v any) error {
		var b bool
		if err := boolean(&b)(path, v); err != nil {
			return err
		}
		*to = &b
		return nil
	}
}

// addresses is a list of hosts, each with or without a port.
func addresses(to *[]string) setter {
	right := `write a list of hosts, as ["192.0.2.12", "node2.example.net:2222"]`
	return func(_ string, v any) error {
		items, ok := v.([]any)
		if !ok || len(items) == 0 {
			return wrong(right, "is %s", kindOfList(v))
		}
		if len(items) > maxAddresses {
			return wrong(right, "has %d addresses; %d are possible", len(items), maxAddresses)
		}
		var all []string
		for _, e := range items {
			s, ok := e.(string)
			if !ok {
				return wrong(right, "has %s in its list, not text", kind(e))
			}
			s, err := address(s)
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		*to = all
		return nil
	}
}

// maxAddresses bounds the ways to one node, each of which takes a timeout.
const maxAddresses = 8

// bandwidth takes MiB/s as a number or as text, with or without the unit.
func bandwidth(to *uint64) setter {
	right := "write MiB/s from 0 (no limit) to 1048576, as \"100\""
	return func(_ string, v any) error {
		var n int64
		switch v := v.(type) {
		case int64:
			n = v
		case string:
			digits := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "MiB/s"))
			p, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return wrong(right, "%q is not a bandwidth", shorten(v))
			}
			n = p
		default:
			return wrong(right, "is %s, not a bandwidth", kind(v))
		}
		if n < 0 || n > maxBandwidth {
			return wrong(right, "%d is out of range", n)
		}
		*to = uint64(n)
		return nil
	}
}

// matching is text that a rule accepts; the rule may rewrite it.
func matching(to *string, rule func(string) (string, error)) setter {
	return func(_ string, v any) error {
		s, ok := v.(string)
		if !ok {
			return wrong("write text in quotes", "is %s, not text", kind(v))
		}
		s, err := rule(s)
		if err != nil {
			return err
		}
		*to = s
		return nil
	}
}

func oneOf(to *string, words ...string) setter {
	return matching(to, func(s string) (string, error) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		return "", wrong("write one of "+strings.Join(words, ", "), "%q is not known", shorten(s))
	})
}

func list(to *[]string) setter {
	right := `write a list of words, as ["/usr/bin/pg_isready", "-q"]`
	return func(_ string, v any) error {
		items, ok := v.([]any)
		if !ok || len(items) == 0 {
			return wrong(right, "is %s", kindOfList(v))
		}
		words := make([]string, len(items))
		for i, e := range items {
			if words[i], ok = e.(string); !ok {
				return wrong(right, "has %s in its list, not text", kind(e))
			}
		}
		if words[0] == "" {
			return wrong(right, "begins with an empty word")
		}
		*to = words
		return nil
	}
}

func kindOfList(v any) string {
	if l, ok := v.([]any); ok && len(l) == 0 {
		return "an empty list"
	}
	return kind(v)
}

// file is the name of a file, or empty for none.
func (l *loader) file(to *string) setter {
	return matching(to, func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		return l.fileName(s)
	})
}

func (l *loader) fileName(s string) (string, error) {
	if s == "" {
		return "", wrong("write /the/full/path or ~/path", "names no file")
	}
	if hasControl(s) {
		return "", wrong("write /the/full/path or ~/path", "%q has control characters", shorten(s))
	}
	path, err := expandHome(s, l.home)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(path) {
		return "", wrong("write /the/full/path or ~/path", "%q begins nowhere", shorten(s))
	}
	return path, nil
}

// homes expands the defaults that the file did not replace.
func (l *loader) homes() {
	for _, p := range []*string{&l.cfg.SSH.IdentityFile, &l.cfg.SSH.KnownHosts, &l.cfg.SSH.ConfigFile} {
		if s, err := expandHome(*p, l.home); err == nil {
			*p = s
		}
	}
}

// expandHome turns a leading ~ into home. Another user's home is not looked up.
func expandHome(path, home string) (string, error) {
	if !strings.HasPrefix(path, "~") {
		return path, nil
	}
	rest := path[1:]
	if rest != "" && !os.IsPathSeparator(rest[0]) {
		return "", wrong("write the full path", "%q: only ~/ is understood, not another user's home", shorten(path))
	}
	if home == "" {
		return "", wrong("write the full path", "%q: the home directory is not known", shorten(path))
	}
	return filepath.Join(home, rest), nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 })
}
