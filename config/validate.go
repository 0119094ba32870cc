package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	defaultAppTimeout = 5 * time.Second
	defaultStatus     = 200
	defaultURI        = "qemu:///system"
)

// modes are the names of the four modes; a test compares with model.Modes.
var modes = []string{"live", "online", "offline", "block"}

// The choices of a move; the same test compares them with engine/model.
var (
	policies     = []string{"abort", "suspend", "post-copy"}
	compressions = []string{"none", "zstd", "xbzrle"}
	tlsWishes    = []string{"auto", "require", "off"}
	finishes     = []string{"live", "stop"}
	dataPaths    = []string{"auto", "direct", "ssh", "relay"}
)

var (
	// A node's name is written as node/vm, so no slash; it is a word on a
	// command line, so no leading dash.
	nodePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	userPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,254}$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,253})$`)
	holder      = regexp.MustCompile(`\{[^{}]*\}`)
)

func nodeName(s string) (string, error) {
	if !nodePattern.MatchString(s) {
		return "", wrong("write letters, digits, - . _ (at most 63)", "%q cannot be the name of a node", shorten(s))
	}
	return s, nil
}

func userName(s string) (string, error) {
	if !userPattern.MatchString(s) {
		return "", wrong("write a login name, as root", "%q cannot be the name of a user", shorten(s))
	}
	return s, nil
}

func address(s string) (string, error) {
	switch {
	case strings.Contains(s, "://"):
		return "", wrong("write host or host:port", "%q is a URL", shorten(s))
	case strings.Contains(s, "@"):
		return "", wrong("write the user in the key user", "%q has a user in it", shorten(s))
	}
	if _, _, err := splitHost(s); err != nil {
		return "", err
	}
	return s, nil
}

func hostOnly(s string) (string, error) {
	host, port, err := splitHost(s)
	if err != nil {
		return "", err
	}
	if port != "" {
		return "", wrong("write the host alone; libvirt chooses the port", "%q has a port", shorten(s))
	}
	return host, nil
}

func jump(s string) (string, error) {
	right := "write user@host:port, several with commas"
	for hop := range strings.SplitSeq(s, ",") {
		at := strings.LastIndexByte(hop, '@')
		host := hop[at+1:]
		if at >= 0 && !userPattern.MatchString(hop[:at]) {
			return "", wrong(right, "%q has no good user name", shorten(hop))
		}
		if _, _, err := splitHost(host); err != nil {
			return "", wrong(right, "%q is not a host", shorten(hop))
		}
	}
	return s, nil
}

// splitHost takes host, host:port, [v6]:port, [v6] and a bare v6 address.
func splitHost(s string) (host, port string, err error) {
	right := "write host or host:port"
	ip := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if a, err := netip.ParseAddr(ip); err == nil && a.Is6() && plainZone(a.Zone()) {
		return ip, "", nil
	}
	host = s
	if strings.Contains(s, ":") {
		host, port, err = net.SplitHostPort(s)
		if err != nil {
			return "", "", wrong(right, "%q is not an address", shorten(s))
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", wrong("write a port from 1 to 65535", "%q is not a port", shorten(port))
		}
	}
	if a, err := netip.ParseAddr(host); !hostPattern.MatchString(host) && (err != nil || !plainZone(a.Zone())) {
		return "", "", wrong(right, "%q is not an address", shorten(s))
	}
	return host, port, nil
}

// plainZone tells whether the zone of a link-local address is an interface's name.
func plainZone(zone string) bool { return zone == "" || hostPattern.MatchString(zone) }

func libvirtURI(s string) (string, error) {
	right := `write it as seen on the node itself, as "qemu:///system"`
	u, err := url.Parse(s)
	if err != nil || hasControl(s) || u.Scheme == "" {
		return "", wrong(right, "%q is not a libvirt URI", shorten(s))
	}
	if u.Host != "" || u.User != nil || strings.Contains(u.Scheme, "+") {
		return "", wrong(right, "%q leads to another host; the way there is SSH's and address says it", shorten(s))
	}
	if u.Scheme != "qemu" && u.Scheme != "test" {
		return "", wrong(right, "%q is not QEMU's driver", shorten(s))
	}
	return s, nil
}

func pattern(s string) (string, error) {
	if _, err := path.Match(s, ""); err != nil || s == "" {
		return "", wrong(`write a name, or a pattern with * ? [a-z], as "web*"`, "%q is not a pattern", shorten(s))
	}
	return s, nil
}

// fill puts examples where the VM's own values go, and refuses other braces.
func fill(s string) (string, error) {
	for _, h := range holder.FindAllString(s, -1) {
		if h != "{ip}" && h != "{name}" {
			return "", wrong("only {ip} and {name} are filled in", "%q is not known", shorten(h))
		}
	}
	return strings.NewReplacer("{ip}", "192.0.2.1", "{name}", "vm").Replace(s), nil
}

func httpURL(s string) (string, error) {
	right := `write a whole URL, as "http://{ip}/health"`
	f, err := fill(s)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(f)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", wrong(right, "%q is not the URL of a web server", shorten(s))
	}
	return s, nil
}

func tcpAddress(s string) (string, error) {
	f, err := fill(s)
	if err != nil {
		return "", err
	}
	if _, port, err := splitHost(f); err != nil || port == "" {
		return "", wrong(`write host:port, as "{ip}:5432"`, "%q is not the address of a service", shorten(s))
	}
	return s, nil
}

// check looks at what no single key can tell, and fills in what is left out.
func (l *loader) check() {
	l.checkNodes()
	for i := range l.cfg.Applications {
		l.checkApplication(index("application", i), &l.cfg.Applications[i])
	}
}

func (l *loader) checkNodes() {
	names, places := map[string]string{}, map[string]string{}
	for i := range l.cfg.Nodes {
		n := &l.cfg.Nodes[i]
		key := index("node", i)
		if n.URI == "" {
			n.URI = defaultURI
		}
		l.require(key, "name", n.Name, `write name = "node1"`)
		if n.Address == "" && len(n.Addresses) > 0 && !l.seen[key+".address"] {
			n.Address, n.Addresses = n.Addresses[0], n.Addresses[1:]
		}
		l.require(key, "address", n.Address, `write address = "192.0.2.11"`)
		if first, ok := names[strings.ToLower(n.Name)]; ok && n.Name != "" {
			l.add(key+".name", wrong("give every node a name of its own", "%q is the name of %s as well", n.Name, first))
		}
		names[strings.ToLower(n.Name)] = l.where(key)
		if n.Address == "" {
			continue
		}
		for i, a := range append([]string{n.Address}, n.Addresses...) {
			host, port, _ := splitHost(a)
			if port == "" {
				port = "22"
			}
			// The same private address behind two jump hosts is two machines.
			place := strings.ToLower(host) + " " + port + " " + n.Jump
			if first, ok := places[place]; ok {
				at := key + ".address"
				if i > 0 || !l.seen[at] {
					at = key + ".addresses"
				}
				l.add(at, wrong("list every machine once", "%q is the address of %s as well", a, first))
			}
			places[place] = l.where(key)
		}
	}
	if len(l.cfg.Nodes) == 0 && len(l.all) == 0 {
		l.addAt(1, "node", wrong(`write [[node]] with a name and an address, once for each`, "there is no node in the file"))
	}
}

func (l *loader) where(key string) string {
	return "the node on line " + strconv.Itoa(l.pos.at(key))
}

// require reports a key that is missing, unless its value was wrong and that
// has been said.
func (l *loader) require(table, key, value, right string) {
	full := table + "." + key
	if value == "" && !l.seen[full] {
		l.addAt(l.pos.at(table), full, wrong(right, "is missing"))
	}
}

func (l *loader) checkApplication(key string, a *Application) {
	l.require(key, "vm", a.VM, `write vm = "web*", or "*" for all`)
	var kinds []string
	for _, k := range []string{"http", "tcp", "command"} {
		if l.seen[key+"."+k] {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != 1 {
		l.addAt(l.pos.at(key), key, wrong("write exactly one of http, tcp, command; several checks are several [[application]]",
			"has %d things to check", len(kinds)))
		return
	}
	if l.seen[key+".status"] && kinds[0] != "http" {
		l.add(key+".status", wrong("leave it out", "belongs to http, and this is a check of %s", kinds[0]))
		return
	}
	if kinds[0] == "http" && a.Status == 0 {
		a.Status = defaultStatus
	}
}
