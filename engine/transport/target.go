package transport

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"

	"horcrux/config"
)

// Target is one server, with all that was found out about how to reach it.
type Target struct {
	Name string // for texts: the node's name, or the jump host's address
	Host string // name or address to dial
	Port int
	User string
	// KeyAlias is the name under which its key is looked up, if not Host.
	KeyAlias string
	// Identities are private keys, in the order in which they are tried.
	Identities []string
	// Explicit tells that a configuration named them: they go before the agent's.
	Explicit bool
	// OnlyIdentities leaves out the agent's other keys.
	OnlyIdentities bool
	// Certificates are files of certificates for some of the keys.
	Certificates []string
	// Agent is the agent's socket, if not that of the environment; "none" for none.
	Agent      string
	KnownHosts []string
	// Others are further ways to the same server, tried in turn where none answers.
	Others []Target
	// Jump are the servers on the way, the nearest to us first.
	Jump           []Target
	ConnectTimeout time.Duration
}

// Address is host:port.
func (t Target) Address() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

// all are the ways to the server, best first.
func (t Target) all() []Target { return append([]Target{t}, t.Others...) }

// First puts the way at an address, if it is one of them, before the others.
func (t Target) First(address string) Target {
	ways := t.all()
	i := slices.IndexFunc(ways, func(w Target) bool { return w.Address() == address })
	if i <= 0 {
		return t
	}
	first := ways[i]
	ways[0].Others = nil
	first.Jump, first.Others = t.Jump, slices.Delete(ways, i, i+1)
	return first
}

// maxJumps bounds a chain, which may come from files that refer to each other.
const maxJumps = 64

var (
	usualIdentities = []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}
	usualKnownHosts = []string{"~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"}
)

// Resolve finds out how to reach a node. What the node's own configuration says
// comes first, then what [ssh] says differently from the defaults, then
// ~/.ssh/config under the node's address, then the defaults. Nothing is dialed.
func Resolve(cfg config.Config, node config.Node) (Target, error) {
	r := resolver{cfg: cfg.SSH}
	fail := func(err error) (Target, error) {
		return Target{}, &Error{Doing: "find the way to", Where: node.Name, Err: err}
	}
	if err := r.readFile(); err != nil {
		return fail(err)
	}
	var t Target
	for i, address := range append([]string{node.Address}, node.Addresses...) {
		host, port, err := splitAddress(address)
		if err != nil {
			return fail(err)
		}
		way, err := r.target(hop{
			host: host, port: port, user: node.User, identity: node.IdentityFile, knownHosts: node.KnownHosts,
		})
		if err != nil {
			return fail(err)
		}
		way.Name = node.Name
		if i > 0 {
			t.Others = append(t.Others, way)
			continue
		}
		t = way
		jump := node.Jump
		if jump == "" {
			if jump, err = r.jumpOf(host); err != nil {
				return fail(err)
			}
		}
		if t.Jump, err = r.chain(jump, nil); err != nil {
			return fail(err)
		}
	}
	return t, nil
}

type resolver struct {
	cfg  config.SSH
	file *ssh_config.Config // nil if there is none
}

type hop struct {
	host                       string
	port                       int
	user, identity, knownHosts string
}

func (r *resolver) readFile() error {
	if r.cfg.ConfigFile == "" {
		return nil
	}
	path := expand(r.cfg.ConfigFile, Target{})
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if r.file, err = ssh_config.Decode(f); err != nil {
		return fmt.Errorf("%s: %w; name another file as [ssh] config_file, with only the hosts of the cluster", path, err)
	}
	return nil
}

func (r *resolver) get(alias, key string) string {
	if r.file == nil {
		return ""
	}
	v, _ := r.file.Get(alias, key)
	return strings.Trim(v, `"`)
}

func (r *resolver) getAll(alias, key string) []string {
	if r.file == nil {
		return nil
	}
	v, _ := r.file.GetAll(alias, key)
	return v
}

