package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// loader fills a Config from decoded TOML and gathers what is wrong with it.
type loader struct {
	problems
	home string
	cfg  Config
	seen map[string]bool // the known keys that the file has, good or bad
}

// field is one key of a table; set takes the decoded value.
type field struct {
	key string
	set func(path string, v any) error
}

func (l *loader) rootFields() []field {
	c := &l.cfg
	return []field{
		{"poll_interval", duration(&c.PollInterval, 100*time.Millisecond, time.Minute)},
		{"ssh", l.section(l.sshFields)},
		{"migration", l.section(l.migrationFields)},
		{"ui", l.section(l.uiFields)},
		{"node", l.each(func() []field {
			c.Nodes = append(c.Nodes, Node{})
			return l.nodeFields(&c.Nodes[len(c.Nodes)-1])
		})},
		{"application", l.each(func() []field {
			c.Applications = append(c.Applications, Application{Timeout: defaultAppTimeout})
			return l.applicationFields(&c.Applications[len(c.Applications)-1])
		})},
	}
}

func (l *loader) sshFields() []field {
	s := &l.cfg.SSH
	return []field{
		{"user", matching(&s.User, userName)},
		{"identity_file", l.file(&s.IdentityFile)},
		{"known_hosts", matching(&s.KnownHosts, l.fileName)},
		{"connect_timeout", duration(&s.ConnectTimeout, 100*time.Millisecond, 5*time.Minute)},
		{"config_file", l.file(&s.ConfigFile)},
		{"sudo", boolean(&s.Sudo)},
	}
}

func (l *loader) migrationFields() []field {
	m := &l.cfg.Migration
	return []field{
		{"mode", oneOf(&m.Mode, modes...)},
		{"bandwidth", bandwidth(&m.Bandwidth)},
		// QEMU takes no more than 2000 s.
		{"max_downtime", duration(&m.MaxDowntime, time.Millisecond, 2000*time.Second)},
		{"auto_converge", boolean(&m.AutoConverge)},
		// libvirtd serves 20 long calls at once; eight leave room for aborts.
		{"parallel_per_node", integer(&m.ParallelPerNode, 1, 8)},
		{"policy", oneOf(&m.Policy, policies...)},
		{"parallel", integer(&m.Parallel, 0, 16)},
		{"compression", oneOf(&m.Compression, compressions...)},
		{"tls", oneOf(&m.TLS, tlsWishes...)},
		{"shutdown_timeout", duration(&m.ShutdownTimeout, time.Second, time.Hour)},
		{"force_off", boolean(&m.ForceOff)},
		{"finish", oneOf(&m.Finish, finishes...)},
		{"path", oneOf(&m.Path, dataPaths...)},
		{"compare", boolean(&m.Compare)},
	}
}

func (l *loader) uiFields() []field {
	u := &l.cfg.UI
	return []field{
		{"theme", oneOf(&u.Theme, "auto", "dark", "light")},
		{"ascii", boolean(&u.ASCII)},
		{"mouse", boolean(&u.Mouse)},
		{"notify", oneOf(&u.Notify, "bell", "osc9", "osc777", "off")},
		{"plain", boolean(&u.Plain)},
	}
}

func (l *loader) nodeFields(n *Node) []field {
	return []field{
		{"name", matching(&n.Name, nodeName)},
		{"address", matching(&n.Address, address)},
		{"addresses", addresses(&n.Addresses)},
		{"user", matching(&n.User, userName)},
		{"identity_file", l.file(&n.IdentityFile)},
		{"known_hosts", l.file(&n.KnownHosts)},
		{"jump", matching(&n.Jump, jump)},
		{"uri", matching(&n.URI, libvirtURI)},
		{"sudo", maybe(&n.Sudo)},
		{"migrate_address", matching(&n.MigrateAddress, hostOnly)},
	}
}

func (l *loader) applicationFields(a *Application) []field {
	return []field{
		{"vm", matching(&a.VM, pattern)},
		{"http", matching(&a.HTTP, httpURL)},
		{"status", integer(&a.Status, 100, 599)},
		{"tcp", matching(&a.TCP, tcpAddress)},
		{"command", list(&a.Command)},
		{"timeout", duration(&a.Timeout, 100*time.Millisecond, time.Minute)},
	}
}

// table hands every key of m to its field and reports the keys without one.
func (l *loader) table(path string, m map[string]any, fields []field) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		full := join(path, key)
		n := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if n < 0 {
			l.add(full, unknownKey(path, key, fields))
			continue
		}
		l.seen[full] = true
		if err := fields[n].set(full, m[key]); err != nil {
			l.add(full, err)
		}
	}
}

func unknownKey(path, key string, fields []field) error {
	names := make([]string, len(fields))
	near, best := "", 3
	for i, f := range fields {
		names[i] = f.key
		if d := distance(strings.ToLower(key), f.key); d < best {
			near, best = f.key, d
		}
	}
	if near != "" {
		return wrong("did you mean "+near+"?", "is not a key of the configuration")
	}
	where := "the file"
	if path != "" {
		where, _, _ = strings.Cut(path, "[")
	}
	return wrong(where+" has "+strings.Join(names, ", "), "is not a key of the configuration")
}

// distance is the Levenshtein distance, for hints.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// section is a [table].
func (l *loader) section(fields func() []field) func(string, any) error {
	return func(path string, v any) error {
		m, ok := v.(map[string]any)
		if !ok {
			return wrong("write ["+path+"] and its keys below", "is %s, not a table", kind(v))
		}
		l.table(path, m, fields())
		return nil
	}
}

// each is an [[array of tables]]; next makes the element and its fields.
func (l *loader) each(next func() []field) func(string, any) error {
	return func(path string, v any) error {
		right := "write [[" + path + "]] once for each"
		var tables []map[string]any
		switch v := v.(type) {
		case []map[string]any:
			tables = v
		case []any:
			for _, e := range v {
				m, ok := e.(map[string]any)
				if !ok {
					return wrong(right, "has %s in its list, not a table", kind(e))
				}
				tables = append(tables, m)
			}
		default:
			return wrong(right, "is %s, not a list of tables", kind(v))
		}
		for i, m := range tables {
			l.table(index(path, i), m, next())
		}
		return nil
	}
}

// kind names the type of a decoded value for a person.
func kind(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %q", shorten(v))
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %g", v)
	case bool:
		return fmt.Sprintf("%t", v)
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	}
	return fmt.Sprintf("%T", v)
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