// target merges one server's settings, without its way.
func (r *resolver) target(h hop) (Target, error) {
	def := config.Default().SSH
	t := Target{Name: h.host, Host: h.host, Port: h.port, ConnectTimeout: r.cfg.ConnectTimeout}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = def.ConnectTimeout
	}
	if v := r.get(h.host, "HostName"); v != "" {
		t.Host = strings.ReplaceAll(v, "%h", h.host)
	}
	if t.Port == 0 {
		t.Port = 22
		if v := r.get(h.host, "Port"); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > 65535 {
				return t, fmt.Errorf("%s: Port %q of %s is not a port", r.cfg.ConfigFile, v, h.host)
			}
			t.Port = n
		}
	}
	t.User = first(h.user, differs(r.cfg.User, def.User), r.get(h.host, "User"), def.User)
	t.KeyAlias = r.get(h.host, "HostKeyAlias")
	t.OnlyIdentities = strings.EqualFold(r.get(h.host, "IdentitiesOnly"), "yes")
	t.Certificates = expandAll(r.getAll(h.host, "CertificateFile"), t)
	if v := r.get(h.host, "IdentityAgent"); v != "" {
		t.Agent = expand(os.ExpandEnv(v), t)
	}

	if one := first(h.identity, differs(r.cfg.IdentityFile, def.IdentityFile)); one != "" {
		t.Identities, t.Explicit = []string{expand(one, t)}, true
	} else if many := r.getAll(h.host, "IdentityFile"); len(many) > 0 {
		t.Identities, t.Explicit = expandAll(many, t), true
	} else {
		t.Identities = existing(expandAll(usualIdentities, t))
	}
	if one := first(h.knownHosts, differsPath(r.cfg.KnownHosts, def.KnownHosts)); one != "" {
		t.KnownHosts = []string{expand(one, t)}
	} else if v := r.get(h.host, "UserKnownHostsFile"); v != "" {
		t.KnownHosts = expandAll(strings.Fields(v), t)
	} else {
		t.KnownHosts = expandAll(usualKnownHosts, t)
	}
	return t, nil
}

// jumpOf reads the way to alias from ~/.ssh/config.
func (r *resolver) jumpOf(alias string) (string, error) {
	if v := r.get(alias, "ProxyJump"); v != "" {
		return v, nil
	}
	if v := r.get(alias, "ProxyCommand"); v != "" && !strings.EqualFold(v, "none") {
		return "", fmt.Errorf("%s has a ProxyCommand for %s, which is not supported; use ProxyJump or jump = \"…\"", r.cfg.ConfigFile, alias)
	}
	return "", nil
}

// chain resolves "user@host:port,…". The first may itself lie behind others.
// before are the names that led here.
func (r *resolver) chain(spec string, before []string) ([]Target, error) {
	if spec == "" || strings.EqualFold(spec, "none") {
		return nil, nil
	}
	var chain []Target
	for i, part := range strings.Split(spec, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "ssh://")
		who, addr, found := strings.Cut(part, "@")
		if !found {
			who, addr = "", part
		}
		host, port, err := splitAddress(addr)
		if err != nil {
			return nil, fmt.Errorf("jump host %q: %w", part, err)
		}
		t, err := r.target(hop{host: host, port: port, user: who})
		if err != nil {
			return nil, err
		}
		if i == 0 {
			further, err := r.jumpOf(host)
			if err != nil {
				return nil, err
			}
			path := append(slices.Clone(before), host)
			if slices.Contains(before, host) || len(path) > maxJumps {
				return nil, fmt.Errorf("the chain of jump hosts goes in a circle: %s", strings.Join(path, ", then "))
			}
			if chain, err = r.chain(further, path); err != nil {
				return nil, err
			}
		}
		chain = append(chain, t)
	}
	if len(chain) > maxJumps {
		return nil, fmt.Errorf("%d jump hosts are too many", len(chain))
	}
	return chain, nil
}

// splitAddress takes host, host:port, [v6]:port or a bare v6 address.
func splitAddress(s string) (host string, port int, err error) {
	if s == "" {
		return "", 0, errors.New("the address is empty")
	}
	// netip takes a zone as well: fe80::1%eth0.
	if _, err := netip.ParseAddr(s); err == nil || !strings.Contains(s, ":") {
		return s, 0, nil
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			return s[1 : len(s)-1], 0, nil
		}
		return "", 0, fmt.Errorf("%q is no address: %w", s, err)
	}
	n, err := strconv.Atoi(p)
	if err != nil || n < 1 || n > 65535 || host == "" {
		return "", 0, fmt.Errorf("%q is no address", s)
	}
	return host, n, nil
}

func first(vs ...string) string {
	for _, v := range vs {
		if v != "" {
			return v
		}
	}
	return ""
}

func differs(v, def string) string {
	if v == def {
		return ""
	}
	return v
}

func differsPath(v, def string) string {
	if expand(v, Target{}) == expand(def, Target{}) {
		return ""
	}
	return v
}

// expand replaces ~ and the tokens of ssh_config that make sense for a path.
func expand(path string, t Target) string {
	home, _ := os.UserHomeDir()
	if path == "~" || strings.HasPrefix(path, "~/") {
		path = filepath.Join(home, path[1:])
	}
	if !strings.Contains(path, "%") {
		return path
	}
	me := ""
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	return strings.NewReplacer("%%", "%", "%d", home, "%h", t.Host, "%n", t.Name, "%r", t.User, "%u", me,
		"%p", strconv.Itoa(t.Port)).Replace(path)
}

func expandAll(paths []string, t Target) []string {
	var out []string
	for _, p := range paths {
		out = append(out, expand(strings.Trim(p, `"`), t))
	}
	return out
}

func existing(paths []string) []string {
	var out []string
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			out = append(out, p)
		}
	}
	return out
}
